"""Two texts word by word: which of the one are not in the other. Knows texts alone."""

from __future__ import annotations

import re
from difflib import SequenceMatcher

Pieces = list[tuple[bool, str]]
"""A text in pieces: whether a piece is in this text alone, and its characters."""

MOST_WORDS = 1_200
"""Of a text that is compared: the time grows with the square."""
LEAST_ALIKE = 0.3
"""The share of words, spaces aside, that two texts have in common. Below, marks on nearly all of both help nobody."""
_WORD = re.compile(r"[\u3040-\u30ff\u3400-\u9fff\uf900-\ufaff]|\w+|\s+|.", re.DOTALL)
"""A letter of Chinese or Japanese is a word: no spaces stand between theirs."""


def difference(old: str, new: str) -> tuple[Pieces | None, Pieces | None]:
    """Both texts in pieces; None for both where they are too long or have too little in common to be compared."""
    before, after = _WORD.findall(old), _WORD.findall(new)
    if max(len(before), len(after)) > MOST_WORDS:
        return None, None
    steps = SequenceMatcher(None, before, after, autojunk=False).get_opcodes()
    alike = sum(_count(before[first:end]) for kind, first, end, _, _ in steps if kind == "equal")
    if 2 * alike < LEAST_ALIKE * (_count(before) + _count(after)):
        return None, None
    olds = [(kind != "equal", "".join(before[first:end])) for kind, first, end, _, _ in steps]
    news = [(kind != "equal", "".join(after[first:end])) for kind, _, _, first, end in steps]
    return _joined(olds), _joined(news)


def _count(words: list[str]) -> int:
    return sum(not word.isspace() for word in words)


def _joined(pieces: Pieces) -> Pieces:
    """The pieces that are not empty; spaces between two pieces of this text alone are of them."""
    joined = Pieces()
    for at, (is_own, text) in enumerate(pieces):
        is_between = 0 < at < len(pieces) - 1 and text.isspace() and pieces[at - 1][1] and pieces[at + 1][1]
        is_own = is_own or bool(is_between)
        if joined and joined[-1][0] == is_own:
            joined[-1] = is_own, joined[-1][1] + text
        elif text:
            joined.append((is_own, text))
    return joined
