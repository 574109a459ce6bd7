"""What of a row templates may look at and not write: a null, which is false and none, and bytes that are no text.

A number that JSON does not have, NaN or infinite, is a null, too: pandas writes NaN where a number is missing. Knows
nothing of Jinja's templates but the tests and filters that ask for a null.
"""

from __future__ import annotations

import json

from jinja2 import Environment
from jinja2.filters import do_default

from relabel.errors import RowRejected
from relabel.rejected import Code


class Null:
    """The null of a column. Whatever makes a text of it rejects the row by that column."""

    __slots__ = ("_why",)

    def __init__(self, why: str) -> None:
        self._why = why

    def __bool__(self) -> bool:
        return False

    def __eq__(self, other: object) -> bool:
        return other is None or isinstance(other, Null)

    def __hash__(self) -> int:
        return hash(None)

    def __repr__(self) -> str:
        """Inside a list or a struct that is written whole."""
        return "None"

    def __str__(self) -> str:
        raise RowRejected(Code.PROMPT, self._why)


class Binary(bytes):
    """Bytes inside a column that are no text. Whatever makes a text of them rejects the row by that column."""

    _why: str

    def __new__(cls, value: bytes, why: str) -> Binary:
        self = bytes.__new__(cls, value)
        self._why = why
        return self

    def __str__(self) -> str:
        raise RowRejected(Code.PROMPT, self._why)

    __repr__ = __str__


def teach(environment: Environment) -> None:
    """Let the filters and tests of an environment know a null: `default` and `tojson`, `is none`."""
    environment.filters["default"] = environment.filters["d"] = _default
    environment.filters["tojson"] = _tojson
    environment.tests["none"] = _is_none


def _is_none(value: object) -> bool:
    return value is None or isinstance(value, Null)


def _default(value: object, default_value: object = "", boolean: bool = False) -> object:
    return default_value if isinstance(value, Null) else do_default(value, default_value, boolean)  # pyright: ignore[reportArgumentType]


def _tojson(
    value: object,
    ensure_ascii: bool = False,
    indent: int | None = None,
    separators: tuple[str, str] | None = None,
    sort_keys: bool = False,
) -> str:
    """Plain JSON, as the chat templates of transformers write it: Jinja's own filter is for HTML."""
    return json.dumps(
        value, ensure_ascii=ensure_ascii, indent=indent, separators=separators, sort_keys=sort_keys, default=_json_null
    )


def _json_null(value: object) -> None:
    if not isinstance(value, Null):
        raise TypeError(f"{type(value).__name__} is no value of JSON")
