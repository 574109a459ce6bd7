"""CSV as spreadsheets and other countries write it: delimiters, encodings, line ends."""

import csv
import io

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from relabel.data.sources import scan
from relabel.errors import SourceUnreadable, SpecError
from relabel.spec import Source
from relabel.spec.load import make_spec
from tests.data.builders import files_of, read_all, source_of, write_bytes

ROWS = [("1", "Café, noir"), ("2", "two\nlines"), ("3", 'a "quote"; and more')]


def written(delimiter=",", newline="\n", encoding="utf-8", rows=ROWS):
    text = io.StringIO(newline="")
    writer = csv.writer(text, delimiter=delimiter, lineterminator=newline, quoting=csv.QUOTE_ALL)
    writer.writerow(["id", "alt_text"])
    writer.writerows(rows)
    return text.getvalue().encode(encoding)


@pytest.mark.parametrize("suffix", [".csv", ".csv.gz"])
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "cp1252", "utf-16", "utf-32"])
@pytest.mark.parametrize("newline", ["\n", "\r\n", "\r"])
@pytest.mark.parametrize("delimiter", [",", ";", "\t", "|"])
def test_what_is_plain_is_found(tmp_path, delimiter, newline, encoding, suffix):
    write_bytes(tmp_path / f"a{suffix}", written(delimiter, newline, encoding))
    rows, kept = read_all(source_of(tmp_path, "csv"), ["alt_text"], ["id"], unit_rows=2)
    assert rows == [((text,), None) for _, text in ROWS]
    assert kept["id"].to_pylist() == ["1", "2", "3"]


@pytest.mark.parametrize(("delimiter", "encoding"), [("~", "utf-16-le"), ("^", "cp1251"), (":", "shift_jis")])
def test_what_is_not_plain_is_as_the_spec_says(tmp_path, delimiter, encoding):
    rows = [("1", "Привет"), ("2", "x")]
    write_bytes(tmp_path / "a.csv", written(delimiter, encoding=encoding, rows=rows))
    source = source_of(tmp_path, "csv", delimiter=delimiter, encoding=encoding)
    assert read_all(source, ["alt_text"], ["id"])[0] == [(("Привет",), None), (("x",), None)]


def test_the_line_of_spreadsheets_that_names_the_delimiter_is_no_row(tmp_path):
    write_bytes(tmp_path / "a.csv", b"sep=;\r\n" + written(";", "\r\n"))
    assert read_all(source_of(tmp_path, "csv"), ["alt_text"])[0] == [((text,), None) for _, text in ROWS]


def test_a_comma_in_a_header_of_semicolons_and_one_column_with_a_semicolon(tmp_path):
    write_bytes(tmp_path / "a.csv", b"id;name, first\n1;Ann\n2;Bo\n")
    assert read_all(source_of(tmp_path, "csv"), ["name, first"])[0] == [(("Ann",), None), (("Bo",), None)]
    write_bytes(tmp_path / "a.csv", b"text\nhello; world\nbye\n")
    assert read_all(source_of(tmp_path, "csv"), ["text"])[0] == [(("hello; world",), None), (("bye",), None)]


def test_bytes_that_are_damage_in_a_file_of_utf_8_cost_their_rows(tmp_path):
    write_bytes(tmp_path / "a.csv", "id,t\n1,é\n2,".encode() + b"caf\xe9\n3,x\n")
    reasons = [why for _, why in read_all(source_of(tmp_path, "csv"), ["t"])[0]]
    assert reasons == [None, "source: column t holds invalid UTF-8", None]


@pytest.mark.parametrize("content", ["id,t\n1,x\n".encode("utf-16-le"), b"\xff,t\n"])
def test_what_cannot_be_found_is_named_with_the_setting(tmp_path, content):
    write_bytes(tmp_path / "a.csv", content)
    source = source_of(tmp_path, "csv")
    with pytest.raises(SourceUnreadable, match=r"a\.csv .*source\.encoding"):
        scan(files_of(source)[0], source, 8)


FOREIGN = {
    "cp1251": "Привет, мир",
    "koi8-r": "Привет, мир",
    "shift_jis": "これは日本語の文です",
    "gb18030": "这是一个中文句子",
    "euc_kr": "안녕하세요 세계",
    "iso8859_7": "Καλημέρα κόσμε",
    "cp1255": "שלום עולם",
    "cp850": "Café très élégant",
}


@pytest.mark.parametrize("encoding", FOREIGN)
def test_text_that_would_be_nonsense_in_western_letters_asks_for_its_encoding(tmp_path, encoding):
    write_bytes(tmp_path / "a.csv", f'id,t\n1,"{FOREIGN[encoding]}"\n'.encode(encoding))
    source = source_of(tmp_path, "csv")
    with pytest.raises(SourceUnreadable, match=r"not plainly another encoding: name it in source\.encoding"):
        scan(files_of(source)[0], source, 8)
    source = source_of(tmp_path, "csv", encoding=encoding)
    assert read_all(source, ["t"])[0] == [((FOREIGN[encoding],), None)]


