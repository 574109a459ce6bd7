"""Pictures in terminals that draw them: what is written for one, and which terminals take it. Knows no rows."""

from __future__ import annotations

import base64
import io
from collections.abc import Iterator, Mapping
from typing import Literal

from PIL import Image

from relabel.report.row import Picture

Protocol = Literal["kitty", "iterm"]
LINES = 8
"""Of the terminal, that a picture is high."""
_CHUNK = 4096
"""Characters that kitty takes at once."""


def protocol_of(environment: Mapping[str, str]) -> Protocol | None:
    """How the terminal takes pictures, by what it says of itself in the environment; None where it does not.

    Within tmux or screen it is not drawn on, and may not be what is said.
    """
    program, kind = environment.get("TERM_PROGRAM", ""), environment.get("TERM", "")
    if "TMUX" in environment or kind.startswith(("screen", "tmux")):
        return None
    if "KITTY_WINDOW_ID" in environment or kind in ("xterm-kitty", "xterm-ghostty") or program == "ghostty":
        return "kitty"
    is_iterm = program in ("iTerm.app", "WezTerm") or environment.get("LC_TERMINAL") == "iTerm2"
    return "iterm" if is_iterm else None


def drawn(picture: Picture, protocol: Protocol) -> str:
    """What draws a picture, or says why there is none."""
    if not picture.src:
        return f"[{picture.why}]"
    data = picture.src.partition(",")[2]
    if protocol == "iterm":
        return f"\x1b]1337;File=inline=1;height={LINES};preserveAspectRatio=1:{data}\a"
    return "".join(_kitty(_as_png(base64.b64decode(data))))


def _kitty(png: bytes) -> Iterator[str]:
    """The picture in chunks, of which each but the last says that more come."""
    data = base64.b64encode(png).decode()
    for first in range(0, len(data), _CHUNK):
        more = int(first + _CHUNK < len(data))
        head = f"a=T,f=100,r={LINES},q=2,m={more}" if first == 0 else f"m={more}"
        yield f"\x1b_G{head};{data[first : first + _CHUNK]}\x1b\\"


def _as_png(jpeg: bytes) -> bytes:
    """kitty takes no JPEG."""
    sink = io.BytesIO()
    Image.open(io.BytesIO(jpeg)).save(sink, "PNG")
    return sink.getvalue()
