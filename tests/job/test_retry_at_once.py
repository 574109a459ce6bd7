"""Retries beside retries, and beside whoever takes their parts away."""

import pytest

from relabel.data.store.store import Store
from relabel.job.local import InProcess
from tests.job.retrying import Here, only


@pytest.mark.parametrize("num_others", [1, 2])
def test_two_at_once_are_wasteful_and_take_no_label_from_each_other(done, num_others):
    """The late one had read the part before the others replaced it."""
    here, part, rows = Here(done), {"b-00000.parquet"}, []

    def others_are_faster():
        for _ in range(num_others):
            here.retry("parse", execute=only(part, here.execute))
            rows.append(here.rows)

    before = here.rows
    here.retry(execute=only(part, here.when(others_are_faster)))
    assert before != rows[0]
    assert here.rows == rows[-1]


def test_a_part_that_is_gone_meanwhile_is_not_brought_back(done, caplog):
    here, part = Here(done), "a-00000.parquet"
    report = here.retry(execute=only({part}, here.when(lambda: Store("out").delete(part))))
    assert report.figures["failed"] == 1
    assert not report.complete
    assert f"{part} is not there" in caplog.text
    assert part not in Store("out").parts()


def test_a_part_that_is_gone_before_it_is_read_is_not_brought_back(done, caplog):
    here, part = Here(done), "a-00000.parquet"

    def load(_):
        Store("out").delete(part)
        return here.engine

    assert here.retry(execute=only({part}, InProcess(load=load))).figures["failed"] == 1
    assert f"{part} is not there" in caplog.text
    assert part not in Store("out").parts()
