"""From records of plain Python values to the rows of a unit, for the formats that carry no types of their own.

Knows nothing of files. A record is a dict of values, or the reason why there is none.
"""

# pyarrow has no types, so that nothing that comes from it has one.
# pyright: reportMissingTypeStubs=false, reportUnknownMemberType=false, reportUnknownVariableType=false
# pyright: reportUnknownArgumentType=false, reportUnknownParameterType=false, reportUnknownLambdaType=false
from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence

import pyarrow as pa

from relabel.data.sources.unit import Rows
from relabel.rejected import Code, Rejected

Record = Mapping[str, object] | Rejected

_PYTHON_TYPES = {pa.bool_(): bool, pa.int64(): int, pa.binary(): bytes}


def make_rows(records: Sequence[Record], columns: Sequence[str], kept: pa.Schema) -> Rows:
    """Rows with the asked columns as they are and the kept columns in their fixed types; a missing key is a null."""
    reasons: list[Rejected | None] = [record if isinstance(record, Rejected) else None for record in records]
    values: dict[str, list[object]] = {}
    for name in dict.fromkeys([*columns, *kept.names]):
        values[name] = [None if isinstance(record, Rejected) else record.get(name) for record in records]
        for row, value in enumerate(values[name]):
            if not is_unicode(value):
                values[name][row] = None
                reasons[row] = reasons[row] or Rejected(Code.SOURCE, f"column {name} holds invalid UTF-8")
    arrays = []
    for field in kept:
        fitted = []
        for row, value in enumerate(values[field.name]):
            try:
                fitted.append(_fit(value, field.type))
            except (TypeError, OverflowError, RecursionError):
                fitted.append(None)
                reasons[row] = reasons[row] or Rejected(Code.SOURCE, f"column {field.name} is not {field.type}")
        arrays.append(pa.array(fitted, field.type))
    asked = {
        name: [value if why is None else None for value, why in zip(values[name], reasons, strict=True)]
        for name in columns
    }
    return Rows(columns=asked, reasons=reasons, kept=make_table(arrays, kept, len(reasons)))


def make_table(arrays: Sequence[pa.Array | pa.ChunkedArray], schema: pa.Schema, num_rows: int) -> pa.Table:
    """A table that knows its number of rows even without columns."""
    if not arrays:
        return pa.table({"": pa.nulls(num_rows)}).select([])
    return pa.Table.from_arrays(list(arrays), schema=schema)


def infer_schema(records: Sequence[Record]) -> pa.Schema:
    """Types for the columns of some first records. What is no plain bool, number or text is kept as its JSON text."""
    seen: dict[str, list[object]] = {}
    for record in records:
        if not isinstance(record, Rejected):
            for name, value in record.items():
                seen.setdefault(name, []).append(value)
    return pa.schema([(name, _type_of(values)) for name, values in seen.items() if is_unicode(name)])


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


def is_unicode(value: object) -> bool:
    """Whether all text in the value can be written as UTF-8: JSON may hold half a surrogate pair."""
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


def _type_of(values: list[object]) -> pa.DataType:
    kinds = {type(value) for value in values if value is not None}
    if kinds == {bool}:
        return pa.bool_()
    if kinds == {int} and all(-(2**63) <= value < 2**63 for value in values if isinstance(value, int)):
        return pa.int64()
    return pa.float64() if float in kinds and kinds <= {int, float} else pa.string()


def _fit(value: object, kind: pa.DataType) -> object:
    if value is None:
        return None
    if pa.types.is_string(kind):
        return value if isinstance(value, str) else json_text(value)
    if pa.types.is_floating(kind) and isinstance(value, int | float) and not isinstance(value, bool):
        return float(value)
    if pa.types.is_int64(kind) and type(value) is int and not -(2**63) <= value < 2**63:
        raise OverflowError
    if type(value) is _PYTHON_TYPES.get(kind):
        return value
    raise TypeError
