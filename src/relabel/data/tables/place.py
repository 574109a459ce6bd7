"""Where the table of an output must not lie. Knows paths alone; what is there, the table itself is asked."""

from __future__ import annotations

from collections.abc import Iterable

from relabel.data.sources.files import absolute, relative
from relabel.data.sources.finding import matches
from relabel.errors import SpecError
from relabel.spec.running.table import Table


def refuse_place(table: Table | None, output: str, parquet: Iterable[str]) -> None:
    """Raise SpecError where the files of a table would be taken for parts of the output or for files of the source.

    `parquet`: the absolute paths and globs that the source reads Parquet files of.
    """
    if table is None or table.path is None:
        return
    path = absolute(table.path)
    if relative(path, output) is not None or relative(output, path) is not None:
        raise SpecError(
            f"output.table.path {path} and output.path {output} lie one in the other; name a folder beside it"
        )
    for pattern in parquet:
        if matches(pattern, f"{path}/part-00000.parquet"):
            raise SpecError(f"output.table.path {path} lies inside source.path {pattern}; name a folder outside of it")
