from relabel.job.worker import MOST_UNITS_AT_ONCE, UNITS_AT_ONCE, units_at_once


def test_where_few_rows_of_each_are_asked_more_units_are_under_way_at_once():
    assert units_at_once(1000, 0) == units_at_once(1000, 1000) == units_at_once(1000, 501) == UNITS_AT_ONCE
    assert units_at_once(1000, 250) == 4 * UNITS_AT_ONCE
    assert units_at_once(1000, 1) == MOST_UNITS_AT_ONCE
