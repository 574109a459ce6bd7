"""A Delta table, by deltalake. The mark is two application transactions, which Delta keeps over checkpoints."""

from __future__ import annotations

import pyarrow as pa
from deltalake import CommitProperties, DeltaTable, Transaction, write_deltalake
from deltalake.exceptions import CommitFailedError, DeltaError

from relabel.data.sources.files import sentence
from relabel.data.tables.table import OUTPUT, STATE, Mark, check_columns
from relabel.errors import Refused, StoreFailed


class Delta:
    """The table in a folder or at a URL."""

    def __init__(self, path: str) -> None:
        self.where = path
        self._seen: DeltaTable | None = None

    def look(self) -> Mark | None:
        try:
            self._seen = DeltaTable(self.where) if DeltaTable.is_deltatable(self.where) else None
        except (DeltaError, OSError, ValueError) as error:
            raise Refused(f"output.table {self.where} cannot be read: {sentence(error)}") from error
        if self._seen is None:
            return None
        output, state = (self._seen.transaction_version(name) for name in (OUTPUT, STATE))
        if output is None or state is None:
            raise Refused(f"output.table {self.where} is a table that relabel did not make: name another")
        return Mark(output=f"{output:015x}", state=f"{state:015x}")

    def check(self, schema: pa.Schema) -> None:
        # deltalake.Schema refuses times of zones and of seconds, which writing converts: so this is a table in memory
        check_columns(schema, "Delta", lambda columns: write_deltalake("memory://", columns.empty_table()))

    def replace(self, rows: pa.RecordBatchReader, mark: Mark) -> bool:
        marks = [Transaction(OUTPUT, int(mark.output, 16)), Transaction(STATE, int(mark.state, 16))]
        # without retries: a later version is another one than was looked at
        how = CommitProperties(app_transactions=marks, max_commit_retries=0)
        try:
            if self._seen is None:
                write_deltalake(self.where, rows, mode="error", commit_properties=how)
            else:
                write_deltalake(self._seen, rows, mode="overwrite", schema_mode="overwrite", commit_properties=how)
        except CommitFailedError:
            return False
        except Exception as error:  # for a type that Delta has not deltalake raises a bare one, of Rust
            if self._seen is None and DeltaTable.is_deltatable(self.where):
                return False
            raise StoreFailed(f"cannot commit to {self.where}: {sentence(error)}") from error
        return True
