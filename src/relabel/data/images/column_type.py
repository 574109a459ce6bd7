"""Whether a column of a type can hold images. Knows Arrow's types; sees no row."""

from __future__ import annotations

from collections.abc import Iterable

import pyarrow as pa

from relabel.errors import SpecError

_TEXT = (pa.types.is_string, pa.types.is_large_string, pa.types.is_string_view)
_BYTES = (pa.types.is_binary, pa.types.is_large_binary, pa.types.is_fixed_size_binary, pa.types.is_binary_view)
_LISTS = (
    pa.types.is_list,
    pa.types.is_large_list,
    pa.types.is_fixed_size_list,
    pa.types.is_list_view,
    pa.types.is_large_list_view,
)


def check_image_columns(names: Iterable[str], columns: pa.Schema) -> None:
    """Refuse with a SpecError a column of `prompt.image` that can hold no image in any row."""
    for name in names:
        kind = columns.field(name).type
        if not _holds_images(kind):
            raise SpecError(
                f"prompt.image names column {name!r} of type {kind}, which can hold no image; name one of encoded "
                "bytes, base64 text, paths, structs of bytes and path, or a list of these"
            )


def _holds_images(kind: pa.DataType) -> bool:
    if any(is_list(kind) for is_list in _LISTS):
        return _holds_image(kind.value_type)
    return _holds_image(kind)


def _holds_image(kind: pa.DataType) -> bool:
    if pa.types.is_dictionary(kind):
        kind = kind.value_type
    if pa.types.is_struct(kind):
        fields = {field.name: field.type for field in kind}
        return any(name in fields and _is_plain(fields[name]) for name in ("bytes", "path"))
    return _is_plain(kind)


def _is_plain(kind: pa.DataType) -> bool:
    return pa.types.is_null(kind) or any(is_kind(kind) for is_kind in (*_TEXT, *_BYTES))
