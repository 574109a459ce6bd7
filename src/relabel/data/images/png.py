"""A PNG without what is not needed for its picture: texts, colour profiles, further frames.

Pillow unpacks every text and profile of a PNG, and refuses the picture where one is large. What is not unpacked is
neither a reason to refuse a picture nor a bomb. Knows chunks; decodes no pixels.
"""

from __future__ import annotations

import re
import zlib

SIGNATURE = b"\x89PNG\r\n\x1a\n"
MAX_NOTE_BYTES = 2**18
"""Of a text that may say how the picture is turned. XMP written by cameras has a few kB."""

_NEEDED = frozenset((b"IHDR", b"PLTE", b"IDAT", b"IEND", b"tRNS", b"eXIf"))
_TEXTS = frozenset((b"tEXt", b"zTXt", b"iTXt"))
_TURNING = (b"XML:com.adobe.xmp", b"Raw profile type exif")
"""Texts in which Pillow looks for an orientation where the file has no eXIf chunk."""


def without_notes(data: bytes) -> bytes:
    """The same picture in fewer chunks. A file that is no PNG, or that ends too early, keeps its faults."""
    if not data.startswith(SIGNATURE):
        return data
    kept: list[bytes | memoryview] = [SIGNATURE]
    at = len(SIGNATURE)
    view = memoryview(data)
    while at + 12 <= len(data):
        length = int.from_bytes(view[at : at + 4], "big")
        kind, end = bytes(view[at + 4 : at + 8]), at + 12 + length
        if end > len(data):
            break
        if kind in _NEEDED or kind[:1].isupper() or (kind in _TEXTS and _turns(kind, bytes(view[at + 8 : end - 4]))):
            kept.append(view[at:end])
        at = end
        if kind == b"IEND":
            return b"".join(kept)
    return b"".join([*kept, view[at:]])


def bit_depth(data: bytes) -> int:
    """Bits of a channel of a PNG; 0 of any other file."""
    return data[24] if data.startswith(SIGNATURE) and len(data) > 24 else 0


def _turns(kind: bytes, body: bytes) -> bool:
    """Whether a text is one that may tell an orientation, and small also when it is unpacked."""
    keyword, _, rest = body.partition(b"\0")
    if keyword not in _TURNING or len(body) > MAX_NOTE_BYTES:
        return False
    packed = rest[1:] if kind == b"zTXt" else None
    if kind == b"iTXt" and rest[:1] == b"\x01":
        packed = re.sub(rb"^..[^\0]*\0[^\0]*\0", b"", rest, count=1, flags=re.DOTALL)
    if packed is None:
        return True
    try:
        unpacker = zlib.decompressobj()
        unpacker.decompress(packed, MAX_NOTE_BYTES)
    except zlib.error:
        return False
    return unpacker.eof
