"""All that Pillow decodes is read, but for a few that are named with their reasons."""

import importlib.util

import numpy as np
import pytest
from PIL import Image

from relabel.data.images.formats import LEFT_OUT, not_read, readable_formats
from relabel.data.sources.formats.image_folder import SUFFIXES
from tests.data.images.decoding import decode, encode, gradient, why

WRITTEN = ["AVIF", "BMP", "DDS", "DIB", "GIF", "ICNS", "ICO", "IM", "JPEG", "JPEG2000", "MPO", "PCX", "PNG", "PPM", "SGI", "SPIDER", "TGA", "TIFF", "WEBP"]  # fmt: skip # noqa: E501
OF_PACKAGES = {"HEIF"}


@pytest.mark.parametrize("format", WRITTEN)
def test_formats(format):
    image = gradient(64, 64).convert("F" if format == "SPIDER" else "RGB")
    decoded = decode(encode(image, format), max_pixels=2**21, fit_pixels=64 * 64)
    assert (decoded.mode, decoded.size) == ("RGB", (64, 64))
    expected = np.asarray(gradient(64, 64).convert("L" if format == "SPIDER" else "RGB").convert("RGB")).astype(int)
    assert np.abs(np.asarray(decoded).astype(int) - expected).mean() < (30 if format == "SPIDER" else 6)


def test_what_is_read_is_all_that_pillow_opens_but_what_is_left_out():
    Image.init()
    assert set(readable_formats()) == set(Image.OPEN) - set(LEFT_OUT)


def test_nothing_that_runs_code_or_opens_any_other_format_is_read():
    assert {"EPS", "WMF", "IPTC"} <= set(LEFT_OUT)
    assert not {"EPS", "WMF", "IPTC"} & set(readable_formats())


def test_folders_and_tars_take_the_suffixes_of_what_is_read():
    readable_formats()
    names = {*readable_formats(), "MPO"}
    suffixes = {suffix for suffix, name in Image.registered_extensions().items() if name in names}
    assert {suffix for suffix in suffixes if Image.EXTENSION[suffix] not in OF_PACKAGES} <= set(SUFFIXES)
    added = {".heic", ".heif", ".hif"}
    assert set(SUFFIXES) - added == {suffix for suffix in suffixes if Image.EXTENSION[suffix] not in OF_PACKAGES}
    assert added <= set(SUFFIXES)


def test_heic():
    pytest.importorskip("pillow_heif")
    readable_formats()
    exif = Image.Exif()
    exif[0x0112] = 6
    content = encode(gradient(64, 48), "HEIF", exif=exif.tobytes())
    decoded = np.asarray(decode(content)).astype(int)
    expected = np.asarray(gradient(64, 48).transpose(Image.Transpose.ROTATE_270)).astype(int)
    assert decoded.shape == (64, 48, 3), "its turn is applied once"
    assert np.abs(decoded - expected).mean() < 8
    assert why(content, max_pixels=3000) == "image: 48 x 64 pixels is over the limit of 3000"
    assert why(content[: len(content) // 2]).startswith("image: ")


def test_heic_without_its_package_is_named():
    if importlib.util.find_spec("pillow_heif"):
        assert not_read(b"\0\0\0\x1cftypheic") == "not an image, or of a format that is not read"
    else:
        assert not_read(b"\0\0\0\x1cftypheic") == "HEIC, which needs pip install 'ray-relabel[heic]'"


@pytest.mark.parametrize("head", [b"\xff\x0a", b"\0\0\0\x0cJXL \r\n\x87\n"])
def test_jpeg_xl_is_named(head):
    assert why(head + bytes(40)) == "image: JPEG XL, which is not read"
