"""What was read of a unit, as one short text: equal where its rows would get the same labels and the same kept columns.

Taken over values, not over the bytes of a file or of Arrow, so that it stays when a file is copied, compressed in
another way or gets a column that nobody reads. Knows nothing of stores. Of an image that a column names by its path it
knows the path alone.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Sequence
from json.encoder import encode_basestring_ascii
from typing import cast

from relabel.data.sources.unit import Rows


def digest_of(rows: Rows) -> str:
    """32 hexadecimal digits; empty, so that it equals nothing, where a value has no stable text."""
    digest = hashlib.sha256()
    try:
        for name in sorted(rows.columns):
            _add(digest, name, rows.columns[name])
        for name in rows.kept.column_names:
            _add(digest, f"kept {name}", rows.kept[name].to_pylist())
    except (ValueError, OverflowError, RecursionError):  # a date after the year 9999, a value of a thousand levels
        return ""
    _add(digest, "reasons", [None if why is None else str(why) for why in rows.reasons])
    _add(digest, "remarks", rows.remarks)
    return digest.hexdigest()[:32]


def _add(digest: hashlib._Hash, name: str, values: Sequence[object]) -> None:
    """A line a value: JSON has no line breaks, so that no two columns have the same lines."""
    digest.update("\n ".join([_JSON.encode(name), *_lines(values), ""])[:-1].encode())


def _lines(values: Sequence[object]) -> Iterable[str]:
    """What JSON writes of each; of a column of texts, whole numbers or nulls without the questions that it asks of
    others."""
    kinds = set(map(type, values))
    if kinds == {str}:
        return map(encode_basestring_ascii, cast("Sequence[str]", values))
    if kinds == {int}:
        return map(repr, values)
    return ["null"] * len(values) if kinds == {type(None)} else map(_JSON.encode, values)


def _text(value: object) -> dict[str, str]:
    """What JSON has no word for: bytes, dates, decimal numbers."""
    text = hashlib.sha256(value).hexdigest() if isinstance(value, bytes) else str(value)
    return {type(value).__name__: text}


_JSON = json.JSONEncoder(default=_text)
"""One for all values: to make one takes longer than to write a text."""
