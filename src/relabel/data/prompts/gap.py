"""What a template reads of a row and the row does not have: a key of an object, an element beyond the end of a list.

Knows Jinja's undefined values, and which columns hold what; never shows a key that comes from a row.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from types import TracebackType
from typing import cast

from jinja2 import StrictUndefined, UndefinedError
from jinja2.utils import missing

from relabel.data.prompts.origin import Traced, own_of, plain


class GapRead(UndefinedError):
    """A template used something that is not there."""

    def __init__(self, place: object, name: object, message: str | None = None) -> None:
        super().__init__(message)
        self.place, self.name = place, name


class Gap(StrictUndefined):
    """Something that is not there. Whatever is done with it, but to ask for it or to give it a default, is an error."""

    __slots__ = ()

    def __init__(
        self,
        hint: str | None = None,
        obj: object = missing,
        name: str | None = None,
        exc: type[Exception] = UndefinedError,
    ) -> None:
        told = partial(GapRead, obj, name) if exc is UndefinedError else exc
        super().__init__(hint, obj, name, cast("type[UndefinedError]", told))


def why_not(error: GapRead, source: str, values: Mapping[str, object]) -> str:
    """What a template with this source read in vain, of the values of which column, and what to do.

    A name is shown only where the template itself spells it.
    """
    column = next((name for name, value in values.items() if _holds(value, error.place)), None)
    of_what = "a value" if column is None else f"column {column!r}"
    if error.place is missing:
        what = "something"
    elif isinstance(name := error.name, str) and (own_of(name) if isinstance(name, Traced) else name in source):
        what = f"{plain(name)!r} of {of_what}"
    elif isinstance(error.place, Mapping):
        what = f"a key of {of_what}"
    else:
        what = f"an element of {of_what} beyond its end"
    return f"reads {what}, which is not there in this row; | default('') puts another in its place"


def line_of(trace: TracebackType | None) -> int:
    """The line of a template in which an error was raised; 1 where that is not told."""
    line = 1
    while trace is not None:
        if trace.tb_frame.f_code.co_filename == "<template>":
            line = trace.tb_lineno
        trace = trace.tb_next
    return line


def _holds(value: object, place: object) -> bool:
    """Whether a value is that place or has it inside."""
    pending = [value]
    while pending:
        one = pending.pop()
        if one is place:
            return True
        if isinstance(one, dict):
            pending += cast(dict[object, object], one).values()
        elif isinstance(one, list):
            pending += cast(list[object], one)
    return False
