"""What a part says of itself: the recipe, the unit and the source version it was made from, its counts and quality.

Stands in the part's Parquet footer, so that one small read tells whether a part counts. Knows nothing of stores.
"""

# pyarrow has no types, so that nothing that comes from it has one.
# pyright: reportMissingTypeStubs=false, reportUnknownMemberType=false, reportUnknownVariableType=false
# pyright: reportUnknownArgumentType=false, reportUnknownParameterType=false, reportUnknownLambdaType=false
from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import cast

import pyarrow as pa
from pydantic import ConfigDict, StrictInt, StrictStr, TypeAdapter, ValidationError, with_config

from relabel.data.quality.figures import Quality
from relabel.data.sources.unit import SourceFile, Unit
from relabel.data.store.fault import first_fault


@with_config(ConfigDict(extra="forbid"))
@dataclass(frozen=True, slots=True, kw_only=True)
class Stamp:
    """The stamp of one part."""

    fingerprint: StrictStr
    source_file: StrictStr
    source_size: StrictInt
    source_version: StrictStr
    unit: StrictInt
    first_row: StrictInt
    num_rows: StrictInt
    ok: StrictInt
    rejected: StrictInt
    reasons: dict[str, StrictInt]
    """How many rows were rejected for each code, the text of a reason before its colon."""
    quality: dict[str, Quality]
    """Of each label by name; the name of a single one is empty."""
    digest: StrictStr = ""
    """Of what was read of the rows; empty in parts of earlier versions."""

    def is_of(self, unit: Unit, fingerprint: str) -> bool:
        """Whether the part was made by this recipe from this unit of this version of the file; of a file that is gone
        from any version, because there is none to tell it from."""
        mine, file = (self.source_size, self.source_version), unit.file
        return self.is_of_place(unit, fingerprint) and (file.state == "gone" or mine == (file.size, file.version))

    def is_of_place(self, unit: Unit, fingerprint: str) -> bool:
        """Whether the part was made by this recipe from these rows of the file, in any version."""
        mine = (self.fingerprint, self.source_file, self.unit, self.first_row, self.num_rows)
        return mine == (fingerprint, unit.file.path, unit.index, unit.first_row, unit.num_rows)

    def at(self, file: SourceFile) -> Stamp:
        """The stamp of the same rows in this version of their file."""
        return replace(self, source_size=file.size, source_version=file.version)

    def to_json(self) -> dict[str, object]:
        return cast(dict[str, object], _STAMP.dump_python(self, mode="json", exclude_defaults=True))


def make_stamp(
    unit: Unit, fingerprint: str, rows: pa.Table, quality: Mapping[str, Quality] = {}, digest: str = ""
) -> Stamp:
    """The stamp of the output rows of a unit, of what their labels were measured to be, and of what was read."""
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
        digest=digest,
    )


def read_stamp(text: bytes | str) -> Stamp:
    """The stamp in JSON. Raises ValueError where a field is missing, unknown or of another type."""
    try:
        return _STAMP.validate_json(text)
    except ValidationError as error:
        raise ValueError(f"the stamp is another, {first_fault(error)}") from error


_STAMP = TypeAdapter(Stamp)
