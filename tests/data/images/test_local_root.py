import os

import fsspec
import pytest

from relabel.errors import SourceUnreadable
from tests.data.images.decoding import RED, decode, encode, why


@pytest.mark.parametrize(
    "path",
    [
        "http://127.0.0.1:9/x.png",
        "https://example.com/x.png",
        "HTTPS://example.com/x.png",
        "file:x.png",
        "file://elsewhere/x.png",
        "s3://bucket/x.png",
        "//host/x.png",
    ],
)
def test_no_url_is_ever_fetched(tmp_path, path):
    assert why(path, root=tmp_path) == "image: a URL, which is never fetched"


@pytest.fixture
def root(tmp_path):
    """A folder with one image, links out of it and back into it, and an image beside it."""
    root = tmp_path / "root"
    (root / "sub").mkdir(parents=True)
    for place in (tmp_path / "outside.png", root / "in.png"):
        place.write_bytes(encode(RED))
    os.symlink(tmp_path / "outside.png", root / "link.png")
    os.symlink(tmp_path, root / "sub/up")
    os.symlink(root, root / "self")
    return root


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
        "file:///etc/passwd",
        "file://localhost/etc/passwd",
        "{root}/../outside.png",
        "file://{root}/%2e%2e/outside.png",
        "C:\\images\\a.png",
        "../root-of-another/in.png",
    ],
)
def test_no_path_leaves_the_root(root, path):
    assert why(path.format(root=root), root=root) == "image: a path that leaves the image root"


@pytest.mark.parametrize(
    "path",
    [
        "in.png",
        "./in.png",
        "self/in.png",
        "sub/../in.png",
        "sub//..//in.png",
        "sub/./../in.png",
        "{root}/in.png",
        "{root}/sub/../in.png",
        "{root}/../root/in.png",
        "file://{root}/in.png",
        "file:{root}/in.png",
        "FILE://localhost{root}/%69n.png",
    ],
)
def test_a_path_is_judged_by_where_it_leads(root, path):
    assert decode(path.format(root=root), root=root) == RED


def test_a_root_that_is_itself_a_link(tmp_path):
    (tmp_path / "real").mkdir()
    (tmp_path / "real/in.png").write_bytes(encode(RED))
    os.symlink(tmp_path / "real", tmp_path / "root")
    assert decode("in.png", root=tmp_path / "root") == RED
    assert decode(f"{tmp_path}/root/in.png", root=tmp_path / "root") == RED


NO_FILES = [
    "lost.png",
    "sub",
    "pipe",
    "in.png/x.png",
    "in.png/",
    "n" * 4000,
    "n" * 300,
    "n.png" * 1000,
    "loop",
    "\ud800.png",
    ".",
    "\\",
]


@pytest.mark.parametrize("path", NO_FILES)
def test_a_path_that_is_no_file_is_missing(root, path):
    os.mkfifo(root / "pipe")
    os.symlink(root / "loop", root / "loop")
    assert why(path, root=root) == "image: missing"


def test_a_path_with_a_zero_byte(root):
    for path in ("in.png\0", "in.png\0.jpg", "\0/../outside.png", "file:///%00"):
        assert why(path, root=root) == "image: a path that no file can have"


def test_a_name_that_is_not_utf_8_is_read_as_the_system_lists_it(root):
    os.rename(root / "in.png", os.fsencode(root) + b"/\xff.png")
    (name,) = [name for name in os.listdir(root) if not name.isascii()]
    assert decode(name, root=root) == RED


def test_a_file_over_the_byte_limit_is_not_read(tmp_path):
    with open(tmp_path / "sparse.png", "wb") as file:
        file.truncate(2**40)
    assert why("sparse.png", root=tmp_path) == f"image: {2**40} bytes is over the limit of {2**20}"


@pytest.mark.parametrize("place", ["lost", "a-file"])
def test_a_root_that_is_no_folder_is_no_fault_of_a_row(tmp_path, place):
    (tmp_path / "a-file").write_bytes(b"x")
    with pytest.raises(SourceUnreadable, match=r"the image root .* cannot be read: it is no folder on this machine"):
        decode("a.png", root=tmp_path / place)


def test_a_root_behind_a_url_of_fsspec():
    fsspec.filesystem("memory").pipe({"/shelf/in/r.png": encode(RED), "/shelf/outside.png": encode(RED)})
    for path in ("r.png", "./r.png", "x/../r.png", "memory://shelf/in/r.png"):
        assert decode(path, root="memory://shelf/in") == RED
    assert why("lost.png", root="memory://shelf/in") == "image: missing"
    assert why("n" * 4000, root="memory://shelf/in") == "image: missing"
    for path in ("../outside.png", "/shelf/outside.png", "..\\outside.png", "file:///shelf/in/r.png"):
        assert why(path, root="memory://shelf/in") == "image: a path that leaves the image root"
    for path in ("a//r.png", "r.png/", "memory://shelf/in//r.png"):
        assert why(path, root="memory://shelf/in").startswith("image: a path")
    assert why("memory://shelf/outside.png", root="memory://shelf/in") == "image: a URL, which is never fetched"
    assert why("\ud800.png", root="memory://shelf/in") == "image: a path that no file can have"
    assert why("r.png", root="memory://shelf/in", max_bytes=5).endswith("over the limit of 5")
