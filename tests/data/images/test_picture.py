import struct
import warnings
import zlib

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from PIL import Image

from relabel.data.images.picture import fit_size
from tests.data.images.decoding import RED, colour, decode, encode, gradient, why


@pytest.mark.parametrize("format", ["PNG", "BMP", "TIFF", "GIF", "WEBP", "JPEG"])
def test_formats(format):
    image = decode(encode(RED, format))
    assert (image.mode, image.size) == ("RGB", (20, 10))
    assert np.abs(np.array(colour(image)) - (255, 0, 0)).max() < 8


MODES = {
    "grey": (Image.new("L", (4, 4), 100), (100, 100, 100)),
    "grey and alpha": (Image.new("LA", (4, 4), (0, 51)), (204, 204, 204)),
    "one bit": (Image.new("1", (4, 4), 1), (255, 255, 255)),
    "transparent": (Image.new("RGBA", (4, 4), (255, 0, 0, 0)), (255, 255, 255)),
    "half transparent": (Image.new("RGBA", (4, 4), (255, 0, 0, 51)), (255, 204, 204)),
    "16 bits": (Image.fromarray(np.full((4, 4), 0x8001, np.uint16)), (128, 128, 128)),
}


@pytest.mark.parametrize("name", MODES)
def test_modes_become_rgb(name):
    image, expected = MODES[name]
    decoded = decode(encode(image))
    assert decoded.mode == "RGB"
    assert colour(decoded) == expected


def test_a_palette_with_a_transparent_colour():
    image = Image.new("P", (2, 1))
    image.putpalette([255, 0, 0, 0, 0, 255])
    image.putdata([0, 1])
    decoded = decode(encode(image, transparency=0))
    assert (colour(decoded), colour(decoded, (1, 0))) == ((255, 255, 255), (0, 0, 255))
    assert colour(decode(encode(image))) == (255, 0, 0)


def test_a_transparent_colour_without_a_palette():
    assert colour(decode(encode(RED, transparency=(255, 0, 0)))) == (255, 255, 255)


def test_cmyk():
    decoded = decode(encode(Image.new("CMYK", (16, 16), (0, 255, 255, 0)), "JPEG", quality=100))
    assert np.abs(np.array(colour(decoded)) - (255, 0, 0)).max() < 8


