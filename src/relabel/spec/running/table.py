"""The table that a run commits its rows to. Knows nothing of tables but where they are."""

from __future__ import annotations

from typing import Literal

from pydantic import model_validator

from relabel.spec.section import Section


class Table(Section):
    """A table that holds all rows of the output as soon as these are complete. It may change between runs of one
    recipe."""

    format: Literal["delta", "iceberg", "lance"]
    """The format of the table. Each needs a package: `pip install 'ray-relabel[delta]'`, `[iceberg]` or `[lance]`."""
    path: str | None = None
    """The folder or URL of a Delta or Lance table. It is new, or was made for this recipe."""
    name: str | None = None
    """The name of an Iceberg table in its catalog, such as `captions.coco`. It is new, or was made for this recipe."""
    catalog: str = "default"
    """The Iceberg catalog, as pyiceberg's own file or environment variables know it."""

    @model_validator(mode="after")
    def _is_somewhere(self) -> Table:
        if self.format == "iceberg":
            if self.path is not None or self.name is None or "." not in self.name:
                raise ValueError("an iceberg table is in a catalog: give its name as NAMESPACE.TABLE, and no path")
        elif self.path is None or self.name is not None or "catalog" in self.model_fields_set:
            raise ValueError(f"a {self.format} table is a folder: give its path, and no name or catalog")
        return self
