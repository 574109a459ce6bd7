"""Encoded bytes in, RGB pixels of a bounded size out, or a reason why not.

Total: any bytes give a picture or a RowRejected. Decodes nothing before its size is known. Knows nothing of rows, of
where bytes come from, or of models.
"""

from __future__ import annotations

import io
import math
import struct
import threading
import warnings
import zlib
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass

from PIL import Image

from relabel.data.images.depth import eight_bits, is_deep
from relabel.data.images.formats import not_read, readable_formats
from relabel.data.images.png import bit_depth, without_notes
from relabel.errors import RowRejected
from relabel.rejected import Code

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

_LEAST_LIMIT = 89_478_485
"""Pillow's own default."""

_lock = threading.Lock()


@dataclass(frozen=True, slots=True, kw_only=True)
class Fit:
    """To which size a picture is scaled before the model's processor takes it.

    A processor that makes pictures of one size itself gets each at that size or somewhat above, which a decoder of JPEG
    and a mean over whole pixels give for little. Any other gets at most so many pixels.
    """

    num_pixels: int
    """The most pixels that a picture keeps."""
    edge: int | None = None
    """The side, in pixels, to which the processor scales every picture; None where that depends on the picture. No side
    is scaled to less."""

    @property
    def _is_scaled_again(self) -> bool:
        return self.edge is not None and self.edge**2 <= self.num_pixels

    def draft(self, width: int, height: int) -> tuple[int, int] | None:
        """The least size at which a decoder may give a picture of this one; None where it must give all pixels."""
        if self.edge is not None and self._is_scaled_again:
            return (self.edge, self.edge) if min(width, height) > self.edge else None
        size = fit_size(width, height, self.num_pixels)
        return (2 * size[0], 2 * size[1]) if size != (width, height) else None  # twice keeps the resize sharp

    def resized(self, rgb: Image.Image) -> Image.Image:
        """The decoded picture, at the size at which the processor gets it."""
        if self.edge is not None and self._is_scaled_again:
            factor = min(rgb.size) // self.edge
            return rgb.reduce(factor) if factor > 1 else rgb
        size = fit_size(*rgb.size, self.num_pixels)
        return rgb if size == rgb.size else rgb.resize(size, Image.Resampling.LANCZOS)


def decode_picture(data: bytes, *, max_pixels: int, fit: Fit) -> Image.Image:
    """The picture as RGB of a size that fits; of an animation the first frame.

    Raises RowRejected (image) where it has more than `max_pixels`, and for all that is no picture.
    """
    with _limit(max_pixels):
        try:
            return _decode(without_notes(data), max_pixels, fit)
        except Image.UnidentifiedImageError as error:
            raise RowRejected(Code.IMAGE, not_read(data[:16])) from error
        except Image.DecompressionBombError as error:
            raise RowRejected(Code.IMAGE, f"more pixels than the limit of {max_pixels}") from error
        except _DAMAGE as error:
            reason = "truncated" if "truncated" in str(error) else "damaged"
            raise RowRejected(Code.IMAGE, reason) from error


def fit_size(width: int, height: int, num_pixels: int) -> tuple[int, int]:
    """The largest size of about the same shape with at most so many pixels."""
    if width * height <= num_pixels:
        return width, height
    scale = math.sqrt(num_pixels / (width * height))
    short = max(1, int(min(width, height) * scale))
    long = min(max(1, int(max(width, height) * scale)), num_pixels // short)
    return (long, short) if width >= height else (short, long)


@contextmanager
def _limit(max_pixels: int) -> Generator[None]:
    """Pillow's limit, which is of the whole process, is not below the user's meanwhile.

    Not switched off: of pictures within pictures (icons) Pillow alone sees the size before it decodes them. Not the
    user's where that is smaller: Pillow's error does not tell width and height.
    """
    with _lock, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        before, Image.MAX_IMAGE_PIXELS = Image.MAX_IMAGE_PIXELS, max(max_pixels, _LEAST_LIMIT)
        try:
            yield
        finally:
            Image.MAX_IMAGE_PIXELS = before


def _decode(data: bytes, max_pixels: int, fit: Fit) -> Image.Image:
    image = Image.open(io.BytesIO(data), formats=readable_formats())
    _check_size(image, max_pixels)
    if (size := fit.draft(*image.size)) is not None:
        image.draft(image.mode, size)  # JPEG only
    image.load()
    _check_size(image, max_pixels)  # an icon may be larger than its directory says
    turn = _TURNS.get(_orientation(image))
    rgb = _to_rgb(image, is_16_bits=bit_depth(data) == 16)
    rgb = fit.resized(rgb)
    return rgb if turn is None else rgb.transpose(turn)


def _check_size(image: Image.Image, max_pixels: int) -> None:
    width, height = image.size
    if width * height > max_pixels:
        raise RowRejected(Code.IMAGE, f"{width} x {height} pixels is over the limit of {max_pixels}")


def _orientation(image: Image.Image) -> object:
    try:
        return image.getexif().get(_ORIENTATION)
    except _DAMAGE:  # the pixels are sound, and only the notes beside them are damaged
        return None


def _to_rgb(image: Image.Image, *, is_16_bits: bool) -> Image.Image:
    """Eight bits a channel; what is transparent becomes white."""
    if is_deep(image):
        image = eight_bits(image)
    elif is_16_bits and isinstance(clear := image.info.get("transparency"), tuple):
        image.info["transparency"] = tuple(level >> 8 for level in clear)  # the colour of 16 bits, the pixels of 8
    if image.has_transparency_data:
        canvas = Image.new("RGBA", image.size, "white")
        image = Image.alpha_composite(canvas, image.convert("RGBA"))
    rgb = image.convert("RGB")
    rgb.info = {}  # an orientation left in it would be applied a second time
    return rgb
