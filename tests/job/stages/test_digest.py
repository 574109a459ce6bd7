import datetime
from dataclasses import replace
from decimal import Decimal

import pyarrow as pa
import pytest

from relabel.data.sources.unit import Rows
from relabel.job.stages.digest import digest_of
from relabel.rejected import Code, Rejected

VALUES = ["a", b"\x00png", 1, 1.0, True, None, {"x": [1, None]}, ["a"], Decimal("1.0"), datetime.date(2024, 1, 2)]


def rows(values, *, kept=(), reason=None, remark=None, name="alt"):
    reasons = [reason, *[None] * (len(values) - 1)]
    ids = pa.table({"id": pa.array(kept or [None] * len(values))})
    return Rows(columns={name: list(values)}, reasons=reasons, kept=ids, remarks=[remark] * len(values))


def test_the_digest_of_an_earlier_version_is_that_of_this_one():
    """A change of this text asks the rows of every output again whose files are touched."""
    assert digest_of(rows(VALUES, kept=["é"] * len(VALUES))) == "e8965ffa355fcab651f9e1c866d1ada7"


@pytest.mark.parametrize("at", range(len(VALUES)))
def test_every_value_counts_and_its_type(at):
    texts = {digest_of(rows([*VALUES[:at], other, *VALUES[at + 1 :]])) for other in VALUES}
    assert len(texts) == len(VALUES)


def test_what_the_row_is_rejected_for_and_what_is_kept_count():
    missing = Rejected(Code.SOURCE, "the image cannot be opened")
    found = [
        rows(["a"]),
        rows(["a"], reason=missing),
        rows(["a"], remark="kept: column id is null"),
        rows(["a"], kept=["1"]),
        rows(["a"], kept=[1]),
        rows(["a"], name="text"),
        rows(["a", "a"]),
    ]
    assert len({digest_of(one) for one in found}) == len(found)


def test_no_value_can_look_like_two():
    assert digest_of(rows(["a\n b"])) != digest_of(rows(["a", "b"]))


def test_how_a_column_is_cut_into_chunks_does_not_count():
    whole, cut = rows(["a", "b"], kept=["1", "2"]), rows(["a", "b"], kept=["1", "2"])
    cut = replace(cut, kept=pa.concat_tables([cut.kept.slice(0, 1), cut.kept.slice(1)]))
    assert digest_of(whole) == digest_of(cut)


def test_a_value_without_a_stable_text_has_no_digest():
    deep = []
    for _ in range(100_000):
        deep = [deep]
    assert digest_of(rows([deep])) == ""