@pytest.mark.parametrize("format", ["GIF", "WEBP", "PNG", "TIFF"])
def test_of_an_animation_the_first_frame(format):
    frames = [Image.new("RGB", (20, 10), shade) for shade in ("red", "lime", "blue")]
    content = encode(frames[0], format, save_all=True, append_images=frames[1:])
    assert np.abs(np.array(colour(decode(content))) - (255, 0, 0)).max() < 8


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("format", ["JPEG", "PNG", "TIFF", "WEBP"])
def test_exif_orientation(format, orientation):
    """The tag says how the stored pixels are turned; this is the table of the EXIF standard, undone by hand."""
    upright = np.zeros((16, 32, 3), np.uint8)
    upright[:8, :16] = 255
    stored = {
        1: lambda a: a, 2: np.fliplr, 3: lambda a: np.rot90(a, 2), 4: np.flipud, 5: lambda a: np.swapaxes(a, 0, 1),
        6: lambda a: np.rot90(a, 1), 7: lambda a: np.rot90(np.swapaxes(a, 0, 1), 2), 8: lambda a: np.rot90(a, -1),
    }[orientation](upright)  # fmt: skip
    exif = Image.Exif()
    exif[0x0112] = orientation
    image = Image.fromarray(np.ascontiguousarray(stored))
    content = encode(image, format, exif=exif.tobytes(), **({"quality": 95} if format == "JPEG" else {}))
    for fit_pixels in (10**6, 128):
        decoded = np.asarray(decode(content, fit_pixels=fit_pixels))
        height, width = decoded.shape[:2]
        assert width == 2 * height
        assert decoded[height // 8, width // 8].min() > 180
        assert max(decoded[-1 - height // 8, width // 8].max(), decoded[height // 8, -1 - width // 8].max()) < 70


def test_damaged_notes_do_not_cost_a_sound_image():
    content = encode(RED, "JPEG", exif=b"Exif\0\0II*\0\xff\xff\xff\xffgarbage")
    assert decode(content).size == (20, 10)


@pytest.mark.parametrize("format", ["PNG", "JPEG"])
def test_a_large_image_is_scaled_down_and_a_small_one_left(format):
    content = encode(gradient(640, 480), format)
    assert decode(content).size == (640, 480)
    small = decode(content, fit_pixels=12_000)
    assert small.size == (126, 94)
    expected = np.asarray(gradient(126, 94)).astype(int)
    assert np.abs(np.asarray(small).astype(int) - expected).mean() < 3


@given(st.integers(1, 10**5), st.integers(1, 10**5), st.integers(1, 10**6))
@example(1, 100_000, 10)
@example(100_000, 1, 1)
def test_the_fitted_size_fits_and_is_never_empty(width, height, fit_pixels):
    new_width, new_height = fit_size(width, height, fit_pixels)
    assert 1 <= new_width <= width
    assert 1 <= new_height <= height
    assert new_width * new_height <= fit_pixels
    assert width * height > fit_pixels or (new_width, new_height) == (width, height)


@pytest.mark.parametrize("format", ["PNG", "JPEG", "GIF", "WEBP", "BMP", "TIFF"])
def test_a_truncated_image_is_rejected_though_its_header_is_sound(format):
    """Image.open() and verify() let a truncated JPEG pass."""
    noise = Image.fromarray(np.random.default_rng(1).integers(0, 255, (64, 64, 3), np.uint8))
    content = encode(noise, format)
    for part in (0.5, 0.9):
        assert why(content[: int(len(content) * part)]) in ("image: truncated", "image: damaged")


def test_the_byte_limit_comes_before_decoding():
    assert why(b"not an image" * 100, max_bytes=1000) == "image: 1200 bytes is over the limit of 1000"


def test_the_pixel_limit_comes_before_decoding():
    """The pixels of this file are cut off, so only its header can have been read."""
    content = encode(Image.new("L", (2000, 1000)))[:60]
    assert why(content) == "image: 2000 x 1000 pixels is over the limit of 1000000"


def test_the_limit_of_the_user_is_the_limit():
    """Pillow has one of its own, 89 million pixels, for the whole process, and warns beyond it."""
    content = encode(Image.new("1", (10_000, 10_000)))
    before = Image.MAX_IMAGE_PIXELS
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert decode(content, max_pixels=100_000_000, fit_pixels=100).size == (10, 10)
    assert why(content, max_pixels=99_999_999) == "image: 10000 x 10000 pixels is over the limit of 99999999"
    assert before == Image.MAX_IMAGE_PIXELS


def test_an_icon_that_is_larger_than_it_says():
    inner = encode(Image.new("L", (1100, 1000)))
    icon = struct.pack("<HHHBBBBHHII", 0, 1, 1, 16, 16, 0, 0, 1, 32, len(inner), 22) + inner
    assert decode(icon, max_pixels=1_100_000, fit_pixels=100).size == (10, 9)
    assert why(icon) == "image: 1100 x 1000 pixels is over the limit of 1000000"


def test_a_bomb_is_rejected_by_its_header():
    header = encode(Image.new("L", (1, 1)))
    bomb = header[:16] + struct.pack(">II", 90_000, 90_000) + header[24:]
    crc = zlib.crc32(bomb[12:29])
    bomb = bomb[:29] + struct.pack(">I", crc) + bomb[33:]
    assert why(bomb) == "image: more pixels than the limit of 1000000"
    assert why(bomb, max_pixels=10**12) == "image: truncated"
