"""Images of a row: from bytes or a path under the image root to RGB pixels of a bounded size, or a reason why not.

Total: any value gives an image or a RowRejected. Fetches no URL, follows no path out of the root, and decodes nothing
before its size is known. Knows nothing of models or prompts.
"""

from __future__ import annotations

import io
import math
import os
import re
import struct
import warnings
import zlib

import numpy as np
import pyarrow as pa
import pyarrow.fs as pafs
from PIL import Image

from relabel.data.sources import files
from relabel.errors import RowRejected, SourceUnreadable
from relabel.rejected import Code

FORMATS = ("JPEG", "PNG", "WEBP", "GIF", "BMP", "TIFF")
"""Raster formats with decoders that are fuzzed; others (PostScript, PDF, icons, ...) do more than images need."""

_URL = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*:")
_TURNS: dict[object, Image.Transpose] = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
_ORIENTATION = 0x0112
_DAMAGE = (
    ArithmeticError,
    AssertionError,
    AttributeError,
    EOFError,
    LookupError,
    MemoryError,
    OSError,
    RuntimeError,
    SyntaxError,
    TypeError,
    ValueError,
    struct.error,
    zlib.error,
)
"""What Pillow's decoders raise on damaged files."""


def decode_image(value: object, *, root: str | None, max_bytes: int, max_pixels: int, fit_pixels: int) -> Image.Image:
    """The image as RGB with at most `fit_pixels` pixels. Raises RowRejected with `image: ...` for every other value.

    `value` is the encoded bytes, a `{bytes, path}` dict, or a path under `root`. SourceUnreadable only where the
    storage of the root fails, which is no fault of the row.
    """
    data = _bytes_of(value, root, max_bytes)
    if not data:
        raise RowRejected(Code.IMAGE, "empty")
    if len(data) > max_bytes:
        raise _too_large(len(data), max_bytes)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        warnings.simplefilter("error", Image.DecompressionBombWarning)
        try:
            return _decode(data, max_pixels, fit_pixels)
        except Image.UnidentifiedImageError as error:
            raise RowRejected(Code.IMAGE, "not an image, or of a format that is not read") from error
        except (Image.DecompressionBombError, Image.DecompressionBombWarning) as error:
            limit = min(max_pixels, Image.MAX_IMAGE_PIXELS or max_pixels)
            raise RowRejected(Code.IMAGE, f"more pixels than the limit of {limit}") from error
        except _DAMAGE as error:
            reason = "truncated" if "truncated" in str(error) else "damaged"
            raise RowRejected(Code.IMAGE, reason) from error


