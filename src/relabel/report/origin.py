"""Rows read again from their source, for what the output does not hold: pictures, the prompt's columns, the old label.

The source may be gone, changed or out of reach since: then that is said of each row, and nothing ends for it. Knows a
spec and the plan; nothing of parts.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field

import pyarrow as pa

from relabel.data.images.root import open_root
from relabel.data.images.value import each_image
from relabel.data.prompts.chat import Chat, read_chat
from relabel.data.prompts.template import PromptTemplate
from relabel.data.sources import read
from relabel.data.sources.unit import Unit
from relabel.errors import RelabelError, RowRejected
from relabel.report.row import Picture, shown
from relabel.report.thumbnail import Thumbnails
from relabel.spec import Spec

MOST_PICTURES = 6
"""Of one row."""
_NUM_READERS = 16
"""A picture in an object store is a wait of some 20 ms."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """What was found of one row."""

    pictures: tuple[Picture, ...] = ()
    given: Mapping[str, str] = field(default_factory=dict)
    """The texts that its prompt is made of, by column."""
    values: Mapping[str, object] = field(default_factory=dict)
    """Of the other columns that were asked for."""
    missing: str = ""
    """Why nothing was found."""


class Origin:
    """The source of a run, by its spec as the run took it."""

    def __init__(self, spec: Spec, columns: Sequence[str], beside: Sequence[str], *, room: int) -> None:
        """`columns` are those of the source, `beside` those that are wanted though no prompt reads them; `room` has
        the bytes that pictures may take in all rows together, and in one of them."""
        self._spec, self._chat = spec, spec.prompt.messages
        has_row = "row" in columns
        read_by = [PromptTemplate(query.prompt).columns(has_row=has_row) for query in spec.queries if not self._chat]
        self._texts = [name for name in dict.fromkeys(sorted(set().union(*read_by))) if name in columns]
        self._images = [name for name in spec.prompt.images if name in columns]
        self._beside = [name for name in beside if name in columns]
        own = [*self._texts, *self._images, *self._beside, *([self._chat] if self._chat in columns else [])]
        self._columns = [name for name in dict.fromkeys(own) if name is not None]
        self._room = room

    def read(self, unit: Unit, numbers: Sequence[int]) -> list[Found]:
        """What is found of some rows of a unit, by their numbers in their file, in order."""
        if not self._columns:
            return [Found()] * len(numbers)
        try:
            rows = read(unit, self._spec.source, self._columns, pa.schema([]))
        except (RelabelError, OSError) as error:  # a file that is gone, another version, no right to read
            return [Found(missing=f"the source cannot be read again: {error}")] * len(numbers)
        places = [number - unit.first_row for number in numbers]
        values = [{name: rows.columns[name][at] for name in self._columns} for at in places]
        thumbnails = self._thumbnails(unit)
        with ThreadPoolExecutor(_NUM_READERS) as threads:
            return list(threads.map(lambda row: self._found(row, thumbnails), values))

    def _thumbnails(self, unit: Unit) -> Thumbnails:
        url, path = unit.file.url, unit.file.path
        root = self._spec.source.image_root
        if root is None and self._images:  # paths in a chat lead nowhere but to a root that the spec names
            root = url.removesuffix(path) or None
        return Thumbnails(
            prompt=self._spec.prompt, root=None if root is None else open_root(root), most_bytes=self._room
        )

    def _found(self, row: Mapping[str, object], thumbnails: Thumbnails) -> Found:
        given = {name: text for name in self._texts if (text := shown(row[name])) is not None}
        try:
            chat = read_chat(row[self._chat], has_images=bool(self._images)) if self._chat else None
            images = [image for name in self._images for image in each_image(row[name])]
        except RowRejected as error:
            return Found(given=given, values=row, pictures=(Picture(why=str(error)),))
        if chat is not None:
            given |= {self._chat or "": "\n".join(_lines(chat))}
            images += [url for url in chat.image_urls if url is not None]
        pictures = [thumbnails(image) for image in images[:MOST_PICTURES]]
        if len(images) > MOST_PICTURES:
            pictures.append(Picture(why=f"and {len(images) - MOST_PICTURES} more"))
        return Found(given=given, values=row, pictures=tuple(pictures))


def _lines(chat: Chat) -> Iterator[str]:
    """A chat as a person reads it."""
    for message in chat.messages:
        yield f"{message.role}: {''.join('[image]' if part is None else part for part in message.parts)}"
