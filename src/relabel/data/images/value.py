"""What a column holds for the images of a row: in which forms, how many, and the encoded bytes of each.

Total: any value gives bytes or a RowRejected (image) that never quotes it. Fetches no URL, and follows no path out of
the root. Knows nothing of models or prompts.
"""

from __future__ import annotations

import ast
import json
import re
import unicodedata
import warnings
from collections.abc import Iterator

from PIL import Image

from relabel.data.images.base64_text import bytes_of_ascii, bytes_of_base64, bytes_of_text
from relabel.data.images.picture import Fit, decode_picture
from relabel.data.images.reference import MISSING
from relabel.data.images.root import Root
from relabel.errors import RowRejected
from relabel.rejected import Code

MAX_IMAGES = 64
"""Images of one row. At a model's size an image has some 3 MB, and a small file may claim any number of them."""

_WRITTEN = re.compile(r"""\s*(?:[\[{"]|b['"])""")
"""How JSON begins, or what Python shows of bytes and of what holds them: a column of text has no lists."""

_QUOTED = re.compile(r"""'(?:[^'\\]++|\\.)*+'|"(?:[^"\\]++|\\.)*+\"""", re.DOTALL)
_PARTS = re.compile(r"[\[({,:+-]")
MAX_PARTS = 1000
"""Of a text that Python shows, outside of quotes."""

_PATH = re.compile(rb"[^\x00-\x1f\x7f]{1,1000}\.[A-Za-z0-9]{2,5}")
"""Old writers of Parquet do not say of their bytes that they are text."""


def each_image(value: object) -> list[object]:
    """The images that a value of a column stands for: those of a list in their order, else the value itself.

    An empty list is a row without images; a null is an image that is missing. Raises RowRejected (image).
    """
    if isinstance(value, str) and _WRITTEN.match(value):
        value = _read(value)
    found = value if isinstance(value, list) else [value]
    if len(found) > MAX_IMAGES:
        raise RowRejected(Code.IMAGE, f"{len(found)} images, limit {MAX_IMAGES}")
    return found


def decode_image(value: object, *, root: Root | None, max_bytes: int, max_pixels: int, fit: Fit) -> Image.Image:
    """The image as RGB of a size that fits. Raises RowRejected with `image: ...` for every other value.

    `value` is the encoded bytes, their base64 text, a data: URL, a path under `root`, or a struct of `bytes` and
    `path`. SourceUnreadable only where the storage of the root fails, which is no fault of the row.
    """
    data = encoded_bytes(value, root, max_bytes)
    if not data:
        raise RowRejected(Code.IMAGE, "empty")
    if len(data) > max_bytes:
        raise RowRejected(Code.IMAGE, f"{len(data)} bytes is over the limit of {max_bytes}")
    return decode_picture(data, max_pixels=max_pixels, fit=fit)


def encoded_bytes(value: object, root: Root | None, max_bytes: int) -> bytes:
    """The bytes of an image file as they are kept, in any of the forms of `decode_image`; they may be none.

    Raises RowRejected (image), SourceUnreadable where the storage of the root fails.
    """
    if isinstance(value, dict):
        if value and not _has_image(value):
            raise RowRejected(Code.IMAGE, "an object without bytes and without a path")
        if isinstance(text := value.get("bytes"), str):  # JSON has no bytes
            return bytes_of_base64(text, max_bytes)
        value = value.get("bytes") if value.get("bytes") is not None else value.get("path")
    if value is None or value != value:  # NaN is how pandas writes that there is none
        raise RowRejected(Code.IMAGE, MISSING)
    if isinstance(value, bytes | bytearray | memoryview):
        data = bytes(value)
        if (spelled := bytes_of_ascii(data, max_bytes)) is not None:
            return spelled
        if root is None or not _PATH.fullmatch(data):
            return data
        value = data.decode(errors="surrogateescape")
    if not isinstance(value, str):
        raise RowRejected(Code.IMAGE, "neither bytes nor a path")
    if not value:
        raise RowRejected(Code.IMAGE, "empty path")
    if (data := bytes_of_text(value, max_bytes)) is not None:
        return data
    if root is None:
        raise RowRejected(Code.IMAGE, _without_root(value))
    return _file(value, root, max_bytes)


def _read(text: str) -> object:
    """What a text writes as JSON or as Python shows it, where that can hold images; else the text, perhaps a path."""
    for read in (json.loads, _literal):
        try:
            value = read(text.strip())
        except (ValueError, SyntaxError, RecursionError, MemoryError):
            continue
        return value if isinstance(value, list | str | bytes) or _has_image(value) else text
    return text


def _literal(text: str) -> object:
    """What Python shows. Raises ValueError for what has more parts than images can have: each takes 400 bytes."""
    if len(_PARTS.findall(_QUOTED.sub("", text))) > MAX_PARTS:
        raise ValueError("too many parts")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # they quote the text
        return ast.literal_eval(text)


def _has_image(value: object) -> bool:
    return isinstance(value, dict) and ("bytes" in value or "path" in value)


def _file(path: str, root: Root, max_bytes: int) -> bytes:
    """The file at a path as it is written, or where none is, as another system writes the same path."""
    try:
        return root.read(path, max_bytes)
    except RowRejected as error:
        if error.rejected.detail == MISSING:
            for spelling in _spellings(path):
                try:
                    return root.read(spelling, max_bytes)
                except RowRejected:
                    continue
        raise


def _spellings(path: str) -> Iterator[str]:
    """The other ways to write a path: of Windows with slashes, and accents as letters of their own or joined."""
    slashed = path.replace("\\", "/")
    others = {slashed, unicodedata.normalize("NFC", slashed), unicodedata.normalize("NFD", slashed)}
    yield from sorted(others - {path})


def _without_root(text: str) -> str:
    is_url = "://" in text[:16] or text.startswith("//")
    return "a URL, which is never fetched" if is_url else "a path, but there is no image root"
