import base64
import tracemalloc

import pytest
from hypothesis import given
from hypothesis import strategies as st

from relabel.data.images.base64_text import bytes_of_text
from relabel.errors import RowRejected
from tests.data.images.decoding import encode, gradient

LIMIT = 10**6
FORMATS = ["PNG", "JPEG", "GIF", "WEBP", "BMP", "TIFF", "AVIF", "JPEG2000", "ICO", "PPM"]


@pytest.mark.parametrize("format", FORMATS)
def test_the_base64_of_an_image_is_told_from_a_path(format):
    content = encode(gradient(), format)
    text = base64.b64encode(content).decode()
    assert bytes_of_text(text, LIMIT) == content
    assert bytes_of_text(base64.urlsafe_b64encode(content).decode(), LIMIT) == content
    assert bytes_of_text(text.rstrip("="), LIMIT) == content
    assert bytes_of_text("\n".join(text[at : at + 76] for at in range(0, len(text), 76)) + "\n", LIMIT) == content


@pytest.mark.parametrize(
    "path",
    [
        "a.png",
        "/9j/4AAQSkZJRgABAQAAAQABAAD/2wBDAAgG.jpg",
        "images/train2014/COCO_train2014_000000000009",
        "QkFDS1VQ/photos/of/the/year/two/thousand/and/one",
        "0/1/2/3/4/5/6/7/8/9/a/b/c/d/e/f/0/1/2/3/4/5/6/7",
        "d41d8cd98f00b204e9800998ecf8427e",
        "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
    ],
)
def test_a_path_is_no_base64(path):
    assert bytes_of_text(path, LIMIT) is None


def test_the_bytes_of_a_data_url():
    data = bytes(range(256))
    encoded = base64.b64encode(data).decode()
    for head in ("data:image/png;base64", "data:;base64", "DATA:image/jpeg;charset=x;BASE64", "data:image/png; base64"):
        assert bytes_of_text(f"{head},{encoded}", 256) == data
    assert bytes_of_text(f"data:;base64,{encoded.replace('+', '%2B').replace('/', '%2F')}", 256) == data


@pytest.mark.parametrize(
    ("url", "reason"),
    [
        ("data:image/png,secret", "a data: URL that is not in base64"),
        ("data:image/png;base64", "a data: URL that is not in base64"),
        ("data:image/png;base64,secret!", "a data: URL that is not valid base64"),
        ("data:image/png;base64,sécrét", "a data: URL that is not valid base64"),
        ("data:;base64," + "A" * 400, "300 bytes is over the limit of 256"),
        ("iVBORw0KGgo" + "A" * 60 + "!", "base64 text that is damaged or cut off"),
    ],
)
def test_text_that_is_damaged(url, reason):
    with pytest.raises(RowRejected) as rejected:
        bytes_of_text(url, 256)
    assert str(rejected.value) == f"image: {reason}"


@given(st.text() | st.text("ABab01+/-_= \n", min_size=30) | st.text().map("data:;base64,".__add__))
def test_any_text_is_bytes_or_a_path_or_a_reject(text):
    try:
        found = bytes_of_text(text, LIMIT)
    except RowRejected as error:
        found = str(error)
    assert found is None or isinstance(found, bytes) or found.startswith("image: ")


def test_hexadecimal_text_of_a_large_image_takes_no_memory_of_its_own():
    """A group of digits for each byte kept 130 bytes for each."""
    content = b"\x89PNG\r\n\x1a\n" + bytes(4 * 2**20)
    text = "\\x" + content.hex()
    tracemalloc.start()
    assert bytes_of_text(text, 2**23) == content
    _, most = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert most < 8 * len(content)
    with pytest.raises(RowRejected, match="damaged or cut off"):
        bytes_of_text(text[:-1], 2**23)
