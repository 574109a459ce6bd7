"""One row in, what the model reads for each of its labels out. Images are decoded once for all of them.

Joins the encoders of a spec's queries; knows nothing of blocks or engines.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from relabel.data.sources.openai import SETTINGS
from relabel.errors import RowRejected, SourceUnreadable, SpecError
from relabel.job.encoding.encode import Encoded, Encoder
from relabel.job.encoding.settings import check_settings
from relabel.rejected import Code, Rejected
from relabel.spec import Spec


class RowEncoder:
    """Encodes rows for all queries of a spec. Raises SpecError or ModelRefused where one and the model do not fit."""

    def __init__(self, spec: Spec, image_root: str | None) -> None:
        self.encoders = tuple(Encoder(spec, query.prompt, image_root) for query in spec.queries)
        truncate = spec.prompt.truncate
        if truncate is not None and not any(truncate in encoder.text_columns for encoder in self.encoders):
            raise SpecError(f"prompt.truncate names {truncate!r}, which no template reads; name one that does")
        self.settings = SETTINGS if spec.source.format == "openai" else None
        """The column of a row's own sampling settings, or None where rows have none."""
        self._queries = spec.queries
        self.row_bytes = max(encoder.row_bytes for encoder in self.encoders)
        """Bytes of tensors that a row with images of the largest size becomes; 0 without images."""

    @property
    def columns(self) -> dict[str, str]:
        """The source columns the prompts need, each with the spec key that names it."""
        settings = {self.settings: "source.format"} if self.settings else {}
        return settings | {column: key for encoder in self.encoders for column, key in encoder.columns.items()}

    def encode(self, row: Mapping[str, Any]) -> list[Encoded | Rejected]:
        """For each query what the model reads, or the reason why the row cannot be encoded for it."""
        images, encoded = None, []
        for query, encoder in zip(self._queries, self.encoders, strict=True):
            try:
                if self.settings:
                    check_settings(query, row[self.settings])
                images = encoder.images(row) if images is None else images
                encoded.append(encoder.encode(row, images))
            except RowRejected as error:
                encoded.append(error.rejected)
            except SourceUnreadable:
                raise
            except Exception as error:  # noqa: BLE001  the boundary of a row: a processor that cannot take it
                encoded.append(Rejected(Code.PROMPT, f"it cannot be encoded ({type(error).__name__})"))
        return encoded
