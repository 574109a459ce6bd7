"""Whether a source has the columns that a spec names. Knows the words of Jinja; nothing of rows."""

from __future__ import annotations

import difflib
import json
import re
from collections.abc import Mapping

from jinja2.defaults import DEFAULT_NAMESPACE

from relabel.data.prompts.reads import ROW
from relabel.errors import SpecError

_NUM_NAMED = 50
_WHOLE_ROW = (
    "a template reads row as a whole, or by a key that is no constant text: columns are read by name, "
    'as {{ title }} or {{ row["Product Name"] }}'
)


def check_columns(needed: Mapping[str, str], known: list[str]) -> None:
    """Refuse columns that the source does not have. `needed` maps a column to the spec key that names it."""
    for column, key in sorted(needed.items()):
        if known.count(column) > 1:
            raise SpecError(f"{key} names column {column!r}, which the source has more than once; rename one of them")
        if not known:
            raise SpecError(
                f"{key} names column {column!r}, and not one row of the source can be read as an object with columns: "
                "compare the files with source.format"
            )
        if column == ROW not in known and key == "prompt":
            raise SpecError(f"{key}: {_WHOLE_ROW}")
        if column not in known:
            near = difflib.get_close_matches(column, known, n=1)
            hint = f" (did you mean {near[0]!r}?)" if near else ""
            names = sorted(set(known))
            rest = f" and {len(names) - _NUM_NAMED} more" if len(names) > _NUM_NAMED else ""
            has = f"the source has: {', '.join(names[:_NUM_NAMED])}{rest}"
            raise SpecError(f"{key} names column {column!r}{hint}; {has}{_remedy(column, names, near)}")


def _remedy(column: str, names: list[str], near: list[str]) -> str:
    """What reaches a column whose name is not what it seems."""
    if column in DEFAULT_NAMESPACE:
        return f"; Jinja's own {column}() is not there in prompts"
    if len(names) == 1 and column in re.split(r"\W+", names[0]):
        return "; if that is a header of several columns, set source.delimiter"
    if near and not near[0].isidentifier():
        return f"; in a template {{{{ row[{json.dumps(near[0], ensure_ascii=False)}] }}}} reaches it"
    return ""
