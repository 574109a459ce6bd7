"""The URL of an image in a chat: the bytes that a data: URL holds. Fetches nothing and decodes no image."""

from __future__ import annotations

import binascii
from base64 import b64decode

from relabel.errors import RowRejected
from relabel.rejected import Code


def image_of(url: str, max_bytes: int) -> bytes | str:
    """What `decode_image` makes an image of: the bytes in a data: URL; any other URL as it is, to be refused there."""
    if url[:5].lower() != "data:":
        return url
    head, comma, data = url.partition(",")
    if not comma or not head.lower().endswith(";base64"):
        raise RowRejected(Code.IMAGE, "a data: URL that is not in base64")
    if len(data) * 3 // 4 - 2 > max_bytes:
        raise RowRejected(Code.IMAGE, f"{len(data) * 3 // 4} bytes is over the limit of {max_bytes}")
    try:
        return b64decode(data, validate=True)
    except (binascii.Error, ValueError) as error:
        raise RowRejected(Code.IMAGE, "a data: URL that is not valid base64") from error
