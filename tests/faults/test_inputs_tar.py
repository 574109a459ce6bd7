"""WebDataset shards made to write where they should not, or to claim what they do not hold."""

import io
import os
import tarfile

import pytest

from tests.data.builders import source_of, write_tar
from tests.faults.corpus import read_planned

pytestmark = pytest.mark.fault


def rows_of(path, columns=("__key__", "txt")):
    sound, broken = read_planned(source_of(path, "webdataset"), list(columns))
    return sound.get(path.name), broken.get(path.name)


def special(name, kind, link="", **fields):
    info = tarfile.TarInfo(name)
    info.type, info.linkname = kind, link
    for field, value in fields.items():
        setattr(info, field, value)
    return info


NAMES = ["../up", "a/../../up", "/etc/cron.d/job", "C:\\up", "a//b", "~/x", "$(reboot)", "new\nline", "-rf", "con"]


@pytest.mark.parametrize("name", NAMES)
def test_a_name_that_would_be_a_path_is_only_a_key(tmp_path, name):
    folder = tmp_path / "data"
    path = write_tar(folder / "a.tar", [("1.txt", b"before"), (f"{name}.txt", b"x"), ("2.txt", b"after")])
    assert rows_of(path)[0] == [(("1", "before"), None), ((name, "x"), None), (("2", "after"), None)]
    assert (os.listdir(tmp_path), os.listdir(folder)) == (["data"], ["a.tar"])


@pytest.mark.parametrize("kind", [tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.CHRTYPE, tarfile.BLKTYPE, tarfile.FIFOTYPE])
@pytest.mark.parametrize("target", ["/etc/passwd", "../../etc/passwd", "1.txt", ""])
def test_a_member_that_points_elsewhere_is_passed_over(tmp_path, kind, target):
    path = write_tar(
        tmp_path / "a.tar", [("1.txt", b"x"), special("1.json", kind, target), special("p.txt", kind, target)]
    )
    assert rows_of(path, ["__key__", "txt", "json"])[0] == [(("1", "x", None), None)]


def test_a_key_that_comes_again_is_a_row_of_its_own_and_takes_nothing_from_the_first(tmp_path):
    members = [("1.txt", b"first"), ("1.txt", b"at once again"), ("2.txt", b"other"), ("1.txt", b"later")]
    rows, _ = rows_of(write_tar(tmp_path / "a.tar", members))
    assert rows == [(("1", "first"), None), (("2", "other"), None), (("1", "later"), None)]


def test_a_name_in_latin_1_costs_its_row(tmp_path):
    sink = io.BytesIO()
    with tarfile.open(fileobj=sink, mode="w", format=tarfile.GNU_FORMAT, encoding="latin-1") as archive:
        for name, body in (("1.txt", b"before"), ("é.txt", b"x"), ("2.txt", b"after")):
            member = tarfile.TarInfo(name)
            member.size = len(body)
            archive.addfile(member, io.BytesIO(body))
    (tmp_path / "a.tar").write_bytes(sink.getvalue())
    rows, _ = rows_of(tmp_path / "a.tar")
    assert [why for _, why in rows] == [None, "source: column __key__ holds invalid UTF-8", None]
    assert [rows[0][0], rows[2][0]] == [("1", "before"), ("2", "after")]


def pax(records):
    """The blocks of an extended header with these records, and of the file that it is about."""
    member = special("1.txt", tarfile.REGTYPE, size=1, pax_headers=records)
    return member.tobuf(tarfile.PAX_FORMAT) + b"x" + bytes(511)


PAX = {
    "a huge size": {"size": str(2**62)},
    "a negative size": {"size": "-512"},
    "a size that is no number": {"size": "many"},
    "a size of a thousand digits": {"size": "9" * 1000},
    "a huge sparse file": {"GNU.sparse.major": "1", "GNU.sparse.minor": "0", "GNU.sparse.realsize": str(2**60)},
    "a sparse map": {"GNU.sparse.size": str(2**60), "GNU.sparse.numblocks": "1", "GNU.sparse.map": f"0,{2**60}"},
    "a sparse map of nonsense": {"GNU.sparse.map": "x,y"},
    "a long path": {"path": "d/" * 100_000 + "1.txt"},
    "a path with a NUL": {"path": "1.txt\0.jpg"},
    "a time without end": {"mtime": "1e999"},
}


@pytest.mark.parametrize("name", PAX)
def test_an_extended_header_that_lies_gives_rows_or_a_named_shard(tmp_path, name):
    (tmp_path / "a.tar").write_bytes(pax(PAX[name]) + bytes(10_240))
    rows, broken = rows_of(tmp_path / "a.tar")
    assert (rows is None) == (broken is not None)
    assert not rows or len(rows) == 1


def test_a_gnu_sparse_member_is_passed_over_and_the_others_are_whole(tmp_path):
    sparse = special("s.txt", tarfile.GNUTYPE_SPARSE, size=0)
    rows, broken = rows_of(write_tar(tmp_path / "a.tar", [("1.txt", b"x"), sparse, ("2.txt", b"y")]))
    assert broken or rows == [(("1", "x"), None), (("2", "y"), None)]


def test_a_shard_cut_in_the_middle_is_named_and_the_others_are_whole(tmp_path):
    for name in "abc":
        write_tar(tmp_path / f"{name}.tar", [(f"{n}.txt", b"x" * 700) for n in range(5)])
    (tmp_path / "b.tar").write_bytes((tmp_path / "b.tar").read_bytes()[:3000])
    sound, broken = read_planned(source_of(tmp_path, "webdataset"), ["txt"])
    assert sound == {name: [(("x" * 700,), None)] * 5 for name in ("a.tar", "c.tar")}
    assert "b.tar" in broken["b.tar"]
