import os
import random
import tarfile

import pyarrow as pa
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from relabel.data.sources import read
from relabel.data.sources.plan import Plan
from relabel.data.sources.planning import make_plan
from relabel.errors import SourceUnreadable
from tests.data.builders import columns_of, files_of, read_all, source_of, units_of, write_tar

COLUMNS = ["__key__", "image", "txt", "json"]


def special(name, kind, link=""):
    info = tarfile.TarInfo(name)
    info.type, info.linkname = kind, link
    return info


@pytest.mark.parametrize("format", [tarfile.USTAR_FORMAT, tarfile.GNU_FORMAT, tarfile.PAX_FORMAT])
def test_a_row_is_the_consecutive_members_with_one_key(tmp_path, format):
    long = "d" * 60 + "/" + "n" * 90
    write_tar(
        tmp_path / "a.tar",
        [
            ("x/001.jpg", b"J1"),
            ("x/001.txt", "eins ü".encode()),
            ("x/001.json", b'{"w": 1}'),
            ("x/002.seg.png", b"mask"),
            ("x/002.PNG", b"P2"),
            ("x/002.webp", b"second image"),
            ("y.d/002.txt", b"other folder"),
            (f"{long}.jpg", b"L"),
        ],
        format,
    )
    rows, kept = read_all(source_of(tmp_path, "webdataset"), COLUMNS, ["json", "__key__"], unit_rows=1)
    assert rows == [
        (("x/001", b"J1", "eins ü", {"w": 1}), None),
        (("x/002", b"P2", None, None), None),
        (("y.d/002", None, "other folder", None), None),
        ((long, b"L", None, None), None),
    ]
    assert kept["json"].to_pylist() == ['{"w": 1}', None, None, None]


def test_only_what_is_asked_for_is_a_column(tmp_path):
    write_tar(tmp_path / "a.tar", [("1.jpg", b"J"), ("1.txt", b"t"), ("1.cls", b"3")])
    source = source_of(tmp_path, "webdataset")
    assert columns_of(files_of(source)[0], source).names == ["__key__", "jpg", "image", "txt", "cls"]
    assert read_all(source, ["txt"])[0] == [(("t",), None)]


def test_units_in_any_order(tmp_path):
    write_tar(
        tmp_path / "a.tar", [(f"{n:03d}.{end}", f"{n} {end}".encode()) for n in range(100) for end in ("jpg", "txt")]
    )
    source = source_of(tmp_path, "webdataset")
    units = units_of(files_of(source)[0], source, 7)
    assert len(units) == 15
    for unit in random.Random(3).sample(units, len(units)):
        numbers = range(unit.first_row, unit.first_row + unit.num_rows)
        assert read(unit, source, ["txt"], pa.schema([])).columns["txt"] == [f"{n} txt" for n in numbers]


def test_links_devices_and_hostile_names_do_nothing(tmp_path):
    secret = tmp_path / "secret.txt"
    secret.write_text("secret")
    folder = tmp_path / "data"
    write_tar(
        folder / "a.tar",
        [
            special("1.txt", tarfile.SYMTYPE, str(secret)),
            special("1.jpg", tarfile.LNKTYPE, str(secret)),
            special("dev.txt", tarfile.CHRTYPE),
            special("fifo.txt", tarfile.FIFOTYPE),
            special("folder.txt", tarfile.DIRTYPE),
            ("../../escape.txt", b"a"),
            ("/etc/absolute.txt", b"b"),
            ("noextension", b"c"),
            (".hidden.txt", b"d"),
        ],
    )
    before = sorted(os.listdir(tmp_path))
    rows, _ = read_all(source_of(folder, "webdataset"), ["__key__", "txt"])
    assert rows == [(("../../escape", "a"), None), (("/etc/absolute", "b"), None)]
    assert sorted(os.listdir(tmp_path)) == before


def test_bad_members_cost_their_row(tmp_path):
    write_tar(
        tmp_path / "a.tar",
        [
            ("1.txt", b"\xff"),
            ("2.json", b"{"),
            ("3.json", b"[" * 100_000),
            ("4.json", b'{"a": "\\ud800"}'),
            ("\udcff.txt", b"name"),
            ("5.txt", b"fine"),
        ],
    )
    rows, _ = read_all(source_of(tmp_path, "webdataset"), ["__key__", "txt", "json"], unit_rows=9)
    assert [why for _, why in rows] == [
        "source: txt is not valid UTF-8",
        "source: json is not valid JSON",
        "source: json is not valid JSON",
        "source: column json holds invalid UTF-8",
        "source: column __key__ holds invalid UTF-8",
        None,
    ]


def test_a_sample_that_cannot_be_read_keeps_its_key(tmp_path):
    write_tar(tmp_path / "a.tar", [("a.txt", b"\xff"), ("b.json", b"{"), ("c.txt", b"x")])
    rows, kept = read_all(source_of(tmp_path, "webdataset"), ["txt", "json"], ["__key__", "txt"])
    assert [why and why.partition(":")[0] for _, why in rows] == ["source", "source", None]
    assert kept["__key__"].to_pylist() == ["a", "b", "c"]


