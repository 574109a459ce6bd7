"""A Lance dataset, by pylance. The mark is metadata of its schema, which a version has from its commit on."""

from __future__ import annotations

import lance
import pyarrow as pa
from lance.schema import LanceSchema

from relabel.data.sources.files import sentence
from relabel.data.tables.table import OUTPUT, STATE, Mark, check_columns
from relabel.errors import Refused, StoreFailed

_TAKEN = ("commit conflict", "already exists")
"""What pylance's errors, which have no classes, say where another writer was faster."""


class Lance:
    """The dataset in a folder or at a URL."""

    def __init__(self, path: str) -> None:
        self.where = path
        self._seen: lance.LanceDataset | None = None

    def look(self) -> Mark | None:
        try:
            self._seen = lance.dataset(self.where)
        except ValueError as error:
            if "not found" not in str(error):
                raise Refused(f"output.table {self.where} cannot be read: {sentence(error)}") from error
            self._seen = None
            return None
        except OSError as error:
            raise Refused(f"output.table {self.where} cannot be read: {sentence(error)}") from error
        noted = self._seen.schema.metadata or {}
        output, state = (noted.get(name.encode(), b"").decode() for name in (OUTPUT, STATE))
        if not output or not state:
            raise Refused(f"output.table {self.where} is a dataset that relabel did not make: name another")
        return Mark(output=output, state=state)

    def check(self, schema: pa.Schema) -> None:
        if dotted := [name for name in schema.names if "." in name]:
            raise Refused(
                f"output.table: column {dotted[0]} has a dot in its name, which Lance takes for a field of a struct; "
                "rename it in the source, or leave it out of output.keep"
            )
        check_columns(schema, "Lance", LanceSchema.from_pyarrow)

    def replace(self, rows: pa.RecordBatchReader, mark: Mark) -> bool:
        schema = rows.schema.with_metadata({OUTPUT: mark.output, STATE: mark.state})
        marked = pa.RecordBatchReader.from_batches(schema, (batch.cast(schema) for batch in rows))
        try:
            # the dataset as it was seen: its version is what the commit is of
            lance.write_dataset(marked, self._seen or self.where, mode="overwrite" if self._seen else "create")
        except (OSError, ValueError) as error:
            if any(words in str(error) for words in _TAKEN):
                return False
            raise StoreFailed(f"cannot commit to {self.where}: {sentence(error)}") from error
        return True
