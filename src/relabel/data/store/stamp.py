"""What a part says of itself: the recipe, the unit and the source version it was made from, its counts and quality.

Stands in the part's Parquet footer, so that one small read tells whether a part counts. Knows nothing of stores.
"""

# pyarrow has no types, so that nothing that comes from it has one.
# pyright: reportMissingTypeStubs=false, reportUnknownMemberType=false, reportUnknownVariableType=false
# pyright: reportUnknownArgumentType=false, reportUnknownParameterType=false, reportUnknownLambdaType=false
from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from typing import Any

import pyarrow as pa

from relabel.data.quality.figures import Quality
from relabel.data.sources.unit import Unit


@dataclass(frozen=True, slots=True, kw_only=True)
class Stamp:
    """The stamp of one part."""

    fingerprint: str
    source_file: str
    source_size: int
    source_version: str
    unit: int
    first_row: int
    num_rows: int
    ok: int
    rejected: int
    reasons: dict[str, int]
    """How many rows were rejected for each code, the text of a reason before its colon."""
    quality: dict[str, Quality] = field(default_factory=dict)
    """Of each label by name; the name of a single one is empty."""

    def is_of(self, unit: Unit, fingerprint: str) -> bool:
        """Whether the part was made by this recipe from this unit of this version of the file."""
        mine = (self.source_file, self.source_size, self.source_version, self.unit, self.first_row, self.num_rows)
        file = unit.file
        theirs = (file.path, file.size, file.version, unit.index, unit.first_row, unit.num_rows)
        return self.fingerprint == fingerprint and mine == theirs

    def to_json(self) -> dict[str, Any]:
        value = {one.name: getattr(self, one.name) for one in fields(self)}
        return {**value, "quality": {name: quality.to_json() for name, quality in self.quality.items()}}


def make_stamp(unit: Unit, fingerprint: str, rows: pa.Table, quality: Mapping[str, Quality] = {}) -> Stamp:
    """The stamp of the output rows of a unit, and of what their labels were measured to be."""
    statuses = rows.column("status").to_pylist()
    # A row that is ok may have a remark in `reason`: that its prompt was cut, for example.
    reasons = [
        (reason or "").partition(":")[0]
        for status, reason in zip(statuses, rows.column("reason").to_pylist(), strict=True)
        if status == "rejected"
    ]
    return Stamp(
        fingerprint=fingerprint,
        source_file=unit.file.path,
        source_size=unit.file.size,
        source_version=unit.file.version,
        unit=unit.index,
        first_row=unit.first_row,
        num_rows=rows.num_rows,
        ok=statuses.count("ok"),
        rejected=len(reasons),
        reasons=dict(sorted(Counter(reasons).items())),
        quality=dict(quality),
    )


def read_stamp(value: Any) -> Stamp:
    """The stamp in plain JSON. Raises ValueError where a field is missing, unknown or of another type."""
    if not isinstance(value, Mapping) or set(value) != {one.name for one in fields(Stamp)}:
        raise ValueError("the stamp has other fields")
    if not isinstance(value["quality"], Mapping):
        raise ValueError("the quality of the stamp is not one of each label")
    made: dict[str, Any] = {
        **value,
        "quality": {name: Quality.from_json(one) for name, one in value["quality"].items()},
    }
    if not all(isinstance(made[name], str) for name in _TEXTS) or not all(type(made[name]) is int for name in _NUMBERS):
        raise ValueError("a field of the stamp has another type")
    if not isinstance(made["reasons"], dict) or not all(type(count) is int for count in made["reasons"].values()):
        raise ValueError("the reasons of the stamp are not counts")
    return Stamp(**made)


_TEXTS = ("fingerprint", "source_file", "source_version")
_NUMBERS = ("source_size", "unit", "first_row", "num_rows", "ok", "rejected")
