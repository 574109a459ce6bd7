"""What is said to the model about one row, and what is asked of wherever that comes from. Contracts alone."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Protocol

from PIL import Image

from relabel.data.prompts.chat import Message

Row = Mapping[str, object]
Decode = Callable[[Iterable[object]], list[Image.Image]]
"""Makes images of what a row holds for them. Raises RowRejected (image)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Conversation:
    """What is said to the model about one row."""

    messages: tuple[Message, ...]
    images: list[Image.Image]
    """Decoded images, in the order in which they stand in the messages."""


class PromptSource(Protocol):
    """Where conversations come from."""

    example: tuple[Message, ...]
    """A short conversation of the same shape: what the model cannot take of it, it takes of no row."""

    def columns(self, *, has_row: bool) -> Mapping[str, str]:
        """The source columns that are read, each with the spec key that names it.

        `has_row`: whether the source has a column `row`, which is then what templates mean by that.
        """
        ...

    def read(self, row: Row, decode: Decode) -> Conversation:
        """The conversation of a row. Raises RowRejected where there is none."""
        ...

    def cuttable(self, row: Row) -> str:
        """The text that may be cut where the prompt is too long; empty where none may be."""
        ...
