"""Whether a source has the columns that a spec names. Knows nothing of templates or rows."""

from __future__ import annotations

import difflib
from collections.abc import Mapping

from relabel.errors import SpecError


def check_columns(needed: Mapping[str, str], known: list[str]) -> None:
    """Refuse columns that the source does not have. `needed` maps a column to the spec key that names it."""
    for column, key in sorted(needed.items()):
        if column not in known:
            near = difflib.get_close_matches(column, known, n=1)
            hint = f" (did you mean {near[0]!r}?)" if near else ""
            raise SpecError(f"{key} names column {column!r}{hint}; the source has: {', '.join(sorted(known))}")
