import json
from dataclasses import replace

import pyarrow as pa
import pytest

from relabel.data.quality.measure import measure
from relabel.data.sources.unit import Unit
from relabel.data.store.stamp import make_stamp, read_stamp
from tests.outputs import planned_file, rows_of

FILE = planned_file("a.parquet", 8)
UNIT = FILE.units[1]


def test_a_stamp_counts_rows_by_status_and_rejects_by_code():
    rows = rows_of(UNIT)
    reasons = pa.array(["prompt_too_long: 9 tokens, 8 allowed", None, "prompt: cut", "image: truncated"])
    statuses = pa.array(["rejected", "ok", "ok", "rejected"])
    for name, values in {"reason": reasons, "status": statuses}.items():
        at = rows.schema.get_field_index(name)
        rows = rows.set_column(at, rows.schema.field(at), values)
    stamp = make_stamp(UNIT, "recipe", rows)
    assert (stamp.ok, stamp.rejected, stamp.reasons) == (2, 2, {"image": 1, "prompt_too_long": 1})
    assert read_stamp(json.dumps(stamp.to_json())) == stamp


def test_a_part_is_of_its_own_unit_recipe_and_source_version_only():
    stamp = make_stamp(UNIT, "recipe", rows_of(UNIT))
    assert stamp.is_of(UNIT, "recipe")
    assert not stamp.is_of(UNIT, "other recipe")
    assert not stamp.is_of(FILE.units[0], "recipe")
    for change in ({"version": "2"}, {"size": 7}, {"path": "b.parquet"}):
        assert not stamp.is_of(replace(UNIT, file=replace(UNIT.file, **change)), "recipe")
    assert not stamp.is_of(replace(UNIT, num_rows=3), "recipe")
    assert not stamp.is_of(replace(UNIT, first_row=5), "recipe")


def test_where_a_file_is_opened_does_not_matter():
    moved = Unit(file=replace(UNIT.file, url="s3://bucket/a.parquet"), index=1, first_row=4, num_rows=4)
    assert make_stamp(UNIT, "recipe", rows_of(UNIT)).is_of(moved, "recipe")


def test_a_stamp_carries_the_quality_of_each_label():
    quality = {name: measure(["a cat", None], ["stop", None], [4, 5]) for name in ("short", "long")}
    stamp = make_stamp(UNIT, "recipe", rows_of(UNIT), quality)
    assert read_stamp(json.dumps(stamp.to_json())) == stamp
    assert stamp.quality == quality


@pytest.mark.parametrize("quality", [None, [], {"": None}, {"": {"good": 1}}])
def test_a_quality_that_is_none_is_refused(quality):
    stamp = make_stamp(UNIT, "recipe", rows_of(UNIT)).to_json()
    with pytest.raises(ValueError):
        read_stamp(json.dumps({**stamp, "quality": quality}))


@pytest.mark.parametrize("value", [None, [], "", {}, {"fingerprint": "recipe"}])
def test_what_is_no_stamp_is_refused(value):
    with pytest.raises(ValueError):
        read_stamp(json.dumps(value))


@pytest.mark.parametrize(
    "change", [{"ok": True}, {"ok": "4"}, {"ok": 4.0}, {"source_file": 1}, {"reasons": {"a": None}}, {"x": 1}]
)
def test_a_field_of_another_type_or_name_is_refused(change):
    stamp = make_stamp(UNIT, "recipe", rows_of(UNIT)).to_json()
    with pytest.raises(ValueError):
        read_stamp(json.dumps({**stamp, **change}))


def test_a_stamp_without_a_quality_is_refused():
    stamp = make_stamp(UNIT, "recipe", rows_of(UNIT)).to_json()
    del stamp["quality"]
    with pytest.raises(ValueError):
        read_stamp(json.dumps(stamp))
