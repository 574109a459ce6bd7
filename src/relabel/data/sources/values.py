"""From records of plain Python values to the rows of a unit, for the formats that carry no types of their own.

Knows nothing of files. A record is a dict of values, or the reason why there is none.
"""

# pyarrow has no types, so that nothing that comes from it has one.
# pyright: reportMissingTypeStubs=false, reportUnknownMemberType=false, reportUnknownVariableType=false
# pyright: reportUnknownArgumentType=false, reportUnknownParameterType=false, reportUnknownLambdaType=false
from __future__ import annotations

import json
import math
from collections.abc import Collection, Mapping, Sequence
from typing import cast

import pyarrow as pa

from relabel.data.sources.types import WIDE, json_union
from relabel.data.sources.unit import Rows
from relabel.rejected import Code, Rejected

Record = Mapping[str, object] | Rejected

_NO_TEXT = {int, float, bool, type(None)}
_PYTHON_TYPES = {pa.bool_(): bool, pa.binary(): bytes}


def make_rows(records: Sequence[Record], columns: Sequence[str], kept: pa.Schema) -> Rows:
    """Rows with the asked columns as they are and the kept columns in their fixed types; a missing key is a null.

    A value that is only kept never costs a row: where it is none of its type it is null, with a remark.
    """
    reasons: list[Rejected | None] = [record if isinstance(record, Rejected) else None for record in records]
    misfits = Misfits(len(records))
    values: dict[str, list[object]] = {}
    for name in dict.fromkeys([*columns, *kept.names]):
        values[name] = [None if isinstance(record, Rejected) else record.get(name) for record in records]
        for row, value in enumerate(() if _are_unicode(values[name]) else values[name]):
            if not is_unicode(value):
                values[name][row] = None
                if name in columns:
                    reasons[row] = reasons[row] or Rejected(Code.SOURCE, f"column {name} holds invalid UTF-8")
                else:
                    misfits.add(row, f"column {name} holds invalid UTF-8")
    arrays = []
    for field in kept:
        if _are_of(values[field.name], field.type):
            arrays.append(pa.array(values[field.name], field.type))
            continue
        fitted = []
        for row, value in enumerate(values[field.name]):
            try:
                fitted.append(_fit(value, field.type))
            except (TypeError, OverflowError, RecursionError):
                fitted.append(None)
                misfits.add(row, f"column {field.name} is not {field.type}")
        arrays.append(pa.array(fitted, field.type))
    asked = {name: values[name] for name in columns}
    if any(reasons):
        for name in columns:
            asked[name] = [value if why is None else None for value, why in zip(values[name], reasons, strict=True)]
    return Rows(columns=asked, reasons=reasons, kept=make_table(arrays, kept, len(reasons)), remarks=misfits.remarks)


def with_reasons(rows: Rows, reasons: Sequence[Rejected | None]) -> Rows:
    """The same rows, some of them rejected for what their format knows; their kept values stay."""
    reasons = [own or why for own, why in zip(reasons, rows.reasons, strict=True)]
    sound = {
        name: [value if why is None else None for value, why in zip(values, reasons, strict=True)]
        for name, values in rows.columns.items()
    }
    return Rows(columns=sound, reasons=reasons, kept=rows.kept, remarks=rows.remarks)


class Misfits:
    """What became of the kept values of some rows that are none of their type."""

    def __init__(self, num_rows: int) -> None:
        self.remarks: list[str | None] = [None] * num_rows
        """For each row the first one, or None."""

    def add(self, row: int, why: str) -> None:
        self.remarks[row] = self.remarks[row] or f"kept as null: {why}"


def make_table(arrays: Sequence[pa.Array | pa.ChunkedArray], schema: pa.Schema, num_rows: int) -> pa.Table:
    """A table that knows its number of rows even without columns."""
    if not arrays:
        return pa.table({"": pa.nulls(num_rows)}).select([])
    return pa.Table.from_arrays(list(arrays), schema=schema)


