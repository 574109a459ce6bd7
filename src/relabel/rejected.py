"""Why a row has no label: a code that is counted and searched for, and a detail that never quotes the row.

Known by every room; knows nothing.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Self


class Code(StrEnum):
    """What went wrong with a row. A published name: outputs are filtered by it and retries ask for it."""

    SOURCE = "source"
    PROMPT = "prompt"
    PROMPT_TOO_LONG = "prompt_too_long"
    IMAGE = "image"
    SETTINGS = "settings"
    SAMPLING = "sampling"
    PARSE = "parse"
    NONFINITE = "nonfinite"
    OUT_OF_MEMORY = "out_of_memory"
    POISON = "poison"
    SERVER = "server"

    @property
    def meaning(self) -> str:
        """When a row is rejected with this code, as one sentence."""
        return _MEANINGS[self]


_MEANINGS = {
    Code.SOURCE: "The record cannot be read: it is no JSON object, has other fields than the rest, or is not UTF-8.",
    Code.PROMPT: (
        "The prompt cannot be made: a column that it reads is null or not UTF-8, or the model fails on the row alone."
    ),
    Code.PROMPT_TOO_LONG: (
        "The prompt has more tokens than `model.max_prompt_tokens`; `prompt.truncate: column` cuts that column instead."
    ),
    Code.IMAGE: (
        "An image cannot be used: truncated, no image, empty, null, over the limits of bytes or pixels, a path outside "
        "the root, or a URL."
    ),
    Code.SETTINGS: "The request of a batch file asks for something that cannot be obeyed.",
    Code.SAMPLING: "The settings of the row do not go with this model: its tokenizer cannot hold a text to them.",
    Code.PARSE: (
        "The text holds no label: it is empty or ends before its answer, matches nothing, names no choice, or is no "
        "JSON that fits the schema."
    ),
    Code.NONFINITE: "The model's logits were NaN or infinite for this row, also when it was computed alone.",
    Code.OUT_OF_MEMORY: "The row did not fit into memory by itself.",
    Code.POISON: (
        "The process died of this row alone, twice: a crash in a library, the kernel's out-of-memory killer, a lost "
        "GPU, or no step within `resources.deadline`."
    ),
    Code.SERVER: (
        "Servers that generate texts of other rows failed at this one again and again, also while no other suspect was "
        "with them."
    ),
}


@dataclass(frozen=True, slots=True)
class Rejected:
    """A row, or one label of it, that has a reason in place of a label."""

    code: Code
    detail: str
    """What was wrong, for a person; never a quotation of the row."""

    def __str__(self) -> str:
        return f"{self.code}: {self.detail}"

    @classmethod
    def read(cls, reason: str) -> Self:
        """The value behind a published reason, `code: detail`. Raises ValueError where no such code is known."""
        code, _, detail = reason.partition(": ")
        return cls(Code(code), detail)
