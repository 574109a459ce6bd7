"""The contract of a table that an output is committed to, and the mark by which it says what is in it.

Knows no format of tables.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

import pyarrow as pa

from relabel.data.sources.files import sentence
from relabel.errors import Refused

OUTPUT, STATE = "relabel.output", "relabel.state"
"""The names under which a table keeps its mark."""
_DIGITS = 15
"""Of a mark, hexadecimal: Delta keeps integers of 64 bits with a sign."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Mark:
    """What a table says of its rows. It is written by the commit that writes them."""

    output: str
    """Of the recipe that they were made by."""
    state: str
    """Of the parts that they were read from, as these were then."""

    @classmethod
    def of(cls, fingerprint: str, digest: str) -> Mark:
        """The mark of a recipe's fingerprint and of a digest of parts, both hexadecimal."""
        return cls(output=fingerprint[:_DIGITS], state=digest[:_DIGITS])


def check_columns(schema: pa.Schema, format: str, take: Callable[[pa.Schema], object]) -> None:
    """Raise Refused where `take`, which a format's own library does with a schema, fails for a column or for all."""
    try:
        take(schema)
    except Exception as error:  # of any library: deltalake raises bare ones, pyiceberg and pylance what they like
        for column in schema:
            _check_column(column, format, take)
        raise Refused(
            f"output.table: {format} does not take the columns together: {sentence(error)}; "
            "rename one in the source, or leave it out of output.keep"
        ) from error


def _check_column(column: pa.Field, format: str, take: Callable[[pa.Schema], object]) -> None:
    try:
        take(pa.schema([column]))
    except Exception as error:  # as above
        raise Refused(
            f"output.table: column {column.name} is {column.type}, which {format} has no type for; "
            "cast it in the source, or leave it out of output.keep"
        ) from error


class Table(Protocol):
    """A table, which is there or not."""

    @property
    def where(self) -> str:
        """Its path or name, for messages."""
        ...

    def look(self) -> Mark | None:
        """The mark of the newest version; None where there is no table. `replace` is of the version seen here.

        Raises Refused where there is a table without a mark, or where it cannot be reached.
        """
        ...

    def check(self, schema: pa.Schema) -> None:
        """Raise Refused where rows of this schema cannot be committed, naming the column."""
        ...

    def replace(self, rows: pa.RecordBatchReader, mark: Mark) -> bool:
        """Make the table, or a version of it, that has these rows and no others, and that mark, in one atomic commit.

        False, and nothing is committed, where another writer has committed since `look`. Raises StoreFailed.
        """
        ...
