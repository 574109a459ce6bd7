"""Which columns of a source stand beside its labels: those that a spec names, or all that can.

Knows names and types; a column's values are the business of formats.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Literal

import pyarrow as pa

Keep = Sequence[str] | Literal["all"]
"""As `output.keep` says it."""


def kept_columns(keep: Keep, columns: pa.Schema, own: Collection[str]) -> pa.Schema:
    """The columns that an output has of its source's, whose own names are `own`.

    Raises ValueError where a column that is named is not there just once.
    """
    if keep == "all":
        left_out = not_kept(columns, own)
        return pa.schema([field for field in columns if field.name not in left_out])
    if lost := [name for name in keep if columns.names.count(name) != 1]:
        raise ValueError(f"output.keep names {lost[0]!r}, and there is no one such column")
    return pa.schema([columns.field(name) for name in keep])


def not_kept(columns: pa.Schema, own: Collection[str]) -> dict[str, str]:
    """The columns that an output does not have with `output.keep: all`, each with why."""
    left_out: dict[str, str] = {}
    for name, kind in zip(columns.names, columns.types, strict=True):
        if columns.names.count(name) > 1:
            left_out[name] = "a file has two columns of this name"
        elif name in own:
            left_out[name] = "the output has a column of this name"
        elif has_bytes(kind):
            left_out[name] = "it holds bytes, such as those of images"
    return left_out


def has_bytes(kind: pa.DataType) -> bool:
    """Whether values of a type hold bytes that are no text: of an image, most often."""
    if pa.types.is_nested(kind):
        return any(has_bytes(kind.field(index).type) for index in range(kind.num_fields))
    types = pa.types
    return types.is_binary(kind) or types.is_large_binary(kind) or types.is_fixed_size_binary(kind)
