"""PNG files chunk by chunk, where Pillow writes none of the kind."""

import struct
import zlib

import numpy as np

from tests.pictures import png


def chunk(kind, data):
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def png_with(*chunks, size=(4, 3)):
    """A sound red PNG with more chunks after its header."""
    sound = png(size, "red")
    return sound[:33] + b"".join(chunks) + sound[33:]


def png_16(rows, transparent=None):
    """A PNG of 16 bits a channel, whose pixels are numbers or tuples of 2 to 4 of them."""
    pixels = np.array(rows, ">u2")
    height, width = pixels.shape[:2]
    colours = {1: 0, 2: 4, 3: 2, 4: 6}[1 if pixels.ndim == 2 else pixels.shape[2]]
    header = struct.pack(">IIBBBBB", width, height, 16, colours, 0, 0, 0)
    body = zlib.compress(b"".join(b"\0" + row.tobytes() for row in pixels))
    clear = b"" if transparent is None else chunk(b"tRNS", np.array(transparent, ">u2").tobytes())
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + clear + chunk(b"IDAT", body) + chunk(b"IEND", b"")
