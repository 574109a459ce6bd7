"""Images written as text: base64, hexadecimal digits, data: URLs. Tells them from paths. Decodes no image."""

from __future__ import annotations

import binascii
import re
from base64 import b64decode
from urllib.parse import unquote_to_bytes

from relabel.errors import RowRejected
from relabel.rejected import Code

_BASE64 = re.compile(r"[A-Za-z0-9+/_-]+={0,2}")
_HEX = re.compile(r"(?:\\x|0x)?([0-9a-fA-F]+)")
_DATA = re.compile(r"\s*(?:data:|image/[\w.+-]+;base64,)", re.IGNORECASE)
"""Some write the URL without its first word."""
_SPACE = re.compile(r"\s+")
_HEAD = 64
"""Characters that are looked at first: a path is told from an image without decoding all of it."""
_LONGER_THAN_PATHS = 4096
_BEGINNINGS = re.compile(
    rb"\x89PNG\r\n\x1a\n|\xff\xd8\xff|GIF8[79]a|RIFF....WEBP|BM....\0\0\0\0|II[*+]\0|MM\0[*+]|....ftyp"
    rb"|\0\0\0\x0c(jP  |JXL )|\xff\x4f\xff\x51|\xff\x0a|8BPS|qoif|\0\0\x01\0|P[1-6][\s#]",
    re.DOTALL,
)
"""How images begin. Pillow's own tests of beginnings also let through what is none."""


def bytes_of_text(text: str, max_bytes: int) -> bytes | None:
    """The bytes that a text spells, or None where it is a path or a URL. Raises RowRejected (image)."""
    if _DATA.match(text):
        return _data_url(text, max_bytes)
    if _is_hex(text):
        return _of_hex(text, max_bytes)
    if not _is_base64(text):
        return None
    return _decoded(text, max_bytes, "base64 text that is damaged or cut off")


def bytes_of_base64(text: str, max_bytes: int) -> bytes:
    """The bytes of a text that can be nothing else, as under `bytes` in JSON. Raises RowRejected (image)."""
    found = bytes_of_text(text, max_bytes)
    return _decoded(text, max_bytes, "bytes as text that is not base64") if found is None else found


def bytes_of_ascii(data: bytes, max_bytes: int) -> bytes | None:
    """The bytes that text spells which a column holds as bytes, or None for all other bytes."""
    head = data[:_HEAD]
    if not head.isascii() or any(code < 32 and code not in b"\t\r\n" for code in head):
        return None
    return bytes_of_text(data.decode("latin-1"), max_bytes)


def _is_hex(text: str) -> bool:
    head = _HEX.fullmatch(text[:_HEAD].strip())
    return head is not None and _BEGINNINGS.match(bytes.fromhex(head[1][: len(head[1]) // 2 * 2])) is not None


def _of_hex(text: str, max_bytes: int) -> bytes:
    if len(text) // 2 - 2 > max_bytes:
        raise RowRejected(Code.IMAGE, f"{len(text) // 2} bytes is over the limit of {max_bytes}")
    if (whole := _HEX.fullmatch(text.strip())) is None or len(whole[1]) % 2:
        raise RowRejected(Code.IMAGE, "hexadecimal text that is damaged or cut off")
    return bytes.fromhex(whole[1])


def _is_base64(text: str) -> bool:
    """A path is no base64: it has a dot, or is short, or does not begin as an image does."""
    head = _SPACE.sub("", text[: 2 * _HEAD])[:_HEAD]
    if len(head) < 32 or _BASE64.fullmatch(head) is None:
        return False
    if len(text) > _LONGER_THAN_PATHS:
        return _BASE64.fullmatch(_SPACE.sub("", text)) is not None or _begins(head)
    return _begins(head)


def _begins(head: str) -> bool:
    whole = head.rstrip("=")
    return _BEGINNINGS.match(b64decode(whole[: len(whole) // 4 * 4], altchars=_altchars(whole))) is not None


def _data_url(url: str, max_bytes: int) -> bytes:
    head, comma, data = url.partition(",")
    if not comma or "base64" not in [part.strip().lower() for part in head.split(";")[1:]]:
        raise RowRejected(Code.IMAGE, "a data: URL that is not in base64")
    if "%" in data:
        data = unquote_to_bytes(data).decode("ascii", errors="replace")
    return _decoded(data, max_bytes, "a data: URL that is not valid base64")


def _decoded(text: str, max_bytes: int, otherwise: str) -> bytes:
    if len(text) * 3 // 4 - 2 > max_bytes:
        text = _SPACE.sub("", text)
        if len(text) * 3 // 4 - 2 > max_bytes:
            raise RowRejected(Code.IMAGE, f"{len(text) * 3 // 4} bytes is over the limit of {max_bytes}")
    text = _SPACE.sub("", text).rstrip("=")
    try:
        return b64decode(text + "=" * (-len(text) % 4), altchars=_altchars(text), validate=True)
    except (binascii.Error, ValueError) as error:
        raise RowRejected(Code.IMAGE, otherwise) from error


def _altchars(text: str) -> bytes:
    """The two characters beside letters and digits: those of URLs where one of them is used."""
    return b"-_" if "-" in text or "_" in text else b"+/"
