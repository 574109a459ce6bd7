"""A row as a page shows it: what the model was given, what it wrote, and what is wrong with it, as bounded plain texts.

Knows texts and places; nothing of parts, sources or HTML. Nothing here is escaped: that is the business of the page.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field

from relabel.report.difference import Pieces, difference

MOST_CHARACTERS = 6_000
"""Of one text on the page."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Picture:
    """A picture of a row."""

    src: str = ""
    """A small JPEG as a data: URL; empty where there is none to show."""
    why: str = ""
    """Why there is none."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """One label of a row."""

    name: str = ""
    """Empty where a row has a single label."""
    reason: str = ""
    """Why there is no label, or a remark on it."""
    label: str | None = None
    """The label as text; of JSON its columns."""
    old: str | None = None
    """What the label is compared with."""
    texts: tuple[str, ...] = ()
    """What the model wrote, a text for each sample."""
    reasoning: tuple[str, ...] = ()
    """What it thought before."""
    prompt: str | None = None
    """What it read, where that was rendered."""
    flaws: tuple[str, ...] = ()
    """Kinds of what is wrong with the label, as the counts of a run name them."""

    def to_json(self) -> dict[str, object]:
        """The same with the two labels in pieces, of which some are in one of them alone."""
        label, old = clipped(self.label), clipped(self.old)
        pieces: tuple[Pieces | None, Pieces | None] = (None, None)
        if label is not None and old is not None:
            pieces = difference(old, label)
        return {
            "name": self.name,
            "reason": self.reason,
            "label": label,
            "old": old,
            "old_pieces": pieces[0],
            "label_pieces": pieces[1],
            "texts": [clipped(text) for text in self.texts],
            "reasoning": [clipped(text) for text in self.reasoning],
            "prompt": clipped(self.prompt),
            "flaws": list(self.flaws),
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One row of the sample."""

    file: str
    number: int
    status: str
    """`ok` or `rejected`; empty where nothing was generated."""
    reason: str = ""
    """Why it was rejected, as `code: detail`, or a remark."""
    answers: tuple[Answer, ...]
    given: Mapping[str, str] = field(default_factory=dict)
    """Texts of the source that the prompt reads, by column."""
    kept: Mapping[str, str] = field(default_factory=dict)
    """Columns that were copied to the output."""
    facts: Mapping[str, str] = field(default_factory=dict)
    """Tokens, attempts and the like."""
    pictures: tuple[Picture, ...] = ()
    missing: str = ""
    """Why the source of the row could not be read again."""

    @property
    def code(self) -> str:
        """Of the reason, where it is a reject."""
        return self.reason.partition(":")[0] if self.status == "rejected" else ""

    @property
    def flaws(self) -> list[str]:
        """Of all its labels, each kind once."""
        return sorted({flaw for answer in self.answers for flaw in answer.flaws})

    def to_json(self) -> dict[str, object]:
        """What the page has of it."""
        return {
            "file": self.file,
            "number": self.number,
            "status": self.status,
            "reason": self.reason,
            "code": self.code,
            "flaws": self.flaws,
            "answers": [answer.to_json() for answer in self.answers],
            **{name: {key: clipped(text) for key, text in getattr(self, name).items()} for name in ("given", "kept")},
            "facts": dict(self.facts),
            "pictures": [asdict(picture) for picture in self.pictures],
            "missing": self.missing,
        }


def clipped(text: str | None) -> str | None:
    """As much of a text as the page has room for."""
    if text is None or len(text) <= MOST_CHARACTERS:
        return text
    return f"{text[:MOST_CHARACTERS]} … and {len(text) - MOST_CHARACTERS:,} more characters"


def shown(value: object) -> str | None:
    """Any value of a column as text; bytes by their number."""
    if value is None or isinstance(value, str):
        return value
    if isinstance(value, bytes):
        return f"{len(value):,} bytes"
    if isinstance(value, dict | list):
        return json.dumps(value, ensure_ascii=False, indent=1, default=_plain)
    return str(value)


def _plain(value: object) -> str:
    return f"{len(value):,} bytes" if isinstance(value, bytes) else str(value)
