"""What a source still has of a row: chats as lines, pictures from wherever a row names them, and of many the first."""

import base64
import json

import pytest

from relabel.report.origin import MOST_PICTURES
from relabel.report.report import report
from tests.pictures import png
from tests.report.outputs import FIELDS, label, write_output

URL = f"data:image/png;base64,{base64.b64encode(png((8, 8), 'red')).decode()}"
CHAT = [
    {"role": "system", "content": "Be short."},
    {"role": "user", "content": [{"type": "image_url", "image_url": {"url": URL}}, {"type": "text", "text": "What?"}]},
]


def only_row(tmp_path, source, prompt):
    (row,) = report(write_output(tmp_path, [source], [label("Red.")], {**FIELDS, "prompt": prompt})).rows
    return row


@pytest.mark.parametrize("chat", [CHAT, json.dumps(CHAT)], ids=["list", "text"])
def test_a_chat_is_lines_and_its_pictures(tmp_path, chat):
    row = only_row(tmp_path, {"chat": chat, "alt": "x"}, {"messages": "chat"})
    assert row.given == {"chat": "system: Be short.\nuser: [image]What?"}
    assert [picture.src[:23] for picture in row.pictures] == ["data:image/jpeg;base64,"]


def test_a_chat_that_cannot_be_read_says_why(tmp_path):
    row = only_row(tmp_path, {"chat": "no JSON", "alt": "x"}, {"messages": "chat"})
    assert [picture.why for picture in row.pictures] == ["prompt: the messages are not JSON"]


def test_of_many_pictures_the_first_are_shown_and_the_others_counted(tmp_path):
    row = only_row(tmp_path, {"image": [URL] * 9, "alt": "x"}, {"user": "How many?", "image": "image"})
    assert [bool(picture.src) for picture in row.pictures] == [True] * MOST_PICTURES + [False]
    assert row.pictures[-1].why == "and 3 more"


def test_a_url_is_never_fetched_and_no_path_leaves_the_root(tmp_path):
    (tmp_path / "secret.png").write_bytes(png((8, 8), "red"))
    images = ["https://example.com/x.png", "../secret.png", "/etc/hostname"]
    row = only_row(tmp_path / "data", {"image": images, "alt": "x"}, {"user": "What?", "image": "image"})
    assert all(picture.why for picture in row.pictures)
    assert row.pictures[1].why == "image: a path that leaves the image root"
