"""The file: bounded, whole or not at all, and without a letter of a row that could end a script or begin a tag."""

import json
import re

import pytest

from relabel.errors import StoreFailed
from relabel.report.page import Page
from relabel.report.row import Answer, Picture, Row

ROW = Row(file="a.jsonl", number=0, status="ok", answers=(Answer(label="</script><b>&amp;</b> it's \u2028"),))


def page_of(rows, spec):
    return Page(title="</title><b>", rows=rows, facts={"spec": spec})


def data_of(path):
    return re.search(r'<script type="application/json" id="data">(.*?)</script>', path.read_text(), re.DOTALL)[1]


def test_rows_are_data_that_holds_no_markup(tmp_path, spec):
    page_of([ROW], spec).write(tmp_path / "page.html")
    assert not re.search("[<>&'\u2028]", data_of(tmp_path / "page.html"))
    (row,) = json.loads(data_of(tmp_path / "page.html"))
    assert row["answers"][0]["label"] == ROW.answers[0].label
    assert "<title>&lt;/title&gt;&lt;b&gt;" in (tmp_path / "page.html").read_text()


def test_a_page_has_at_most_eight_megabytes_and_says_how_many_rows_it_has_no_room_for(tmp_path, spec):
    large = Row(file="a", number=1, status="ok", answers=(), pictures=(Picture(src="data:" + "x" * 2_000_000),))
    figures = page_of([large] * 5, spec).write(tmp_path / "page.html")
    assert (figures["rows"], figures["no_room"]) == (3, 2)
    assert figures["bytes"] == (tmp_path / "page.html").stat().st_size < 8_000_000


def test_a_page_that_cannot_be_written_leaves_nothing(tmp_path, spec):
    with pytest.raises(StoreFailed, match="cannot write"):
        page_of([ROW], spec).write(tmp_path / "no/page.html")
    (tmp_path / "page.html").mkdir()
    with pytest.raises(StoreFailed, match="cannot write"):
        page_of([ROW], spec).write(tmp_path / "page.html")
    assert [path.name for path in tmp_path.iterdir()] == ["page.html"]


def test_a_long_text_is_cut_and_says_so():
    label = Row(file="a", number=1, status="ok", answers=(Answer(label="x" * 10_000),)).to_json()["answers"][0]["label"]
    assert label.endswith("… and 4,000 more characters")
