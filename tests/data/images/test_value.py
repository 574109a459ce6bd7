import base64
import json

import pytest

from relabel.data.images.value import MAX_IMAGES, each_image
from relabel.errors import RowRejected
from relabel.rejected import Code
from tests.data.images.decoding import RED, decode, encode, gradient, why

BASE64 = base64.b64encode(encode(RED)).decode()


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
        {"path": "sub/r.png"},
        "sub/r.png",
        "./sub/r.png",
        "sub/../sub//r.png",
        f"{tmp_path}/sub/r.png",
        f"file://{tmp_path}/sub/r.png",
    ):
        assert decode(value, root=tmp_path) == RED


@pytest.mark.parametrize("has_root", [True, False])
def test_base64_text_and_data_urls(tmp_path, has_root):
    root = tmp_path if has_root else None
    for value in (
        BASE64,
        BASE64.rstrip("="),
        base64.encodebytes(encode(RED)).decode(),
        {"bytes": BASE64, "path": None},
        {"bytes": f"data:image/png;base64,{BASE64}"},
        f"data:image/png;base64,{BASE64}",
    ):
        assert decode(value, root=root) == RED


def test_text_in_other_forms(tmp_path):
    content = encode(RED)
    (tmp_path / "r.png").write_bytes(content)
    for value in (
        content.hex(),
        f"\\x{content.hex().upper()}",  # as Postgres writes bytes to CSV
        f"0x{content.hex()}",
        f"\n data:image/png;base64,{BASE64}",
        f"image/png;base64,{BASE64}",
        BASE64.encode(),
        f"data:image/png;base64,{BASE64}".encode(),
        b"r.png",  # of a Parquet file that does not say which bytes are text
        {"bytes": BASE64.encode(), "path": None},
    ):
        assert decode(value, root=tmp_path) == RED


def test_a_column_of_text_holds_what_json_or_python_writes_of_images(tmp_path):
    content = encode(RED)
    (tmp_path / "r.png").write_bytes(content)
    for value in ({"bytes": BASE64, "path": None}, {"bytes": None, "path": "r.png"}, "r.png"):
        for text in (json.dumps([value, value]), str([value, value]), json.dumps(value, indent=1), json.dumps([value])):
            images = each_image(text)
            assert len(images) == text.count("r.png") + text.count(BASE64)
            assert [decode(one, root=tmp_path) for one in images] == [RED] * len(images)
    for text in (str(content), str({"bytes": content, "path": "lost.png"}), f'"{BASE64}"', f"b'{BASE64}'"):
        (image,) = each_image(text)
        assert decode(image, root=tmp_path) == RED
    assert each_image("[]") == []


@pytest.mark.parametrize("name", ["[1].png", "{a}.png", '"a".png', "b'.png", "[a, b].png", '{"a": 1}'])
def test_a_path_that_begins_like_those_stays_a_path(tmp_path, name):
    (tmp_path / name).write_bytes(encode(RED))
    (image,) = each_image(name)
    assert decode(image, root=tmp_path) == RED


def test_paths_of_other_systems(tmp_path):
    for name in ("a/\xe9.png", "b/e\u0301.png", "c/x y.png"):
        (tmp_path / name).parent.mkdir()
        (tmp_path / name).write_bytes(encode(RED))
    for path in ("a\\\xe9.png", ".\\a\\e\u0301.png", "b/\xe9.png", "b\\e\u0301.png", "c\\x y.png"):
        assert decode(path, root=tmp_path) == RED
    assert why("..\\a\\\xe9.png", root=tmp_path) == "image: a path that leaves the image root"
    assert why("c\\y.png", root=tmp_path) == "image: missing"


def test_a_column_holds_one_image_a_list_of_them_or_an_empty_list():
    pair = [{"bytes": b"a", "path": None}, {"bytes": b"b", "path": None}]
    assert each_image(pair) == pair
    assert each_image(["a.png", "b.png"]) == ["a.png", "b.png"]
    assert each_image([]) == []
    assert each_image("a.png") == ["a.png"]
    assert each_image(None) == [None]


def test_a_list_has_a_limit():
    assert len(each_image([b"x"] * MAX_IMAGES)) == MAX_IMAGES
    with pytest.raises(RowRejected, match="image: 65 images, limit 64"):
        each_image([b"x"] * (MAX_IMAGES + 1))


@pytest.mark.parametrize(
    ("value", "reason"),
    [
        (None, "image: missing"),
        ({}, "image: missing"),
        ({"bytes": None, "path": None}, "image: missing"),
        (b"", "image: empty"),
        ({"bytes": b"", "path": "x.png"}, "image: empty"),
        ("", "image: empty path"),
        (float("nan"), "image: missing"),
        ({"url": "x.png"}, "image: an object without bytes and without a path"),
        (f"0x{encode(RED).hex()}0", "image: hexadecimal text that is damaged or cut off"),
        (7, "image: neither bytes nor a path"),
        ([b"x"], "image: neither bytes nor a path"),
        (b"GIF", "image: not an image, or of a format that is not read"),
        (b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 1 1\n", "image: not an image, or of a format that is not read"),
        (b"<svg xmlns='http://www.w3.org/2000/svg'/>", "image: not an image, or of a format that is not read"),
        ("x.png", "image: a path, but there is no image root"),
        ("https://example.com/x.png", "image: a URL, which is never fetched"),
        ({"bytes": "x.png"}, "image: bytes as text that is not base64"),
    ],
)
def test_what_is_no_image(value, reason):
    assert why(value) == reason


def test_the_byte_limit_comes_before_decoding():
    assert why(b"not an image" * 100, max_bytes=1000) == "image: 1200 bytes is over the limit of 1000"
    text = base64.b64encode(encode(gradient())).decode()
    assert why(text, max_bytes=99) == f"image: {len(text) * 3 // 4} bytes is over the limit of 99"


def test_a_text_of_more_parts_than_images_have_is_not_taken_apart(recwarn):
    """Python takes 400 bytes for each; and it prints warnings that quote what it reads."""
    text = "[" + "1," * 5000 + "x]"
    assert each_image(text) == [text]
    assert each_image("[1if 1else 2]") == ["[1if 1else 2]"]
    assert each_image(str([{"bytes": b"(,'[" * 5000, "path": None}])) == [{"bytes": b"(,'[" * 5000, "path": None}]
    assert not recwarn.list


def test_a_file_that_is_missing_is_asked_for_once_by_each_way_to_write_it():
    asked = []

    class Empty:
        def read(self, path, _):
            asked.append(path)
            raise RowRejected(Code.IMAGE, "missing")

        def check(self):
            pass

    for path in ("a/b.jpg", "a/\u00e9.jpg", r"a\b.jpg"):
        assert why(path, root=Empty()) == "image: missing"
    assert asked == ["a/b.jpg", "a/\u00e9.jpg", "a/e\u0301.jpg", r"a\b.jpg", "a/b.jpg"]
