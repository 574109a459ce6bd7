"""Which terminals get pictures, and that what they get is the picture."""

import base64
import io
import re

import pytest
from PIL import Image

from relabel.report.row import Picture
from relabel.report.terminal import drawn, protocol_of
from tests.pictures import encoded

NOISE = Image.effect_noise((120, 90), 80).convert("RGB")
PICTURE = Picture(src=f"data:image/jpeg;base64,{base64.b64encode(encoded(NOISE, 'JPEG')).decode()}")


@pytest.mark.parametrize(
    ("environment", "protocol"),
    [
        ({}, None),
        ({"TERM": "xterm-256color"}, None),
        ({"TERM": "xterm-kitty"}, "kitty"),
        ({"KITTY_WINDOW_ID": "1", "TERM": "xterm-256color"}, "kitty"),
        ({"TERM_PROGRAM": "ghostty"}, "kitty"),
        ({"TERM_PROGRAM": "iTerm.app"}, "iterm"),
        ({"LC_TERMINAL": "iTerm2"}, "iterm"),
        ({"TERM_PROGRAM": "WezTerm"}, "iterm"),
        ({"KITTY_WINDOW_ID": "1", "TMUX": "/tmp/tmux"}, None),
        ({"LC_TERMINAL": "iTerm2", "TERM": "screen-256color"}, None),
    ],
)
def test_a_terminal_is_known_by_its_environment(environment, protocol):
    assert protocol_of(environment) == protocol


def test_kitty_gets_a_png_in_chunks_of_which_the_last_says_so():
    chunks = re.findall(r"\x1b_G([^;]*);([^\x1b]*)\x1b\\", drawn(PICTURE, "kitty"))
    assert len(chunks) > 1
    assert all(len(data) <= 4096 for _, data in chunks)
    assert [head.rpartition("m=")[2] for head, _ in chunks] == [*"1" * (len(chunks) - 1), "0"]
    image = Image.open(io.BytesIO(base64.b64decode("".join(data for _, data in chunks))))
    assert (image.format, image.size) == ("PNG", (120, 90))


def test_iterm_gets_the_jpeg():
    data = re.fullmatch(r"\x1b\]1337;File=inline=1;[^:]*:(.*)\a", drawn(PICTURE, "iterm"))[1]
    assert Image.open(io.BytesIO(base64.b64decode(data))).format == "JPEG"


def test_a_picture_that_is_not_there_is_a_reason():
    assert drawn(Picture(why="image: missing"), "kitty") == "[image: missing]"
