"""Which formats are read: all that Pillow decodes but a few, and HEIC by a package of its own.

Knows formats by Pillow's names and by how files begin. Knows nothing of rows or files.
"""

from __future__ import annotations

import functools
import importlib
import importlib.util
import re

from PIL import Image

LEFT_OUT = {
    "EPS": "a program in PostScript, which Ghostscript would run",
    "WMF": "a drawing that Windows alone draws (also EMF)",
    "IPTC": "a wrapping of another file of any format, also of those left out",
    "BUFR": "measurements of weather; Pillow has no decoder for it",
    "GRIB": "measurements of weather; Pillow has no decoder for it",
    "HDF5": "arrays of any kind; Pillow has no decoder for it",
    "MPEG": "a film; Pillow has no decoder for it",
    "JXL": "JPEG XL, whose package decodes a picture before it tells its size",
    "FPX": "a compound document in OLE, which a package of its own reads",
    "MIC": "a compound document in OLE, which a package of its own reads",
}
"""Formats that Pillow tells by their beginning and relabel does not open, each with the reason."""

_HEIC = re.compile(rb"....ftyp(hei[cxms]|hev[cxms]|mif1|msf1)", re.DOTALL)
_JPEG_XL = re.compile(rb"\xff\x0a|\0\0\0\x0cJXL ", re.DOTALL)


@functools.lru_cache(maxsize=1)
def readable_formats() -> tuple[str, ...]:
    """Pillow's names of the formats that are read here, in the order in which they are tried."""
    Image.init()
    if _has_heif():
        importlib.import_module("pillow_heif").register_heif_opener(thumbnails=False)
    return tuple(name for name in dict.fromkeys(Image.ID) if name in Image.OPEN and name not in LEFT_OUT)


def not_read(head: bytes) -> str:
    """Why a file that begins so is of none of these formats."""
    if _HEIC.match(head) and not _has_heif():
        return "HEIC, which needs pip install 'ray-relabel[heic]'"
    if _JPEG_XL.match(head):
        return "JPEG XL, which is not read"
    return "not an image, or of a format that is not read"


def _has_heif() -> bool:
    return importlib.util.find_spec("pillow_heif") is not None
