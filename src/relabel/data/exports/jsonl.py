"""An export as JSON lines: one object a row. Knows lines, not what is in them."""

from __future__ import annotations

from relabel.data.exports.chosen import ChosenRows
from relabel.data.exports.plain import lines_of
from relabel.data.exports.target import whole


def write_jsonl(chosen: ChosenRows, target: str) -> None:
    """Write all rows to one file, which is there whole or not at all."""
    with whole(target) as file:
        for unit in chosen.each():
            for line in lines_of(unit.rows):
                file.write(line + b"\n")
