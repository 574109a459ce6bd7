"""Encoded images made in code."""

import io

from PIL import Image


def png(size, colour):
    return encoded(Image.new("RGB", size, colour), "PNG")


def encoded(image, kind, **options):
    sink = io.BytesIO()
    image.save(sink, kind, **options)
    return sink.getvalue()
