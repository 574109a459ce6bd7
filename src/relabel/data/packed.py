"""Whole numbers as a short text for JSON: as many bytes each as the largest one needs, compressed, in base64.

Knows nothing of what they count.
"""

from __future__ import annotations

import base64
import zlib
from collections.abc import Sequence
from typing import Any

import numpy as np


def pack(numbers: Sequence[int]) -> str:
    """The text of numbers from 0 to 2**64 - 1; its first digit is the bytes of one number."""
    array = np.array(numbers, np.uint64)
    width = next(width for width in (1, 2, 4, 8) if array.max(initial=0) < 2 ** (8 * width))
    return f"{width}{base64.b64encode(zlib.compress(array.astype(f'<u{width}').tobytes(), 9)).decode()}"


def unpack(text: Any, most: int) -> list[int]:
    """The numbers again. Raises ValueError where the text is not of `pack`, or of more than `most` numbers."""
    if not isinstance(text, str) or text[:1] not in ("1", "2", "4", "8"):
        raise ValueError("not a text of packed numbers")
    width = int(text[0])
    decompress = zlib.decompressobj()
    try:
        data = decompress.decompress(base64.b64decode(text[1:], validate=True), width * most + 1)
    except zlib.error as error:
        raise ValueError("packed numbers that cannot be unpacked") from error
    if not decompress.eof or len(data) > width * most or len(data) % width:
        raise ValueError("packed numbers of another size")
    return np.frombuffer(data, f"<u{width}").tolist()
