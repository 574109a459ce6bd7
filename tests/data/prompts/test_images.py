import os
import struct
import zlib

import fsspec
import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from PIL import Image

from relabel.data.prompts.images import fit_size
from tests.data.prompts.decoding import RED, colour, decode, encode, gradient, why


@pytest.mark.parametrize("format", ["PNG", "BMP", "TIFF", "GIF", "WEBP", "JPEG"])
def test_formats(format):
    image = decode(encode(RED, format))
    assert (image.mode, image.size) == ("RGB", (20, 10))
    assert np.abs(np.array(colour(image)) - (255, 0, 0)).max() < 8


def test_bytes_structs_and_paths(tmp_path):
    content = encode(RED)
    (tmp_path / "sub").mkdir()
    (tmp_path / "sub/r.png").write_bytes(content)
    for value in (
        content,
        bytearray(content),
        memoryview(content),
        {"bytes": content, "path": "lost.png"},
        {"bytes": None, "path": "sub/r.png"},
        "sub/r.png",
        "./sub/r.png",
    ):
        assert decode(value, root=tmp_path) == RED


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


@pytest.mark.parametrize("values", [[0.0, 0.5, 1.0], [-7.0, 0.0, 7.0], [0, 500_000, 1_000_000]])
def test_numbers_without_a_known_range_are_stretched(values):
    dtype = np.int32 if isinstance(values[1], int) else np.float32
    decoded = decode(encode(Image.fromarray(np.array([values], dtype)), "TIFF"))
    assert [colour(decoded, (x, 0))[0] for x in range(3)] == [0, 127, 255]


def test_16_bits_in_either_byte_order():
    for kind in ("<u2", ">u2"):
        decoded = decode(encode(Image.fromarray(np.array([[0, 0x4000, 0xFFFF]], kind)), "TIFF"))
        assert [colour(decoded, (x, 0))[0] for x in range(3)] == [0, 0x40, 0xFF]


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


@pytest.mark.parametrize(
    ("value", "reason"),
    [
        (None, "image: missing"),
        ({}, "image: missing"),
        ({"bytes": None, "path": None}, "image: missing"),
        (b"", "image: empty"),
        ({"bytes": b"", "path": "x.png"}, "image: empty"),
        ("", "image: empty path"),
        (7, "image: neither bytes nor a path"),
        ([b"x"], "image: neither bytes nor a path"),
        (b"GIF", "image: not an image, or of a format that is not read"),
        (b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 1 1\n", "image: not an image, or of a format that is not read"),
        (b"<svg xmlns='http://www.w3.org/2000/svg'/>", "image: not an image, or of a format that is not read"),
        ("x.png", "image: a path, but there is no image root"),
    ],
)
def test_what_is_no_image(value, reason):
    assert why(value) == reason


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


def test_a_bomb_is_rejected_whatever_the_limit():
    header = encode(Image.new("L", (1, 1)))
    bomb = header[:16] + struct.pack(">II", 90_000, 90_000) + header[24:]
    crc = zlib.crc32(bomb[12:29])
    bomb = bomb[:29] + struct.pack(">I", crc) + bomb[33:]
    assert why(bomb) == "image: more pixels than the limit of 1000000"
    assert why(bomb, max_pixels=10**12) == "image: more pixels than the limit of 89478485"


@pytest.mark.parametrize(
    "path",
    [
        "http://127.0.0.1:9/x.png",
        "https://example.com/x.png",
        "HTTPS://example.com/x.png",
        "file:///etc/passwd",
        "file:x.png",
        "data:image/png;base64,AAAA",
        "s3://bucket/x.png",
        "//host/x.png",
    ],
)
def test_no_url_is_ever_fetched(tmp_path, path):
    assert why(path, root=tmp_path) == "image: a URL, which is never fetched"


@pytest.mark.parametrize(
    "path",
    [
        "/etc/passwd",
        "../outside.png",
        "..\\outside.png",
        "sub/../../outside.png",
        "self/../../outside.png",
        "..",
        "link.png",
        "sub/up/outside.png",
        "in.png\0.jpg",
    ],
)
def test_no_path_leaves_the_root(tmp_path, path):
    root = tmp_path / "root"
    (root / "sub").mkdir(parents=True)
    for place in (tmp_path / "outside.png", root / "in.png"):
        place.write_bytes(encode(RED))
    os.symlink(tmp_path / "outside.png", root / "link.png")
    os.symlink(tmp_path, root / "sub/up")
    os.symlink(root, root / "self")
    assert decode("in.png", root=root) == decode("self/in.png", root=root) == RED
    assert why(path, root=root) == "image: a path that leaves the image root"


def test_a_root_that_is_itself_a_link(tmp_path):
    (tmp_path / "real").mkdir()
    (tmp_path / "real/in.png").write_bytes(encode(RED))
    os.symlink(tmp_path / "real", tmp_path / "root")
    assert decode("in.png", root=tmp_path / "root") == RED


@pytest.mark.parametrize("path", ["lost.png", "folder", "pipe", "in.png/x.png", "n" * 5000, "loop", "\ud800.png", "."])
def test_a_path_that_is_no_file_is_missing(tmp_path, path):
    (tmp_path / "folder").mkdir()
    (tmp_path / "in.png").write_bytes(encode(RED))
    os.mkfifo(tmp_path / "pipe")
    os.symlink(tmp_path / "loop", tmp_path / "loop")
    assert why(path, root=tmp_path) == "image: missing"


def test_a_file_over_the_byte_limit_is_not_read(tmp_path):
    with open(tmp_path / "sparse.png", "wb") as file:
        file.truncate(2**40)
    assert why("sparse.png", root=tmp_path) == f"image: {2**40} bytes is over the limit of {2**20}"


def test_a_remote_root():
    fsspec.filesystem("memory").pipe({"/shelf/in/r.png": encode(RED), "/shelf/outside.png": encode(RED)})
    assert decode("r.png", root="memory://shelf/in") == RED
    assert why("lost.png", root="memory://shelf/in") == "image: missing"
    assert why("../outside.png", root="memory://shelf/in") == "image: a path that leaves the image root"
    assert why("r.png", root="memory://shelf/in", max_bytes=5).endswith("over the limit of 5")
