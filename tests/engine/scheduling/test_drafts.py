"""Drafts grow while they are accepted, and stop where they are not."""

from __future__ import annotations

from relabel.engine.scheduling.drafts import (
    FIRST,
    LONGEST_WAIT,
    MOST,
    PRIOR_ACCEPTED,
    PRIOR_DRAFTED,
    AcceptanceRate,
    DraftLength,
)


def waits(length: DraftLength) -> int:
    """Steps without a draft before the next one."""
    return next(step for step in range(1000) if length.next())


def test_a_draft_doubles_while_whole_ones_are_accepted() -> None:
    length, lengths = DraftLength(), []
    for _ in range(4):
        lengths.append(length.next())
        length.took(drafted=lengths[-1], accepted=lengths[-1])
    assert lengths == [FIRST, 7, MOST, MOST]
    length.took(drafted=MOST, accepted=4)
    assert length.next() == FIRST


def test_a_row_whose_drafts_fail_waits_longer_and_longer() -> None:
    length, waited = DraftLength(), []
    for _ in range(9):
        waited.append(waits(length))
        length.took(drafted=FIRST, accepted=0)
    assert waited == [0, 1, 2, 4, 8, 16, 32, LONGEST_WAIT, LONGEST_WAIT]
    assert waits(length) == LONGEST_WAIT
    length.took(drafted=FIRST, accepted=FIRST)
    assert waits(length) == 0


def test_the_rate_follows_what_was_accepted_and_is_forgotten_without_drafts() -> None:
    rate, hope = AcceptanceRate(), PRIOR_ACCEPTED / PRIOR_DRAFTED
    assert rate.value == hope
    for _ in range(100):
        rate.took(drafted=10, accepted=1)
        rate.forget()
    assert 0.1 < rate.value < 0.15
    for _ in range(300):
        rate.forget()
    assert hope - 0.1 < rate.value < hope
