"""A table of one format where a test has its own, read back by the library of the format."""

import os

import lance
import pyarrow as pa
import pyiceberg.catalog
from deltalake import DeltaTable
from pyiceberg.catalog import load_catalog
from pyiceberg.utils.config import Config

from relabel.spec.running.table import Table

FORMATS = ["delta", "iceberg", "lance"]
EMPTY = pa.schema([("a", pa.int64())])


def take(environment):
    """Have pyiceberg, which reads its variables once a process, find the catalog of a test in another one."""
    os.environ.update(environment)
    pyiceberg.catalog._ENV_CONFIG = Config()


class Place:
    """A table of one format, as its own library reads it."""

    def __init__(self, format, folder, monkeypatch):
        self.format, self.path = format, str(folder / "table")
        self.environment = {
            "PYICEBERG_CATALOG__DEFAULT__TYPE": "sql",
            "PYICEBERG_CATALOG__DEFAULT__URI": f"sqlite:///{folder}/catalog.db",
            "PYICEBERG_CATALOG__DEFAULT__WAREHOUSE": f"file://{folder}/warehouse",
        }
        for name, value in self.environment.items():
            monkeypatch.setenv(name, value)
        take(self.environment)
        (folder / "warehouse").mkdir(parents=True)
        where = {"name": "captions.coco"} if format == "iceberg" else {"path": self.path}
        self.section = Table.model_validate({"format": format, **where})

    def rows(self):
        if self.format == "iceberg":
            return load_catalog("default").load_table("captions.coco").scan().to_arrow()
        return (
            DeltaTable(self.path).to_pyarrow_table() if self.format == "delta" else lance.dataset(self.path).to_table()
        )

    def rows_by_place(self):
        rows = self.rows()
        return sorted(zip(rows["source_file"].to_pylist(), rows["source_row"].to_pylist(), strict=True))

    @property
    def num_commits(self):
        if self.format == "iceberg":  # whose overwriting is two snapshots in one commit
            snapshots = load_catalog("default").load_table("captions.coco").snapshots()
            return len({snapshot.summary["relabel.state"] for snapshot in snapshots})
        return DeltaTable(self.path).version() + 1 if self.format == "delta" else lance.dataset(self.path).version

    def make_foreign(self):
        rows = pa.table({"a": [1]})
        if self.format == "iceberg":
            load_catalog("default").create_namespace("captions")
            load_catalog("default").create_table("captions.coco", EMPTY)
        elif self.format == "delta":
            DeltaTable.create(self.path, EMPTY)
        else:
            lance.write_dataset(rows, self.path)
