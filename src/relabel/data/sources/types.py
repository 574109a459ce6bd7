"""Which type a column has in an output, from the types that it has in the files: promoted where nothing is lost by it.

Knows types alone: nothing of files, formats or values.
"""

# pyarrow has no types, so that nothing that comes from it has one.
# pyright: reportMissingTypeStubs=false, reportUnknownMemberType=false, reportUnknownVariableType=false
# pyright: reportUnknownArgumentType=false, reportUnknownParameterType=false, reportUnknownLambdaType=false
from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Protocol

import pyarrow as pa

WIDE = pa.decimal128(38)
"""While files are compared: integers of 64 bits of which some are beyond 2**53, so that no double holds them."""

UNSIGNED = pa.decimal128(20)
_DIGITS = {8: 3, 16: 5, 32: 10, 64: 20}
"""Of an integer of so many bits, with a sign or without one."""


class Union(Protocol):
    def __call__(self, one: pa.DataType, other: pa.DataType) -> pa.DataType | None:
        """The type that holds the values of both, or None where there is none."""
        ...


def arrow_union(one: pa.DataType, other: pa.DataType) -> pa.DataType | None:
    """Arrow's permissive promotion: null to anything, integers to doubles, narrow to wide, also inside lists.

    But integers of 64 bits with and without a sign are decimals of 20 digits, where Arrow's int64 has not half of the
    latter, and integers beside decimals have all their digits, where Arrow leaves out the first.
    """
    if one == other:
        return one
    if pa.uint64() in (one, other) and any(map(pa.types.is_signed_integer, (one, other))):
        return UNSIGNED
    for whole, exact in ((one, other), (other, one)):
        if pa.types.is_integer(whole) and pa.types.is_decimal128(exact):
            num_digits = max(_DIGITS[whole.bit_width], exact.precision - exact.scale)
            return pa.decimal128(min(38, num_digits + exact.scale), exact.scale)
    try:
        return pa.unify_schemas([pa.schema([("", kind)]) for kind in (one, other)], promote_options="permissive").types[
            0
        ]
    except (pa.ArrowInvalid, pa.ArrowTypeError, pa.ArrowNotImplementedError):
        return None


def json_union(one: pa.DataType, other: pa.DataType) -> pa.DataType:
    """The same for JSON, where what has no type in common is kept as JSON text, and so is what would be rounded."""
    kinds = {one, other} - {pa.null()}
    if len(kinds) < 2:
        return kinds.pop() if kinds else pa.null()
    if kinds == {pa.int64(), pa.float64()}:
        return pa.float64()
    return WIDE if kinds == {pa.int64(), WIDE} else pa.string()


@dataclass(slots=True, kw_only=True)
class _Column:
    type: pa.DataType
    file: str
    clash: str | None = None


@dataclass(slots=True, kw_only=True)
class Columns:
    """The columns of many files, taken in one after the other."""

    union: Union
    _seen: list[pa.Schema] = field(default_factory=list)
    _columns: dict[str, _Column] = field(default_factory=dict)
    _twice: dict[str, None] = field(default_factory=dict)

    def add(self, schema: pa.Schema, path: str) -> None:
        """Take in what the file at `path` has."""
        if schema in self._seen[-8:]:  # most files of a source are alike
            return
        self._seen.append(schema)
        names = schema.names
        for name, kind in zip(names, schema.types, strict=True):
            if names.count(name) > 1:
                self._twice.setdefault(name)
            elif (known := self._columns.get(name)) is None:
                self._columns[name] = _Column(type=kind, file=path)
            elif (both := self.union(known.type, kind)) is None:
                known.clash = known.clash or (
                    f"is {known.type} in {known.file} and {kind} in {path}: no type holds both; make them the same"
                )
            else:
                known.type, known.file = both, path if both == kind != known.type else known.file

    def clashes(self, names: Iterable[str]) -> Mapping[str, str]:
        """Of these columns those that have no type, each with what is wrong."""
        return {name: why for name in names if (column := self._columns.get(name)) and (why := column.clash)}

    @property
    def schema(self) -> pa.Schema:
        """All columns by first appearance; a name that no file has just once stands there twice."""
        fields = [(name, _settled(column.type, self.union)) for name, column in self._columns.items()]
        twice = [(name, pa.null()) for name in self._twice if name not in self._columns]
        return pa.schema([*fields, *twice, *twice])


def misfits(known: pa.Schema, schema: pa.Schema, union: Union, names: Iterable[str]) -> Mapping[str, str]:
    """Which of these columns need another type in a new file than an output has them in, and which."""
    found: dict[str, str] = {}
    for name in names:
        if known.names.count(name) == schema.names.count(name) == 1:
            mine, other = known.field(name).type, schema.field(name).type
            both = union(mine, other)
            if both is None or _settled(both, union) != mine:
                found[name] = str(_settled(other, union))
    return found


def _settled(kind: pa.DataType, union: Union) -> pa.DataType:
    """The type as it is written: of JSON, a column of nulls is text, and wide integers are integers."""
    if union is json_union:
        return pa.int64() if kind == WIDE else pa.string() if kind == pa.null() else kind
    return kind
