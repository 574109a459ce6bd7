"""An Iceberg table, by pyiceberg. The mark is two properties of the table, which one transaction sets with the rows."""

from __future__ import annotations

import pyarrow as pa
from pyiceberg.catalog import Catalog, load_catalog
from pyiceberg.exceptions import CommitFailedException, NoSuchTableError, TableAlreadyExistsError, ValidationException
from pyiceberg.table import Table as Loaded

from relabel.data.sources.files import sentence
from relabel.data.tables.table import OUTPUT, STATE, Mark, check_columns
from relabel.errors import Refused, StoreFailed

_TAKEN = (CommitFailedException, TableAlreadyExistsError, ValidationException)


class Iceberg:
    """The table of a name in a catalog."""

    def __init__(self, catalog: str, name: str) -> None:
        self.where = f"{catalog}:{name}"
        self._catalog_name, self._name = catalog, name
        self._catalog: Catalog | None = None
        self._seen: Loaded | None = None

    def look(self) -> Mark | None:
        try:
            self._seen = self._connected().load_table(self._name)
        except NoSuchTableError:
            self._seen = None
            return None
        except Exception as error:  # of any catalog: pyiceberg lets through what its driver or server raises
            raise Refused(f"output.table {self.where} cannot be read: {sentence(error)}") from error
        output, state = (self._seen.properties.get(name) for name in (OUTPUT, STATE))
        if output is None or state is None:
            raise Refused(f"output.table {self.where} is a table that relabel did not make: name another")
        return Mark(output=output, state=state)

    def check(self, schema: pa.Schema) -> None:
        # what creating a table does first; by a public name there is only the creation itself
        check_columns(schema, "Iceberg", Catalog._convert_schema_if_needed)  # pyright: ignore[reportPrivateUsage]

    def replace(self, rows: pa.RecordBatchReader, mark: Mark) -> bool:
        marks = {OUTPUT: mark.output, STATE: mark.state}
        try:
            if self._seen is None:
                catalog = self._connected()
                catalog.create_namespace_if_not_exists(self._name.rpartition(".")[0])
                with catalog.create_table_transaction(self._name, schema=rows.schema) as new:
                    new.append(rows, snapshot_properties=marks)
                    new.set_properties(marks)
            else:
                with self._seen.transaction() as change:
                    change.overwrite(rows, snapshot_properties=marks)
                    change.set_properties(marks)
        except _TAKEN:
            return False
        except Exception as error:  # of any catalog and any storage, as above
            raise StoreFailed(f"cannot commit to {self.where}: {sentence(error)}") from error
        return True

    def _connected(self) -> Catalog:
        self._catalog = self._catalog or load_catalog(self._catalog_name)
        return self._catalog
