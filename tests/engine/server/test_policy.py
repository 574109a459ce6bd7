"""How many requests a server has, how long is waited, and what an answer means: over numbers, without a server."""

from contextlib import suppress
from email.utils import formatdate

import pytest
from hypothesis import given
from hypothesis import strategies as st

from relabel.engine.server.pace import FIRST, Pace
from relabel.engine.server.verdicts import (
    MOST_RETRY_AFTER,
    MOST_WAIT,
    Broken,
    Meaning,
    document_of,
    meaning_of,
    reject_of,
    retry_after,
    wait_before,
    why_stop,
)
from relabel.rejected import Code


def test_a_server_that_keeps_up_gets_more_and_one_that_does_not_half():
    pace = Pace(64)
    for _ in range(1000):
        pace.kept_up()
    assert pace.limit == 64
    pace.too_much(sent=1.0, now=2.0)
    assert pace.limit == 32
    pace.too_much(sent=1.5, now=2.5)
    assert pace.limit == 32, "sent before the cut"
    pace.too_much(sent=2.0, now=3.0)
    assert pace.limit == 16
    for _ in range(16):
        pace.kept_up()
    assert pace.limit in (16, 17), "one more for each round"
    pace.begin_again()
    assert pace.limit == FIRST


@given(st.integers(1, 300), st.lists(st.booleans(), max_size=200))
def test_the_number_of_requests_keeps_within_its_bounds(most, answers):
    pace = Pace(most)
    for now, is_good in enumerate(answers):
        pace.kept_up() if is_good else pace.too_much(sent=now, now=now)
        assert 1 <= pace.limit <= most


@pytest.mark.parametrize(
    ("value", "seconds"),
    [
        ("3", 3),
        ("0.5", 0.5),
        ("99999", MOST_RETRY_AFTER),
        (formatdate(0), 0),
        ("soon", None),
        ("-3", None),
        (None, None),
    ],
)
def test_what_retry_after_says_is_read_within_bounds(value, seconds):
    assert retry_after(value) == seconds


@given(st.text(max_size=40))
def test_any_retry_after_is_no_error(value):
    seconds = retry_after(value)
    assert seconds is None or 0 <= seconds <= MOST_RETRY_AFTER


@given(st.integers(1, 10_000))
def test_waits_are_bounded(tries):
    assert 0 <= wait_before(tries, 0.5) <= min(MOST_WAIT, 0.5 * 2 ** min(tries, 20))


@pytest.mark.parametrize(
    ("meaning", "statuses"),
    [
        (Meaning.ANSWER, [200]),
        (Meaning.ROW, [400, 409, 413, 422]),
        (Meaning.RUN, [301, 307, 401, 403, 404, 405]),
        (Meaning.BUSY, [429, 503, 529]),
        (Meaning.BROKEN, [204, 408, 500, 502, 504]),
    ],
)
def test_what_a_status_means(meaning, statuses):
    assert {meaning_of(status, b"") for status in statuses} == {meaning}
    if meaning is Meaning.RUN:
        assert all(str(status) in why_stop(status) for status in statuses)


def test_no_money_ends_the_run_and_a_long_prompt_is_said_to_be_too_long():
    assert meaning_of(429, b'{"error": {"code": "insufficient_quota"}}') is Meaning.RUN
    assert reject_of(400, b'{"error": {"code": "context_length_exceeded"}}').code == Code.PROMPT_TOO_LONG
    assert reject_of(413, b"").code == Code.PROMPT_TOO_LONG


@given(st.binary(max_size=60), st.sampled_from([400, 413, 422, 499]))
def test_a_reason_never_quotes_an_answer(body, status):
    assert reject_of(status, b'{"error": {"code": "zqxcanary", "message": "zqxcanary"}}').detail.find("zqx") < 0
    assert str(status) in reject_of(status, body).detail


@given(st.binary(max_size=60))
def test_any_body_is_a_document_or_broken(body):
    with suppress(Broken):
        assert isinstance(document_of(body), dict)
