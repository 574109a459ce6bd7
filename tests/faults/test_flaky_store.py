"""An object store that is busy, that loses answers or refuses, at the Nth request for every N, or slow at each.

Meanwhile the conditions of writes, 409 and 412, stay with the server behind the proxy.
"""

from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

import pytest

from relabel.data.store.failpoints import Failpoint, listening
from relabel.data.store.store import Store
from relabel.errors import Refused, StoreFailed
from relabel.job.retry import retry
from relabel.job.run import run
from tests.faults.job import assert_exact, execute, spec_of, to_the_end, write_source
from tests.faults.moments import ALL, step
from tests.faults.proxy import proxied

pytestmark = pytest.mark.fault
SIZES = {"a": 4}
PARTS = ["a-00000.parquet", "a-00001.parquet"]
PASSES = {"busy", "lost", "dropped"}
"""Asked for again. A list of names or an answer to a delete that is cut off is not, and what is denied never is."""


@pytest.fixture
def source(tmp_path):
    write_source(tmp_path / "source", **SIZES)
    return tmp_path / "source"


@pytest.fixture(scope="module")
def proxy(s3):
    with proxied(s3) as proxy:
        yield proxy


@pytest.fixture
def through(proxy, monkeypatch):
    """The store is reached through the proxy."""
    proxy.fail("")
    monkeypatch.setenv("AWS_ENDPOINT_URL", proxy.url)
    return proxy


@pytest.mark.parametrize(("fault", "nth"), [("busy", 1), ("cut", 1), ("denied", 2), ("dropped", 2), ("lost", 3)])
def test_whichever_request_fails_every_row_is_there_once(through, s3_url, source, fault, nth):
    nth, num_ended, was_hit = 1 if ALL else nth, 0, True
    while was_hit:
        url = f"{s3_url}/{nth}"
        through.fail(fault, nth)
        try:
            assert to_the_end(url, source, retry=True).complete
        except (StoreFailed, Refused):
            num_ended += 1
        was_hit = through.has_failed
        through.fail("")
        assert_exact(url, source, SIZES)
        nth += step(3)
    assert nth > 20
    assert (num_ended == 0) == (fault in PASSES)


def test_a_store_that_is_slow_at_every_request_loses_nothing(through, s3_url, source):
    through.fail("slow")
    assert to_the_end(s3_url, source, retry=True).complete
    assert through.has_failed
    through.fail("")
    assert_exact(s3_url, source, SIZES)


def losing(through, wanted):
    """What tells the proxy to lose the answer to the write of that name: the next request after `sending`."""

    def on_failpoint(point, name):
        if point == Failpoint.SENDING and name == wanted:
            through.fail("lost", 1)

    return on_failpoint


def test_a_part_whose_answer_was_lost_is_there_and_counted_once(through, s3_url, source):
    """The second try finds what the first had written."""
    assert to_the_end(s3_url, source, losing(through, PARTS[0])).complete
    assert through.has_failed
    assert_exact(s3_url, source, SIZES)


def test_a_run_whose_first_document_was_written_and_never_acknowledged_goes_on_with_it(through, s3_url, source):
    """The second try is told that the name is taken, and the run finds there what it had written itself."""
    assert to_the_end(s3_url, source, losing(through, "_run.json"), retry=True).complete
    assert through.has_failed
    assert list(Store(s3_url).parts()) == PARTS
    assert Store(s3_url).read_json("_plan-00001.json") is None


def test_a_part_that_was_replaced_and_never_acknowledged_is_read_again_and_left(through, s3_url, source):
    """The second try is refused, since the part is no longer the one that was read."""
    to_the_end(s3_url, source)
    with listening(losing(through, PARTS[0])):
        assert retry(s3_url, execute=execute).complete
    assert through.has_failed
    assert {row["status"] for row in Store(s3_url).read(PARTS[0]).rows.to_pylist()} == {"ok"}
    assert_exact(s3_url, source, SIZES)


def test_a_store_that_is_always_busy_is_given_up(through, s3_url, source):
    """While a run begins, and once it is under way."""

    @contextmanager
    def busy_from_now_on(units, job, *, num_rows, course):
        with execute(units, job, num_rows=num_rows, course=course) as receipts:
            yield failing_after_the_first(receipts)

    def failing_after_the_first(receipts):
        yield next(receipts)
        through.fail("busy")
        yield from receipts

    with ThreadPoolExecutor(2) as threads:
        publishing = threads.submit(run, spec_of(s3_url, source), execute=busy_from_now_on)
        with pytest.raises(StoreFailed, match=rf"cannot (write|read) {s3_url}/({PARTS[1]}|_run\.json): .*503"):
            publishing.result()
        beginning = threads.submit(to_the_end, s3_url, source)
        with pytest.raises(Refused, match=f"cannot read {s3_url}/_run.json: .*503"):
            beginning.result()
    through.fail("")
    assert_exact(s3_url, source, SIZES)
