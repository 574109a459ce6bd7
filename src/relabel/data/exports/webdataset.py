"""An export as WebDataset: tar files of samples, each its image, its label as text, and the whole row as JSON.

A shard is there whole or not at all, and a progress document says with which row the next one begins: the same call
goes on there. Knows keys and members; which rows there are is told.
"""

from __future__ import annotations

import io
import tarfile
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from relabel.data.exports.chosen import ChosenRows, UnitRows
from relabel.data.exports.plain import lines_of
from relabel.data.exports.progress import Progress, Shard
from relabel.data.exports.target import whole
from relabel.data.images.root import Root, open_root
from relabel.data.images.value import each_image, encoded_bytes
from relabel.data.sources.files import MAX_IMAGE_BYTES
from relabel.errors import RowRejected

NO_IMAGE = "without_image"
_SUFFIXES = (
    (b"\xff\xd8\xff", 0, "jpg"),
    (b"\x89PNG", 0, "png"),
    (b"WEBP", 8, "webp"),
    (b"GIF8", 0, "gif"),
    (b"II*\0", 0, "tif"),
    (b"MM\0*", 0, "tif"),
    (b"ftypavi", 4, "avif"),
    (b"ftyphei", 4, "heic"),
    (b"BM", 0, "bmp"),
)
"""How image files begin, at which byte, and the suffix that they get; others get `img`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Sample:
    """One row."""

    place: tuple[int, int]
    """The number of its unit, and of the row in it."""
    members: Sequence[tuple[str, bytes]]
    counts: Sequence[str]
    """The status of the row; NO_IMAGE where none of its images can be read."""

    @property
    def num_bytes(self) -> int:
        """In a tar file: a block for each header, and contents in whole blocks."""
        block = tarfile.BLOCKSIZE
        return sum(block + -(-len(data) // block) * block for _, data in self.members)


def write_webdataset(chosen: ChosenRows, progress: Progress, *, text: str | None, shard_bytes: int) -> None:
    """Write the shards that are not there yet, of at most so many bytes each, or of one sample.

    `text` is the column of the label, if that holds one text.
    """
    samples = _samples(chosen, progress.next, text)
    sample = next(samples, None)
    while sample is not None:
        name, counts, num_bytes = progress.next_name, Counter[str](), 0
        with whole(progress.url(name)) as file:
            with tarfile.open(fileobj=file, mode="w|") as tar:
                while sample is not None and (not num_bytes or num_bytes + sample.num_bytes <= shard_bytes):
                    for member, data in sample.members:
                        header = tarfile.TarInfo(member)
                        header.size = len(data)
                        tar.addfile(header, io.BytesIO(data))
                    num_bytes += sample.num_bytes
                    counts.update(sample.counts)
                    sample = next(samples, None)
            size = file.tell()
        progress.add(
            Shard(name=name, size=size, counts=dict(counts)), sample and sample.place, chosen.counts["missing"]
        )
    progress.finish(chosen.counts["missing"])


def _samples(chosen: ChosenRows, begin: tuple[int, int], text: str | None) -> Iterator[_Sample]:
    """The samples from a row on."""
    source = chosen.source
    root = open_root(source.image_root) if source and source.image_columns else None
    for unit in chosen.each(begin[0]):
        for row, (place, line) in enumerate(zip(unit.places, lines_of(unit.rows), strict=True)):
            if (unit.number, place) >= begin:
                yield _sample(unit, row, line, text, root)


def _sample(unit: UnitRows, row: int, line: bytes, text: str | None, root: Root | None) -> _Sample:
    key, place = f"{unit.first + unit.places[row]:09d}", (unit.number, unit.places[row])
    images = [data for column in unit.images for data in _files(column[row], root)]
    numbers = [""] if len(images) == 1 else [f"{number}." for number in range(len(images))]
    members = [(f"{key}.{number}{_suffix(data)}", data) for number, data in zip(numbers, images, strict=True)]
    label = unit.rows[text][row].as_py() if text is not None else None
    if isinstance(label, str):
        members.append((f"{key}.txt", label.encode()))
    status = unit.rows["status"][row].as_py()
    counts = [status] if images or not unit.images else [status, NO_IMAGE]
    return _Sample(place=place, members=[*members, (f"{key}.json", line)], counts=counts)


def _files(value: object, root: Root | None) -> Iterator[bytes]:
    """The image files of one row and column; those that cannot be read, for which such a row is a reject, are not."""
    try:
        for one in each_image(value):
            if data := encoded_bytes(one, root, MAX_IMAGE_BYTES):
                yield data
    except RowRejected:
        return


def _suffix(data: bytes) -> str:
    return next((suffix for head, at, suffix in _SUFFIXES if data.startswith(head, at)), "img")
