"""Folders of image files: each folder is one source file, each image in it, by name, one row.

Knows which files are images by their names only; never decodes one.
"""

# pyarrow has no types, so that nothing that comes from it has one.
# pyright: reportMissingTypeStubs=false, reportUnknownMemberType=false, reportUnknownVariableType=false
# pyright: reportUnknownArgumentType=false, reportUnknownParameterType=false, reportUnknownLambdaType=false
from __future__ import annotations

import hashlib
import threading
from collections.abc import Collection, Iterable, Sequence

import pyarrow as pa

from relabel.data.sources import files
from relabel.data.sources.cutting import cut_rows
from relabel.data.sources.finding import matches
from relabel.data.sources.formats.format import Scanned
from relabel.data.sources.roots import source_root
from relabel.data.sources.types import arrow_union
from relabel.data.sources.unit import Rows, SourceFile, Unit
from relabel.data.sources.values import Record, make_rows
from relabel.errors import SourceUnreadable
from relabel.rejected import Code, Rejected
from relabel.spec import Source

# fmt: off
SUFFIXES = (
    ".jpg", ".jpeg", ".jpe", ".jfif", ".png", ".apng", ".webp", ".gif", ".bmp", ".dib", ".tif", ".tiff", ".avif",
    ".avifs", ".heic", ".heif", ".hif", ".jp2", ".j2k", ".j2c", ".jpc", ".jpf", ".jpx", ".mpo", ".ico",
    ".cur", ".icns", ".ppm", ".pgm", ".pbm", ".pnm", ".pfm", ".tga", ".icb", ".vda", ".vst", ".psd", ".qoi", ".dds",
    ".pcx", ".dcx", ".pcd", ".sgi", ".rgb", ".rgba", ".bw", ".ras", ".im", ".msp", ".pxr", ".gbr", ".xbm", ".xpm",
    ".fit", ".fits", ".fli", ".flc", ".ftc", ".ftu", ".blp",
)
# fmt: on
"""Of images: what Pillow calls the formats that are read, in any spelling of upper and lower case."""

union = arrow_union

SCHEMA = pa.schema([("path", pa.string()), ("image", pa.binary())])

_lock = threading.Lock()
_last_listing: dict[SourceFile, list[files.Entry]] = {}
"""Of the folder read last: a folder of a million images is listed once in a process, not once for each unit."""


def takes(url: str, *, is_named: bool) -> bool:
    return url.lower().endswith(SUFFIXES)


def group(entries: Collection[files.Entry], root: str) -> list[SourceFile]:
    """One source file for every folder that holds an image."""
    folders: dict[str, list[files.Entry]] = {}
    for entry in entries:
        folders.setdefault(entry.url.rpartition("/")[0] or "/", []).append(entry)
    return [
        SourceFile(
            path=files.relative(folder, root) or root.rpartition("/")[2] or "images",
            url=folder,
            size=sum(entry.size for entry in images),
            version=_digest(images),
        )
        for folder, images in folders.items()
    ]


def scan(file: SourceFile, source: Source, unit_rows: int, needed: Collection[str] | None = None) -> Scanned:
    return Scanned(units=cut_rows(file, (0 for _ in _images(file, source)), unit_rows), columns=SCHEMA)


def read(unit: Unit, source: Source, columns: Sequence[str], kept: pa.Schema) -> Rows:
    root = source_root(source)
    images = _images(unit.file, source)[unit.first_row : unit.first_row + unit.num_rows]
    with_bytes = "image" in (*columns, *kept.names)
    with files.reading(unit.file):
        return make_rows([_record(image, root, with_bytes) for image in images], columns, kept)


def _record(image: files.Entry, root: str, with_bytes: bool) -> Record:
    record = {"path": files.relative(image.url, root)}
    if not with_bytes:
        return record
    if image.size > files.MAX_IMAGE_BYTES:
        return Rejected(Code.SOURCE, f"an image of more than {files.MAX_IMAGE_BYTES >> 20} MiB")
    filesystem, path = files.locate(image.url)
    try:
        with filesystem.open_input_file(path) as handle:
            return record | {"image": handle.read()}
    except (FileNotFoundError, PermissionError):  # other errors are the storage's: they cost a retry, not the row
        return Rejected(Code.SOURCE, "the image cannot be opened")


def _images(file: SourceFile, source: Source) -> list[files.Entry]:
    with _lock:
        known = _last_listing.get(file)
    if known is not None:
        return known
    patterns = [files.absolute(pattern) for pattern in source.paths]
    with files.reading(file):
        images = [
            entry
            for entry in files.list_folder(file.url)
            if entry.url.lower().endswith(SUFFIXES) and any(matches(pattern, entry.url) for pattern in patterns)
        ]
    if (sum(image.size for image in images), _digest(images)) != (file.size, file.version):
        raise SourceUnreadable(f"{file.url} changed after it was planned; run the same command again")
    with _lock:
        _last_listing.clear()
        _last_listing[file] = images
    return images


def _digest(images: Iterable[files.Entry]) -> str:
    lines = sorted(f"{image.url.rpartition('/')[2]}\0{image.size}\0{image.version}\n" for image in images)
    return hashlib.sha256("".join(lines).encode(errors="surrogateescape")).hexdigest()[:32]
