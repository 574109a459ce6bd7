"""Small images, and what the decoder makes of them."""

import io
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from relabel.data.images.picture import Fit
from relabel.data.images.root import open_root
from relabel.data.images.value import decode_image
from relabel.errors import RowRejected


def decode(value, *, root=None, max_bytes=2**20, max_pixels=10**6, fit_pixels=10**6, edge=None):
    return decode_image(
        value,
        root=None if root is None else open_root(str(root)) if isinstance(root, str | Path) else root,
        max_bytes=max_bytes,
        max_pixels=max_pixels,
        fit=Fit(num_pixels=fit_pixels, edge=edge),
    )


def why(value, **limits):
    with pytest.raises(RowRejected) as caught:
        decode(value, **limits)
    return str(caught.value)


def encode(image, format="PNG", **options):
    sink = io.BytesIO()
    image.save(sink, format, **options)
    return sink.getvalue()


def gradient(width=64, height=48):
    x, y = np.meshgrid(np.linspace(0, 255, width), np.linspace(0, 255, height))
    return Image.fromarray(np.stack([x, y, 255 - x], -1).astype(np.uint8))


def colour(image, at=(0, 0)):
    return image.getpixel(at)


RED = Image.new("RGB", (20, 10), (255, 0, 0))
