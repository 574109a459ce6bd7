"""Which units may begin where a run may have to end before all are done."""

from relabel.job.stream.allowance import Allowance


def test_a_unit_that_has_begun_may_go_on_elsewhere_and_what_was_held_back_is_not_handed_out_again():
    allowance = Allowance()
    allowance.begin_at_most(1)
    assert allowance.may_begin("a")
    assert allowance.may_begin("a"), "its process died"
    assert not allowance.may_begin("b")
    allowance.begin_at_most(5)
    assert not allowance.may_begin("b")
    assert (allowance.is_over, allowance.begun) == (True, {"a"})
