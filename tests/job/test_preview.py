"""What `preview` prints is the prompt as the model reads it, letter for letter."""

import io

import pandas as pd
import pytest
from rich.console import Console

from relabel.job.preview import show_preview

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