@pytest.mark.parametrize(
    "text",
    [
        "“5 €” naïve",
        "créée à l'été — déjà",
        "Größe: süß",
        "Señor Ñandú",
        "50 °C ± 2",
        "note ‡ here",
        "Šari / Škoda",
        "¿¡¡¡Qué!!! ©®™",
    ],
)
def test_western_text_is_found(tmp_path, text):
    write_bytes(tmp_path / "a.csv", f'id,t\n1,"{text}"\n'.encode("cp1252"))
    assert read_all(source_of(tmp_path, "csv"), ["t"])[0] == [((text,), None)]


LETTERS = b'id\tt\n1\t"Yes" he said\n2\t5" disk\n3\t"not closed\n'


def test_quotes_are_letters_in_a_table_of_tabs_that_is_one_only_so(tmp_path):
    write_bytes(tmp_path / "a.tsv", LETTERS)
    texts = ['"Yes" he said', '5" disk', '"not closed']
    assert read_all(source_of(tmp_path, "csv"), ["t"], unit_rows=2)[0] == [((text,), None) for text in texts]


@pytest.mark.parametrize(
    ("content", "quote", "texts"),
    [
        (LETTERS.replace(b"\t", b","), "none", ['"Yes" he said', '5" disk', '"not closed']),
        (b'id\tt\n1\t"x"\n2\t"y\n', "none", ['"x"', '"y']),
        (b"id,t\n1,'a, b'\n2,'it''s'\n", "'", ["a, b", "it's"]),
    ],
)
def test_quotes_are_as_the_spec_says(tmp_path, content, quote, texts):
    write_bytes(tmp_path / "a.csv", content)
    source = source_of(tmp_path, "csv", quote=quote)
    assert read_all(source, ["t"], unit_rows=1)[0] == [((text,), None) for text in texts]


ESCAPED = b'id,t\n1,"He said \\"hi\\", twice"\n2,"C:\\\\dir"\n3,plain\n4,a\\,b\n'


def test_quotes_that_are_escaped_where_no_other_way_makes_a_table(tmp_path):
    write_bytes(tmp_path / "a.csv", ESCAPED)
    texts = ['He said "hi", twice', "C:\\dir", "plain", "a,b"]
    assert read_all(source_of(tmp_path, "csv"), ["t"], unit_rows=2)[0] == [((text,), None) for text in texts]


def test_a_backslash_that_is_also_a_letter_is_no_escape_until_the_spec_says_so(tmp_path):
    write_bytes(tmp_path / "a.csv", b'id,t\n1,"He said \\"hi\\""\n2,"C:\\dir"\n')
    bad = ((None,), "source: not a row of CSV")
    assert read_all(source_of(tmp_path, "csv"), ["t"])[0] == [bad, (("C:\\dir",), None)]
    told = source_of(tmp_path, "csv", escape="\\")
    assert read_all(told, ["t"])[0] == [(('He said "hi"',), None), (("C:dir",), None)]


def test_backslashes_in_a_table_of_doubled_quotes_are_letters(tmp_path):
    write_bytes(tmp_path / "a.csv", b'id,t\n1,"ends with \\"\n2,"a ""b"" \\n"\n3,\\\n')
    texts = ["ends with \\", 'a "b" \\n', "\\"]
    assert read_all(source_of(tmp_path, "csv"), ["t"])[0] == [((text,), None) for text in texts]


def test_a_file_that_is_not_in_the_encoding_of_the_spec_costs_itself(tmp_path):
    write_bytes(tmp_path / "a.csv", b"i\x00d\x00")
    source = source_of(tmp_path, "csv", encoding="utf-16")
    with pytest.raises(SourceUnreadable, match=r"a\.csv"):
        scan(files_of(source)[0], source, 8)


@pytest.mark.parametrize(
    "fields",
    [
        {"delimiter": ";;"},
        {"delimiter": '"'},
        {"encoding": "klingon"},
        {"encoding": "hex"},
        {"quote": "''"},
        {"quote": "a"},
        {"escape": "no"},
        {"escape": '"'},
    ],
)
def test_settings_that_are_none_are_refused(fields):
    with pytest.raises(SpecError, match=rf"source\b.*\b{next(iter(fields))}"):
        make_spec({"source": {"path": "x", "format": "csv", **fields}, "model": {"path": "m"}, "output": {"path": "o"}})
    with pytest.raises(ValueError, match="goes with format: csv"):
        Source(path="x", format="jsonl", delimiter=";")


CELLS = st.text(st.characters(codec="cp1252", exclude_characters="ÿ\0\x81\x8d\x8f\x90\x9d"), max_size=6)


@settings(max_examples=60, deadline=None)
@given(
    rows=st.lists(st.tuples(CELLS, CELLS), min_size=1, max_size=6),
    delimiter=st.sampled_from(";\t|,"),
    newline=st.sampled_from(["\n", "\r\n"]),
    encoding=st.sampled_from(["utf-8", "cp1252", "utf-16"]),
)
def test_with_settings_any_table_comes_back(tmp_path_factory, rows, delimiter, newline, encoding):
    assume(all(any(row) for row in rows))
    root = tmp_path_factory.mktemp("source")
    write_bytes(root / "a.csv", written(delimiter, newline, encoding, rows))
    source = source_of(root, "csv", delimiter=delimiter, encoding=encoding)
    assert read_all(source, ["id", "alt_text"], unit_rows=2)[0] == [(row, None) for row in rows]
