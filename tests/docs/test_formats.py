"""The table of formats says of each whether it is checked and whether a constraint writes it."""

import re
from pathlib import Path

from relabel.engine.grammar.formats import WRITTEN
from relabel.spec.schemas.formats import CHECKED

PAGE = Path(__file__).parents[2] / "docs" / "guide" / "labels.md"


def test_the_table_of_formats_is_that_of_the_code():
    rows = PAGE.read_text(encoding="utf-8").partition("## Formats")[2].partition("\n## ")[0].splitlines()
    table = {
        name: row for row in rows if row.startswith("| `") for name in re.findall("`([a-z0-9-]+)`", row.split("|")[1])
    }
    assert sorted(table) == sorted(CHECKED)
    assert {name for name, row in table.items() if row.split("|")[2].strip().startswith("yes")} == set(WRITTEN)
