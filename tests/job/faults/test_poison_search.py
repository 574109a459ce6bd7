import math

from hypothesis import given
from hypothesis import strategies as st

from relabel.job.faults.poison_search import MAX_DEATHS, NUM_ALONE, NUM_GROUPS, NUM_LIFELESS, NUM_WHOLE, PoisonSearch

A_ROW = 1 + NUM_ALONE
"""Deaths that one more poison row of up to 1,024 costs: its group, and the row alone."""


def search(num_rows, deadly):
    """Try a unit until it lives or is given up; which rows are poison by then, and the number of deaths."""
    search, num_deaths = PoisonSearch(num_rows), 0
    while not search.is_given_up:
        for at, group in enumerate(search.groups):
            if search.are_apart:
                search.tries(at)
            if deadly & set(group):
                search.died(others_lived=False)
                num_deaths += 1
                break
        else:
            return search.poison, num_deaths
    return None, num_deaths


@given(st.integers(1, 1024), st.data())
def test_every_row_that_kills_is_found_no_other_is_accused_and_it_costs_a_bounded_number_of_restarts(num_rows, data):
    deadly = data.draw(st.sets(st.integers(0, num_rows - 1), max_size=min(5, num_rows // 2)))
    found, num_deaths = search(num_rows, deadly)
    assert found == deadly
    # one more for each where the first groups of a unit die before any has lived
    assert num_deaths <= (NUM_WHOLE + (A_ROW + 1) * len(deadly) if deadly else 0)
    assert num_deaths < MAX_DEATHS


def test_one_of_a_thousand_rows_costs_five_restarts():
    assert search(1024, {517}) == ({517}, 5)


def test_more_than_a_thousand_rows_take_one_cut_more():
    assert math.ceil(math.log(32_768, NUM_GROUPS)) == 3
    assert search(32_768, {30_000}) == ({30_000}, 6)


@given(st.integers(2, 300), st.integers(0, 299), st.integers(1, 4))
def test_a_machine_that_fails_now_and_then_accuses_nobody(num_rows, at, num_failures):
    """Deaths in different places, as preemption makes them, and between them everything lives."""
    search = PoisonSearch(num_rows)
    for failure in range(num_failures):
        groups = search.groups
        search.tries((at + failure) % len(groups)) if search.are_apart else None
        search.died(others_lived=True)
    assert len(search.poison) <= max(0, num_failures - NUM_WHOLE) // NUM_ALONE
    assert sorted(row for group in search.groups for row in group) == [
        row for row in range(num_rows) if row not in search.poison
    ]


def test_a_unit_of_deadly_rows_alone_is_given_up():
    assert search(40, set(range(40))) == (None, NUM_LIFELESS)
