import os

import pyarrow as pa
import pytest

from relabel.data.sources import read
from relabel.data.sources.roots import absolute_source
from relabel.errors import SourceRefused, SourceUnreadable
from relabel.rejected import Code, Rejected
from tests.data.builders import files_of, read_all, source_of, units_of, write_bytes


def fill(root, *names):
    for name in names:
        write_bytes(root / name, name.encode())


def test_each_folder_is_a_file_and_each_image_a_row(tmp_path):
    root = tmp_path / "photos"
    fill(root, "b.jpg", "a.PNG", "notes.txt", ".hidden.jpg", "cats/2.webp", "cats/10.jpg", "_trash/x.jpg", "empty/x.md")
    source = source_of(root, "images")
    assert [(file.path, file.stem) for file in files_of(source)] == [("cats", "cats"), ("photos", "photos")]
    rows, kept = read_all(source, ["path", "image"], ["path"], unit_rows=1)
    names = ["cats/10.jpg", "cats/2.webp", "a.PNG", "b.jpg"]
    assert rows == [((name, name.encode()), None) for name in names]
    assert kept["path"].to_pylist() == names


@pytest.mark.parametrize(
    ("pattern", "names"),
    [
        ("*.jpg", ["a.jpg"]),
        ("**/*.jpg", ["x/b.jpg", "x/y/c.jpg", "a.jpg"]),
        ("x", ["b.jpg", "y/c.jpg", "y/d.png"]),
        ("x/*", ["y/c.jpg", "y/d.png", "b.jpg"]),
        ("**", ["x/b.jpg", "x/y/c.jpg", "x/y/d.png", "a.jpg", "e.png"]),
    ],
)
def test_what_a_glob_lists_is_what_is_read(tmp_path, pattern, names):
    root = tmp_path / "root"
    fill(root, "a.jpg", "e.png", "x/b.jpg", "x/y/c.jpg", "x/y/d.png", "x/_no/e.jpg")
    rows, _ = read_all(source_of(root / pattern, "images"), ["path"])
    assert sorted(row[0][0] for row in rows) == sorted(names)


def test_several_patterns_in_one_folder(tmp_path):
    fill(tmp_path, "a.jpg", "b.png", "c.gif")
    rows, _ = read_all(source_of([tmp_path / "*.jpg", tmp_path / "*.png"], "images"), ["path"])
    assert [row[0][0] for row in rows] == ["a.jpg", "b.png"]


def folder_with_a_lost_image(tmp_path):
    """The unit of a folder with three images, of which one is a link whose target went away after the plan."""
    fill(tmp_path / "in", "a.jpg", "c.jpg")
    fill(tmp_path, "b.jpg")
    os.symlink(tmp_path / "b.jpg", tmp_path / "in/b.jpg")
    source = source_of(tmp_path / "in", "images")
    (unit,) = units_of(files_of(source)[0], source, 8)
    (tmp_path / "b.jpg").unlink()
    return unit, source


def test_an_image_that_cannot_be_opened_costs_its_row(tmp_path):
    rows = read(*folder_with_a_lost_image(tmp_path), ["image"], pa.schema([]))
    assert rows.reasons == [None, Rejected(Code.SOURCE, "the image cannot be opened"), None]
    assert rows.columns["image"] == [b"a.jpg", None, b"c.jpg"]


def test_the_bytes_are_read_only_when_asked_for(tmp_path):
    rows = read(*folder_with_a_lost_image(tmp_path), ["path"], pa.schema([]))
    assert rows.reasons == [None, None, None]


def test_an_absolute_source_is_read_in_any_working_directory(tmp_path, monkeypatch):
    fill(tmp_path, "photos/a.jpg", "photos/in/b.jpg")
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path)
    given = source_of("photos", "images", image_root=".")
    source = absolute_source(given)
    files = files_of(given)
    assert files_of(source) == files
    assert source.image_root == str(tmp_path)
    monkeypatch.chdir(tmp_path / "elsewhere")
    names = [read(units_of(file, source, 8)[0], source, ["path"], pa.schema([])).columns["path"] for file in files]
    assert names == [["in/b.jpg"], ["a.jpg"]]


@pytest.mark.parametrize("change", ["add", "remove", "grow", "touch"])
def test_a_folder_that_changed_is_another_version(tmp_path, change):
    fill(tmp_path, "a.jpg", "b.jpg")
    source = source_of(tmp_path, "images")
    (before,) = files_of(source)
    match change:
        case "add":
            fill(tmp_path, "c.jpg")
        case "remove":
            (tmp_path / "a.jpg").unlink()
        case "grow":
            (tmp_path / "a.jpg").write_bytes(b"more than before")
        case "touch":
            os.utime(tmp_path / "a.jpg", ns=(1, 1))
    (after,) = files_of(source)
    assert after.version != before.version
    with pytest.raises(SourceUnreadable, match="changed after it was planned"):
        units_of(before, source, 8)


def test_a_folder_without_images_is_refused(tmp_path):
    fill(tmp_path, "a.txt")
    with pytest.raises(SourceRefused, match="matches no images file"):
        files_of(source_of(tmp_path / "*", "images"))


def test_every_format_that_is_read_is_a_row_under_any_of_its_suffixes(tmp_path):
    names = ["a.jfif", "b.AVIF", "c.jp2", "d.mpo", "e.apng", "f.heic", "g.ico", "h.tiff"]
    fill(tmp_path, *names, "i.eps", "j.pdf", "k.svg", "l.mp4", "m.jxl")
    rows, _ = read_all(source_of(tmp_path, "images"), ["path"])
    assert [row[0][0] for row in rows] == names
