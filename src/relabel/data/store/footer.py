"""Two things in the footer of a part, found by their bytes: to parse all of it takes longer than all else that is done
with a stamp.

Thrift's compact protocol, as Parquet's writers use it. Sees only footers whose checksum is right; what is not found is
to be asked of pyarrow.
"""

from __future__ import annotations

_TEXT, _NUMBER, _GROUPS = b"\x18", b"\x16", b"\x19\x1c"
"""Headers of fields: a text, a number, and behind the number of rows the list of the one row group."""


def value_in(footer: bytearray, key: str) -> bytes | None:
    """The value of a key of the file's metadata; None where it is not found."""
    name = _TEXT + _varint(len(key)) + key.encode() + _TEXT
    at = footer.rfind(name) + len(name)
    if at < len(name):
        return None
    length = shift = 0
    while shift < 32 and at < len(footer):
        byte, at = footer[at], at + 1
        length |= (byte & 127) << shift
        shift += 7
        if byte < 128:
            return bytes(footer[at : at + length])
    return None


def says_rows(footer: bytearray, num_rows: int) -> bool:
    """Whether the footer is found to say that the file has so many rows."""
    return num_rows >= 0 and _NUMBER + _varint(2 * num_rows) + _GROUPS in footer


def _varint(number: int) -> bytes:
    found = bytearray()
    while number >= 128:
        found.append(number & 127 | 128)
        number >>= 7
    return bytes([*found, number])
