"""How batches are cut and how the budget moves, over any lengths and any history of failures."""

from __future__ import annotations

import itertools
import subprocess
import sys

from hypothesis import given
from hypothesis import strategies as st

from relabel.engine.scheduling.batching import Budget, longest_first, take_batch

LENGTHS = st.lists(st.integers(1, 300), min_size=1, max_size=60)


def cut(lengths: list[int], **limits: int) -> list[list[int]]:
    queue, batches = longest_first(lengths), []
    while queue:
        num_rows = take_batch([lengths[row] for row in queue], **limits)
        batches.append(queue[:num_rows])
        queue = queue[num_rows:]
    return batches


def test_a_budget_of_padded_tokens_cuts_the_longest_rows_into_the_smallest_batches() -> None:
    assert cut([3, 10, 4, 9, 2], new_tokens=2, budget=24, max_rows=9) == [[1, 3], [2, 0, 4]]


def test_rows_are_capped_and_lengths_kept_equal_on_demand() -> None:
    assert cut([5, 5, 5], new_tokens=1, budget=10**6, max_rows=2) == [[0, 1], [2]]
    assert cut([5, 7, 5, 7], new_tokens=1, budget=10**6, max_rows=9, equal_lengths=True) == [[1, 3], [0, 2]]


@given(LENGTHS, st.integers(1, 64), st.integers(1, 5000), st.integers(1, 20), st.booleans())
def test_every_row_is_in_one_batch_within_the_limits(
    lengths: list[int], new_tokens: int, budget: int, max_rows: int, equal_lengths: bool
) -> None:
    batches = cut(lengths, new_tokens=new_tokens, budget=budget, max_rows=max_rows, equal_lengths=equal_lengths)
    assert sorted(row for batch in batches for row in batch) == list(range(len(lengths)))
    for batch in batches:
        widest = max(lengths[row] for row in batch)
        assert widest == lengths[batch[0]]
        assert len(batch) <= max_rows
        assert len(batch) == 1 or len(batch) * (widest + new_tokens) <= budget
        assert not equal_lengths or len({lengths[row] for row in batch}) == 1
    assert all(lengths[a[-1]] >= lengths[b[0]] for a, b in itertools.pairwise(batches))


def test_a_failure_halves_the_budget_and_successes_win_it_back_below_the_failed_size() -> None:
    budget = Budget(1000)
    budget.failed(1000)
    assert budget.tokens == 500
    for _ in range(Budget.GROW_AFTER):
        budget.succeeded()
    assert budget.tokens == 562
    for _ in range(Budget.FIRST_COOLDOWN - Budget.GROW_AFTER - 1):
        budget.succeeded()
    assert 900 < budget.tokens < 1000
    for _ in range(10 * Budget.FIRST_COOLDOWN):
        budget.succeeded()
    assert budget.tokens == 1000, "what failed once is tried again after the cool-down"


@given(st.integers(1, 10_000), st.lists(st.booleans(), max_size=300), st.integers(1, 10_000))
def test_the_budget_stays_between_one_and_its_ceiling_and_respects_what_failed(
    ceiling: int, history: list[bool], capacity: int
) -> None:
    budget = Budget(ceiling)
    last_failure, since = None, 0
    for fits in history:
        before = budget.tokens
        if fits and before <= capacity:
            budget.succeeded()
            since += 1
            assert budget.tokens >= before
        else:
            budget.failed(before)
            last_failure, since = before, 0
            assert budget.tokens == max(1, before // 2)
        assert 1 <= budget.tokens <= ceiling
        if last_failure is not None and since < Budget.FIRST_COOLDOWN:
            assert budget.tokens < last_failure or last_failure == 1


def test_one_row_that_does_not_fit_alone_costs_the_others_nothing() -> None:
    """Such a row once halved the budget eight times and doubled the cool-down each time: 8,448 batches to recover."""
    budget = Budget(400_000)
    while (size := budget.tokens) > 2_304:
        budget.failed(size)
    budget.failed(2_304)
    budget.failed_alone()
    assert budget.tokens == 400_000


def test_the_cool_down_doubles_once_for_one_run_of_failures() -> None:
    budget = Budget(1000)
    for size in (1000, 500, 250):
        budget.failed(size)
    for _ in range(2 * Budget.FIRST_COOLDOWN + 20 * Budget.GROW_AFTER):
        budget.succeeded()
    assert budget.tokens == 1000


@given(LENGTHS, st.integers(1, 10_000))
def test_retrying_the_same_rows_always_comes_to_an_end(lengths: list[int], capacity: int) -> None:
    budget, queue, rejected, tries = Budget(10_000), longest_first(lengths), [], 0
    while queue:
        num_rows = take_batch([lengths[row] for row in queue], new_tokens=1, budget=budget.tokens, max_rows=64)
        tries += 1
        size = num_rows * (lengths[queue[0]] + 1)
        if size > capacity:
            budget.failed(size)
            if num_rows > 1:
                continue
            rejected.append(queue[0])
        else:
            budget.succeeded()
        queue = queue[num_rows:]
    assert rejected == [row for row in longest_first(lengths) if lengths[row] + 1 > capacity]
    assert tries <= 3 * len(lengths) + 20


def test_the_policy_and_the_request_types_need_no_torch() -> None:
    code = (
        "import sys; from relabel.engine import Request, Sampling, quantise; "
        "import relabel.engine.scheduling.batching; "
        "assert not {'torch', 'transformers', 'ray'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
