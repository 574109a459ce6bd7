"""The first few rows of each kind of flaw. Knows rows by their file and number; must never know a row's text."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from pydantic import StrictInt, StrictStr

NUM_EXAMPLES = 3
"""Rows that are named for each kind."""
KINDS = ("empty", "truncated", "repeated", "refused", "changed")
"""Kinds of rows of which examples are kept."""
Reference = tuple[StrictStr, StrictInt]
"""A file and a row in it. The file is empty where it is the one that the part was made from: its stamp names that."""
Examples = Mapping[str, tuple[Reference, ...]]
"""Rows by the kind of their flaw, in order; a kind without rows is left out."""


def first_examples(found: Mapping[str, Iterable[Reference]]) -> Examples:
    """The first rows of each kind that has any."""
    return {kind: tuple(sorted(rows)[:NUM_EXAMPLES]) for kind, rows in found.items() if rows}