def fit_size(width: int, height: int, fit_pixels: int) -> tuple[int, int]:
    """The largest size of about the same shape with at most `fit_pixels` pixels."""
    if width * height <= fit_pixels:
        return width, height
    scale = math.sqrt(fit_pixels / (width * height))
    short = max(1, int(min(width, height) * scale))
    long = min(max(1, int(max(width, height) * scale)), fit_pixels // short)
    return (long, short) if width >= height else (short, long)


def _decode(data: bytes, max_pixels: int, fit_pixels: int) -> Image.Image:
    image = Image.open(io.BytesIO(data), formats=FORMATS)
    width, height = image.size
    if width * height > max_pixels:
        raise RowRejected(Code.IMAGE, f"{width} x {height} pixels is over the limit of {max_pixels}")
    size = fit_size(width, height, fit_pixels)
    if size != image.size:
        image.draft(image.mode, (2 * size[0], 2 * size[1]))  # JPEG only; twice the size keeps the resize sharp
    image.load()
    turn = _TURNS.get(_orientation(image))
    rgb = _to_rgb(image)
    if rgb.size != size and rgb.width * rgb.height > fit_pixels:
        rgb = rgb.resize(fit_size(*rgb.size, fit_pixels), Image.Resampling.LANCZOS)
    return rgb if turn is None else rgb.transpose(turn)


def _orientation(image: Image.Image) -> object:
    try:
        return image.getexif().get(_ORIENTATION)
    except _DAMAGE:  # the pixels are sound, and only the notes beside them are damaged
        return None


def _to_rgb(image: Image.Image) -> Image.Image:
    """Eight bits a channel; what is transparent becomes white."""
    if image.mode.startswith("I;16"):
        image = Image.fromarray((np.asarray(image).astype(np.uint16) >> 8).astype(np.uint8))
    elif image.mode in ("I", "F"):
        image = Image.fromarray(_stretched(np.asarray(image).astype(np.float64)))
    if image.has_transparency_data:
        canvas = Image.new("RGBA", image.size, "white")
        image = Image.alpha_composite(canvas, image.convert("RGBA"))
    rgb = image.convert("RGB")
    rgb.info = {}  # an orientation left in it would be applied a second time
    return rgb


def _stretched(values: np.ndarray) -> np.ndarray:
    """Numbers of an unknown range, from black for the least to white for the greatest."""
    values = np.nan_to_num(values, nan=0.0, posinf=0.0, neginf=0.0)
    low, high = values.min(), values.max()
    return ((values - low) * (255 / (high - low) if high > low else 0)).astype(np.uint8)


def _bytes_of(value: object, root: str | None, max_bytes: int) -> bytes:
    if isinstance(value, dict):
        value = value.get("bytes") if value.get("bytes") is not None else value.get("path")
    if value is None:
        raise RowRejected(Code.IMAGE, "missing")
    if isinstance(value, bytes | bytearray | memoryview):
        return bytes(value)
    if not isinstance(value, str):
        raise RowRejected(Code.IMAGE, "neither bytes nor a path")
    return _bytes_under(value, root, max_bytes)


def _bytes_under(path: str, root: str | None, max_bytes: int) -> bytes:
    if not path:
        raise RowRejected(Code.IMAGE, "empty path")
    if _URL.match(path) or path.startswith("//"):
        raise RowRejected(Code.IMAGE, "a URL, which is never fetched")
    if path.startswith("/") or "\0" in path or ".." in path.replace("\\", "/").split("/"):
        raise RowRejected(Code.IMAGE, "a path that leaves the image root")
    if root is None:
        raise RowRejected(Code.IMAGE, "a path, but there is no image root")
    root = files.absolute(root)
    filesystem, base = files.locate(root)
    try:
        if isinstance(filesystem, pafs.LocalFileSystem):
            return _local_bytes(base, path, max_bytes)
        place = f"{base.rstrip('/')}/{path}"
        info = filesystem.get_file_info(place)
        if info.type != pafs.FileType.File:
            raise RowRejected(Code.IMAGE, "missing")
        if info.size is not None and info.size > max_bytes:
            raise _too_large(info.size, max_bytes)
        with filesystem.open_input_file(place) as handle:
            return handle.read(max_bytes + 1)
    except (FileNotFoundError, NotADirectoryError) as error:
        raise RowRejected(Code.IMAGE, "missing") from error
    except PermissionError as error:
        raise RowRejected(Code.IMAGE, "not allowed to be read") from error
    except (OSError, pa.ArrowException) as error:
        raise SourceUnreadable(f"the image root {root} cannot be read: {files.sentence(error)}") from error


def _local_bytes(base: str, path: str, max_bytes: int) -> bytes:
    """Only a regular file whose real place is under the root: no link out of it, no pipe, no device."""
    try:
        base = os.path.realpath(base)
        place = os.path.realpath(os.path.join(base, path))
        if os.path.commonpath([base, place]) != base:
            raise RowRejected(Code.IMAGE, "a path that leaves the image root")
        if not os.path.isfile(place):
            raise RowRejected(Code.IMAGE, "missing")
    except ValueError as error:  # a name that cannot be encoded
        raise RowRejected(Code.IMAGE, "missing") from error
    if (size := os.path.getsize(place)) > max_bytes:
        raise _too_large(size, max_bytes)
    with open(place, "rb") as handle:
        return handle.read(max_bytes + 1)


def _too_large(num_bytes: int, max_bytes: int) -> RowRejected:
    return RowRejected(Code.IMAGE, f"{num_bytes} bytes is over the limit of {max_bytes}")