class RecordTypes:
    """Types for the columns of records, as they come. What is no plain bool, number or text is kept as JSON text."""

    def __init__(self) -> None:
        self._shapes: set[tuple[object, ...]] = set()
        self._types: dict[str, pa.DataType] = {}

    def add(self, record: Record) -> None:
        """Take in one record; of records with the same keys and types but the first it takes a microsecond."""
        if isinstance(record, Rejected):
            return
        shape = (*record, *map(type, record.values()))
        if shape in self._shapes:
            return
        if len(self._shapes) < _MAX_SHAPES:
            self._shapes.add(shape)
        for name, value in record.items():
            self._types[name] = json_union(self._types.get(name, pa.null()), _TYPES.get(type(value), pa.string()))

    def are_settled(self, names: Collection[str]) -> bool:
        """Whether no further record can change the types of these columns: text is what text and all else become."""
        return all(self._types.get(name) == _TEXT for name in names)

    @property
    def schema(self) -> pa.Schema:
        """The columns by first appearance."""
        return pa.schema([(name, kind) for name, kind in self._types.items() if is_unicode(name)])


class Wide(int):
    """An integer of 64 bits beyond 2**53."""


class Huge(int):
    """An integer of more than 64 bits."""


def read_int(digits: str) -> int:
    """For a JSON decoder: an integer whose class says how wide it is. Raises ValueError above 4,300 digits."""
    number = int(digits)
    if len(digits) < 16 or -(2**53) <= number <= 2**53:
        return number
    return Wide(number) if -(2**63) <= number < 2**63 else Huge(number)


_MAX_SHAPES = 10_000
_TEXT = pa.string()
_TYPES: dict[type[object], pa.DataType] = {
    type(None): pa.null(),
    bool: pa.bool_(),
    int: pa.int64(),
    Wide: WIDE,
    float: pa.float64(),
}


def json_text(value: object) -> str:
    """A value of JSON as its text; null for a number that JSON does not have, such as NaN."""
    try:
        return json.dumps(value, ensure_ascii=False, allow_nan=False)
    except ValueError:
        return json.dumps(_finite(value), ensure_ascii=False)


def _finite(value: object) -> object:
    if isinstance(value, dict):
        return {key: _finite(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_finite(item) for item in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


def _are_unicode(values: Sequence[object]) -> bool:
    """Whether all text of a column can be written as UTF-8, as far as that is seen at once."""
    kinds = set(map(type, values))
    return not kinds - _NO_TEXT or (kinds == {str} and "".join(cast("Sequence[str]", values)).isascii())


def _are_of(values: Sequence[object], kind: pa.DataType) -> bool:
    """Whether a column has this type as it is, as far as that is seen at once."""
    kinds = set(map(type, values))
    if kinds == {int} and pa.types.is_int64(kind):
        numbers = cast("Sequence[int]", values)
        return -(2**63) <= min(numbers) <= max(numbers) < 2**63
    return kinds == {str} and pa.types.is_string(kind)


def is_unicode(value: object) -> bool:
    """Whether all text in the value can be written as UTF-8: JSON may hold half a surrogate pair."""
    if isinstance(value, str) and value.isascii():  # as nearly always
        return True
    pending = [value]
    while pending:
        item = pending.pop()
        if isinstance(item, str) and not item.isascii():
            try:
                item.encode()
            except UnicodeEncodeError:
                return False
        elif isinstance(item, dict):
            pending += [*item.keys(), *item.values()]
        elif isinstance(item, list):
            pending += item
    return True


def _fit(value: object, kind: pa.DataType) -> object:
    if value is None:
        return None
    if pa.types.is_string(kind):
        return value if isinstance(value, str) else json_text(value)
    if pa.types.is_floating(kind) and isinstance(value, int | float) and not isinstance(value, bool):
        if isinstance(value, int) and int(float(value)) != value:
            raise OverflowError
        return float(value)
    if pa.types.is_int64(kind):
        if isinstance(value, float) and value.is_integer() and abs(value) <= 2**53:
            return int(value)
        if isinstance(value, int) and not isinstance(value, bool) and -(2**63) <= value < 2**63:
            return value
        raise OverflowError
    if type(value) is _PYTHON_TYPES.get(kind):
        return value
    raise TypeError
