"""A picture of a row, as small as a page can hold it, or why there is none. Knows neither rows nor pages."""

from __future__ import annotations

import base64
import io
from dataclasses import dataclass

from PIL import Image

from relabel.data.images.picture import Fit
from relabel.data.images.root import Root
from relabel.data.images.value import decode_image
from relabel.errors import RowRejected, SourceUnreadable
from relabel.report.row import Picture
from relabel.spec import Prompt

_EDGES = (320, 240, 176, 128, 96, 64)
"""Pixels of the longer side, the largest first."""
_FIT = Fit(num_pixels=4 * _EDGES[0] ** 2)
_QUALITY = 80


@dataclass(frozen=True, slots=True, kw_only=True)
class Thumbnails:
    """Makes them of what columns hold."""

    prompt: Prompt
    """Its limits of bytes and pixels."""
    root: Root | None
    """Where pictures are that rows name by paths."""
    most_bytes: int
    """Of one picture in base64; it is made as small as that takes."""

    def __call__(self, value: object) -> Picture:
        """The picture of a value; never raises for it."""
        try:
            image = decode_image(
                value,
                root=self.root,
                max_bytes=self.prompt.max_image_bytes,
                max_pixels=self.prompt.max_image_pixels,
                fit=_FIT,
            )
        except RowRejected as error:
            return Picture(why=str(error))
        except SourceUnreadable as error:
            return Picture(why=f"its storage cannot be read: {error}")
        for edge in _EDGES:
            url = f"data:image/jpeg;base64,{base64.b64encode(jpeg(image, edge)).decode()}"
            if len(url) <= self.most_bytes:
                return Picture(src=url)
        return Picture(why="the page has no room for it: show fewer rows")


def jpeg(image: Image.Image, edge: int) -> bytes:
    """The bytes of an image whose longer side has at most so many pixels."""
    small, data = image.copy(), io.BytesIO()
    small.thumbnail((edge, edge))
    small.save(data, "JPEG", quality=_QUALITY, optimize=True)
    return data.getvalue()
