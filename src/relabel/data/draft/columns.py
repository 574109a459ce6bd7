"""What the columns of a source hold, told by the values of a few rows: images, chats, texts, keys.

Knows nothing of specs that are drafted from it.
"""

# pyarrow has no types, so that nothing that comes from it has one.
# pyright: reportMissingTypeStubs=false, reportUnknownMemberType=false, reportUnknownVariableType=false
# pyright: reportUnknownArgumentType=false
from __future__ import annotations

import re
import statistics
from collections.abc import Sequence
from dataclasses import dataclass, replace
from enum import StrEnum

import pyarrow as pa

from relabel.data.draft.form import Data
from relabel.data.images.picture import Fit
from relabel.data.images.root import Root, open_root
from relabel.data.images.value import decode_image, each_image
from relabel.data.prompts.chat import read_chat
from relabel.data.sources import read
from relabel.data.sources.roots import source_root
from relabel.errors import RowRejected, SourceUnreadable
from relabel.spec import Prompt

NUM_ROWS = 20
"""Rows that are looked at."""
_NUM_IMAGES = 3
_KEY = re.compile(r"(.*[_-])?(id|key|uid|uuid|guid|sha256|md5|hash)|__key__|path|file_?name", re.IGNORECASE)
_ADDRESS = re.compile(r"https?://\S+")


class Holds(StrEnum):
    """What most values of a column are."""

    IMAGE = "images"
    CHAT = "chats"
    TEXT = "text"
    KEY = "keys"
    ADDRESS = "web addresses"
    OTHER = "other values"


@dataclass(frozen=True, slots=True, kw_only=True)
class Column:
    """One column of the source, as far as a few rows tell."""

    name: str
    kind: str
    """Arrow's name of its type."""
    holds: Holds
    num_characters: int = 0
    """The median length of its texts."""
    question: str = ""
    """Of chats that end with an answer: how a template reads the first question of one, such as `[0].content`."""


def look(data: Data) -> list[Column]:
    """Every column of the data, in the order of its file. Raises SourceRefused where the file cannot be read."""
    columns = data.scanned.columns
    names = [name for name in dict.fromkeys(columns.names) if columns.names.count(name) == 1]
    unit = next(iter(data.scanned.units))
    rows = read(replace(unit, num_rows=min(unit.num_rows, NUM_ROWS)), data.source, names, pa.schema([]))
    root = open_root(source_root(data.source))
    found: list[Column] = []
    for name in names:
        values = [value for value in rows.columns[name] if value is not None]
        texts = [value for value in values if isinstance(value, str)]
        found.append(
            Column(
                name=name,
                kind=str(columns.field(name).type),
                holds=_held(name, values, root),
                num_characters=int(statistics.median(map(len, texts))) if texts else 0,
                question=_question(values),
            )
        )
    return found


def _held(name: str, values: Sequence[object], root: Root) -> Holds:
    if not values:
        return Holds.OTHER
    if sum(_is_image(value, root) for value in values[:_NUM_IMAGES]) * 2 > len(values[:_NUM_IMAGES]):
        return Holds.IMAGE
    if sum(map(_is_chat, values)) * 2 > len(values):
        return Holds.CHAT
    texts = [value for value in values if isinstance(value, str)]
    if sum(bool(_ADDRESS.fullmatch(text)) for text in texts) * 2 > len(values):
        return Holds.ADDRESS
    if _KEY.fullmatch(name) and all(isinstance(value, str | int) for value in values):
        return Holds.KEY
    return Holds.TEXT if len(texts) * 2 > len(values) else Holds.OTHER


def _question(values: Sequence[object]) -> str:
    chat = next((value for value in values if isinstance(value, list) and _is_chat(value)), None)
    if chat is None or read_chat(chat).messages[-1].role != "assistant":
        return ""
    asked = next((at for at, message in enumerate(read_chat(chat).messages) if message.role == "user"), None)
    keys = [] if asked is None or not isinstance(chat[asked], dict) else list(chat[asked])
    return next((f"[{asked}].{key}" for key in ("content", "value") if key in keys), "")


def _is_image(value: object, root: Root) -> bool:
    limits = Prompt(user="-")  # the defaults of a spec
    try:
        images = each_image(value)
        for image in images[:1]:
            decode_image(
                image,
                root=root,
                max_bytes=limits.max_image_bytes,
                max_pixels=limits.max_image_pixels,
                fit=Fit(num_pixels=2**16),
            )
    except (RowRejected, SourceUnreadable):  # a root that is not reached has no images of this column
        return False
    return bool(images)


def _is_chat(value: object) -> bool:
    try:
        return bool(read_chat(value).messages)
    except RowRejected:
        return False