def test_an_archive_without_members_has_no_units(tmp_path):
    write_tar(tmp_path / "a.tar", [])
    source = source_of(tmp_path, "webdataset")
    assert units_of(files_of(source)[0], source, 8) == []


@pytest.mark.parametrize("cut", [0, 100, 512, 1000, 1024, 1536, 2560, 4096])
def test_a_truncated_archive_is_named_at_the_scan(tmp_path, cut):
    """Python's tarfile ends in silence for each of these but the first two."""
    path = write_tar(tmp_path / "a.tar", [(f"{n}.txt", b"x" * 600) for n in range(4)])
    path.write_bytes(path.read_bytes()[:cut])
    source = source_of(tmp_path, "webdataset")
    with pytest.raises(SourceUnreadable, match=r"a\.tar"):
        units_of(files_of(source)[0], source, 8)


def test_a_damaged_header_in_the_middle_is_named(tmp_path):
    path = write_tar(tmp_path / "a.tar", [(f"{n}.txt", b"x") for n in range(4)])
    content = bytearray(path.read_bytes())
    content[1024 + 3] ^= 1
    path.write_bytes(content)
    source = source_of(tmp_path, "webdataset")
    with pytest.raises(SourceUnreadable, match="byte 1024"):
        units_of(files_of(source)[0], source, 8)


def test_joined_archives_are_named_and_not_half_read(tmp_path):
    path = write_tar(tmp_path / "a.tar", [("1.txt", b"x")])
    path.write_bytes(path.read_bytes() * 2)
    source = source_of(tmp_path, "webdataset")
    with pytest.raises(SourceUnreadable, match="after its end mark"):
        units_of(files_of(source)[0], source, 8)


def test_a_header_that_claims_a_huge_size_reads_nothing(tmp_path):
    huge = tarfile.TarInfo("pax")
    huge.size, huge.type = 2**40, tarfile.XHDTYPE
    (tmp_path / "a.tar").write_bytes(huge.tobuf(tarfile.GNU_FORMAT) + bytes(10240))
    source = source_of(tmp_path, "webdataset")
    with pytest.raises(SourceUnreadable):
        units_of(files_of(source)[0], source, 8)


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_no_other_error_escapes_from_a_mutated_archive(tmp_path, data):
    path = tmp_path / "a.tar"
    members = [("1.txt", b"x" * 10), ("n" * 120 + ".json", b"{}"), ("2.jpg", b"j"), ("ü.txt", b"")]
    format = data.draw(st.sampled_from([tarfile.GNU_FORMAT, tarfile.PAX_FORMAT]))
    content = bytearray(write_tar(path, members, format).read_bytes())
    for _ in range(data.draw(st.integers(1, 4))):
        header = 512 * data.draw(st.integers(0, 12))
        content[header + data.draw(st.integers(0, 511))] = data.draw(st.integers(0, 255))
        checksum = 256 + sum(content[header : header + 148]) + sum(content[header + 156 : header + 512])
        content[header + 148 : header + 156] = f"{checksum:06o}\0 ".encode()
    path.write_bytes(content)
    source = source_of(tmp_path, "webdataset")
    units = []
    try:
        units = units_of(files_of(source)[0], source, 2)
    except SourceUnreadable:
        return
    for unit in units:
        assert len(read(unit, source, COLUMNS, pa.schema([])).reasons) == unit.num_rows


@pytest.mark.parametrize("suffix", ["jfif", "AVIF", "jp2", "mpo", "apng", "heic"])
def test_every_format_that_is_read_is_the_image_of_its_sample(tmp_path, suffix):
    write_tar(tmp_path / "a.tar", [(f"1.{suffix}", b"bytes"), ("1.txt", b"text"), ("2.eps", b"bytes")])
    rows, _ = read_all(source_of(tmp_path / "a.tar", "webdataset"), ["__key__", "image"])
    assert rows == [(("1", b"bytes"), None), (("2", None), None)]


def test_keys_and_columns_are_those_of_webdataset_and_what_is_no_column_is_counted(tmp_path):
    """Its key ends at the first dot of the name: three photos with numbers behind it are three columns of one row."""
    numbered = [(f"photo.{n:04}.jpg", b"J%d" % n) for n in range(3)]
    members = [
        *numbered,
        ("x.Seg.PNG", b"S"),
        ("x.cls", b"7"),
        ("x.cls", b"8"),
        ("README", b"r"),
        (".hidden.txt", b"h"),
    ]
    write_tar(tmp_path / "a.tar", [*members, special("link.txt", tarfile.SYMTYPE, "x")])
    source = source_of(tmp_path, "webdataset")
    plan = make_plan(source, 8)
    assert plan.columns.names == ["__key__", "0000.jpg", "0001.jpg", "0002.jpg", "seg.png", "cls"]
    rows, kept = read_all(source, ["__key__", "0001.jpg", "seg.png"], ["cls"])
    assert rows == [(("photo", b"J1", None), None), (("x", None, b"S"), None)]
    assert kept["cls"].to_pylist() == [None, "7"]
    assert plan.passed_over == {
        "members without a key": 2,
        "members that come twice": 1,
        "links and devices in archives": 1,
    }
    assert Plan.from_json(plan.to_json()).passed_over == plan.passed_over
