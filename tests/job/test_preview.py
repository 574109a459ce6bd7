"""What `preview` prints is the prompt as the model reads it, letter for letter; what it finds a run finds, too."""

import io
import json

import pandas as pd
import pytest
from rich.console import Console

from relabel import make_spec, preview
from relabel.demo import MODEL_PATH
from relabel.job.preview import show_preview
from tests.pictures import png

LONG = "word " * 40 + "end"
TEXTS = [
    "Label :cat: or :dog:",
    LONG,
    "a\tb  c \n\n  d ",
    "[bold]x[/bold] \\[y]",
    "crlf\r\nbell\a",
    "\x1b[31mred",
    "ünï é 👩‍👩‍👧",
]


def printed(text, **options):
    sink = io.StringIO(newline="")
    table = pd.DataFrame([{"source_file": "a.jsonl", "source_row": 0, "prompt": text, "reason": None}])
    show_preview(table, Console(file=sink, width=80, **options))
    return sink.getvalue().split("prompt: ", 1)[1].rsplit("\nreason: ", 1)[0]


@pytest.mark.parametrize("text", TEXTS)
def test_a_prompt_is_printed_as_it_is(text):
    assert printed(text) == text


def test_what_would_steer_a_terminal_is_spelled_there():
    def seen(text):
        return printed(text, force_terminal=True, color_system=None).removeprefix("\x1b[0m")

    assert seen("\x1b[31mred\a\r\n\x9b2J\tb") == "\\x1b[31mred\\x07\\r\n\\x9b2J\tb"
    assert seen(LONG) == LONG


def test_what_draws_the_pictures_of_a_row_stands_above_its_prompt():
    sink = io.StringIO(newline="")
    table = pd.DataFrame([{"source_file": "a", "source_row": row, "prompt": f"prompt {row}"} for row in range(2)])
    show_preview(table, Console(file=sink, width=80), ["\x1b_Gpicture\x1b\\", ""])
    _, first, *rest = sink.getvalue().splitlines()
    assert (first, rest[0]) == ("\x1b_Gpicture\x1b\\", "prompt: prompt 0")


def test_a_chat_names_images_by_paths_under_the_root_that_the_spec_names(tmp_path):
    (tmp_path / "photos").mkdir()
    (tmp_path / "photos/a.png").write_bytes(png((64, 64), "red"))
    named = ["a.png", "./a.png", f"file://{tmp_path}/photos/a.png", "../rows.jsonl", "https://example.com/a.png"]
    chats = [[{"role": "user", "content": [{"type": "image", "image": name}]}] for name in named]
    (tmp_path / "rows.jsonl").write_text("".join(json.dumps({"chat": chat}) + "\n" for chat in chats))
    fields = {
        "source": {"path": str(tmp_path / "rows.jsonl"), "format": "jsonl"},
        "prompt": {"messages": "chat"},
        "model": {"path": str(MODEL_PATH)},
        "output": {"path": str(tmp_path / "out")},
    }
    rooted = {**fields, "source": {**fields["source"], "image_root": str(tmp_path / "photos")}}
    reasons = preview(make_spec(rooted))["reason"]
    assert list(reasons.isna()) == [True, True, True, False, False]
    assert list(reasons[3:]) == ["image: a path that leaves the image root", "image: a URL, which is never fetched"]
    assert preview(make_spec(fields))["reason"][0] == "image: a path, but there is no image root"
