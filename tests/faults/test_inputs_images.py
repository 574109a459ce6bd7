"""Images that are not what they say, and paths that lead elsewhere."""

import http.server
import os
import threading
import zlib

import pytest
from PIL import Image

from relabel.data.images.picture import Fit
from relabel.data.images.root import open_root
from relabel.data.images.value import decode_image
from relabel.errors import RowRejected
from tests.data.builders import source_of
from tests.data.images.pngs import chunk, png_with
from tests.faults.corpus import EXIF, PICTURE, read_planned
from tests.pictures import encoded, png

pytestmark = pytest.mark.fault

LIMITS = {"max_bytes": 2**20, "max_pixels": 10**6, "fit": Fit(num_pixels=10**6)}


def outcome(value, root=None, **limits):
    """The size of the decoded RGB image, or why there is none."""
    try:
        image = decode_image(value, root=None if root is None else open_root(str(root)), **(LIMITS | limits))
    except RowRejected as rejected:
        return str(rejected)
    assert image.mode == "RGB"
    return image.size


FRAMES = [PICTURE.rotate(180)]
READ = {
    "CMYK": encoded(PICTURE.convert("CMYK"), "JPEG"),
    "palette": encoded(PICTURE.quantize(16), "PNG"),
    "palette with a transparent colour": encoded(PICTURE.quantize(16), "PNG", transparency=3),
    "palette with alpha for each colour": encoded(PICTURE.quantize(16), "PNG", transparency=bytes(range(0, 160, 10))),
    "one bit": encoded(PICTURE.convert("1"), "PNG"),
    "16 bits": encoded(PICTURE.convert("I;16"), "PNG"),
    "animated GIF": encoded(PICTURE, "GIF", save_all=True, append_images=FRAMES),
    "animated WebP": encoded(PICTURE, "WEBP", save_all=True, append_images=FRAMES),
    "garbage for a colour profile in a JPEG": encoded(PICTURE, "JPEG", icc_profile=b"garbage" * 100),
    "garbage for a colour profile in a PNG": encoded(PICTURE, "PNG", icc_profile=b"garbage" * 100),
    "garbage for a colour profile in a WebP": encoded(PICTURE, "WEBP", icc_profile=b"garbage" * 100),
    "rubbish after its end": encoded(PICTURE, "PNG") + b"PK\x03\x04" * 100,
}


@pytest.mark.parametrize("name", READ)
def test_an_unusual_image_is_rgb_of_its_own_size(name):
    assert outcome(READ[name]) == PICTURE.size


def test_an_image_that_is_turned_by_its_exif_is_upright():
    assert outcome(encoded(PICTURE, "JPEG", exif=EXIF)) == (PICTURE.height, PICTURE.width)


REJECTED = {
    "zero bytes": b"",
    "SVG": b"<?xml version='1.0'?><svg xmlns='http://www.w3.org/2000/svg'><image href='file:///etc/passwd'/></svg>",
    "PDF": b"%PDF-1.7\n" + b"1 0 obj" * 50,
    "HTML, as servers send it": b"<!doctype html><title>404</title>",
    "a pickle": b"\x80\x04\x95" + bytes(50),
    "no pixels": png_with()[:16] + bytes(8) + png_with()[24:],
    "a PNG without its pixels": png_with()[:33] + chunk(b"IEND", b""),
}


BOMBS = {
    "a profile": [chunk(b"iCCP", b"x\0\0" + zlib.compress(bytes(10**8)))],
    "a text": [chunk(b"zTXt", b"x\0\0" + zlib.compress(bytes(10**8)))],
    "a text that may tell an orientation": [
        chunk(b"iTXt", b"XML:com.adobe.xmp\0\1\0\0\0" + zlib.compress(bytes(10**8)))
    ],
    "many texts": [chunk(b"iTXt", b"x\0\1\0\0\0" + zlib.compress(b" " * 10**6))] * 100,
}


@pytest.mark.parametrize("name", BOMBS)
def test_a_bomb_beside_the_pixels_is_never_unpacked(name):
    assert outcome(png_with(*BOMBS[name])) == (4, 3)


@pytest.mark.parametrize("name", REJECTED)
def test_what_is_no_image_is_rejected(name):
    reason = outcome(REJECTED[name])
    assert isinstance(reason, str)
    assert reason.startswith("image: ")


def test_a_small_file_of_many_pixels_is_rejected_by_its_size():
    assert (
        outcome(encoded(Image.new("1", (8000, 8000)), "PNG"))
        == "image: 8000 x 8000 pixels is over the limit of 1000000"
    )


@pytest.mark.parametrize("format", ["GIF", "WEBP"])
def test_of_an_animation_of_many_large_frames_the_first_alone_is_decoded(format):
    frames = [Image.new("L", (500, 500), shade) for shade in range(60)]
    assert outcome(encoded(frames[0], format, save_all=True, append_images=frames[1:])) == (500, 500)


def test_the_name_of_a_file_says_nothing_about_what_it_is(tmp_path):
    (tmp_path / "jpeg.png").write_bytes(encoded(PICTURE, "JPEG"))
    (tmp_path / "svg.png").write_bytes(REJECTED["SVG"])
    (tmp_path / "empty.png").write_bytes(b"")
    (rows,) = read_planned(source_of(tmp_path, "images"), ["path", "image"])[0].values()
    assert {path: outcome(content) for (path, content), _ in rows} == {
        "empty.png": "image: empty",
        "jpeg.png": PICTURE.size,
        "svg.png": "image: not an image, or of a format that is not read",
    }


LEAVING = [
    "../outside.png", "a/../../outside.png", "./../outside.png", "..\\outside.png", "a\\..\\..\\outside.png",
    "/outside.png", "//server/share/outside.png", "\\\\server\\share\\outside.png", "C:\\outside.png", "C:outside.png",
    "file:///outside.png", "FILE:outside.png", "~/outside.png", "~root/outside.png", "$HOME/outside.png",
    "%2e%2e/outside.png", "..%2foutside.png", "%2e%2e%2foutside.png", "link.png", "folder/outside.png",
    "in.png\0", "\0../outside.png", "..", ".", "...", "\u2024\u2024/outside.png", "\uff0e\uff0e/outside.png",
    "/proc/self/environ", "/dev/zero", "hard/../../outside.png",
]  # fmt: skip


@pytest.mark.parametrize("form", ["text", "struct"])
@pytest.mark.parametrize("path", LEAVING)
def test_no_path_of_a_row_is_read_outside_the_image_root(tmp_path, path, form):
    root = tmp_path / "root"
    (root / "a").mkdir(parents=True)
    (tmp_path / "outside.png").write_bytes(png((7, 7), "red"))
    (root / "in.png").write_bytes(png((5, 5), "red"))
    os.symlink(tmp_path / "outside.png", root / "link.png")
    os.symlink("..", root / "folder")
    assert outcome("in.png", root) == (5, 5)
    assert str(outcome(path if form == "text" else {"bytes": None, "path": path}, root)).startswith("image: ")


@pytest.mark.parametrize("path", ["{}", "{}/", "HTTP:{}", " {}", "\t{}", "url:{}", "//127.0.0.1:{port}/a.png"])
def test_no_path_of_a_row_reaches_the_network(tmp_path, path):
    asked = []

    class Server(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            asked.append(self.path)

    with http.server.HTTPServer(("127.0.0.1", 0), Server) as server:
        threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
        url = f"http://127.0.0.1:{server.server_port}/a.png"
        reason = outcome(path.format(url, port=server.server_port), tmp_path)
        server.shutdown()
    assert str(reason).startswith("image: ")
    assert asked == []
