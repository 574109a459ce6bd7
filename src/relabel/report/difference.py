"""Two texts word by word: which of the one are not in the other. Knows texts alone."""

from __future__ import annotations

import re
from collections import Counter
from difflib import SequenceMatcher

Pieces = list[tuple[bool, str]]
"""A text in pieces: whether a piece is in this text alone, and its characters."""

MOST_PAIRS = 20_000
"""Of equal words, one of each text, that are looked at: some 1,000 words of prose, or a loop of 140, take 0.06 s. Texts
that repeat one word for ever would take minutes."""
LEAST_ALIKE = 0.3
"""The share of words that two texts have in common. Below, marks on nearly all of both help nobody."""
_WORD = re.compile(r"\s*(?:[\u3040-\u30ff\u3400-\u9fff\uf900-\ufaff]|\w+|[^\w\s])|\s+")
"""With the spaces before it. A letter of Chinese or Japanese is a word: no spaces stand between theirs."""


def difference(old: str, new: str) -> tuple[Pieces | None, Pieces | None]:
    """Both texts in pieces; None for both where they have too little in common, or too much to compare."""
    before, after = _WORD.findall(old), _WORD.findall(new)
    olds, news = ([word.strip() for word in words] for words in (before, after))
    counts = Counter(olds), Counter(news)
    if sum(number * counts[1][word] for word, number in counts[0].items()) > MOST_PAIRS:
        return None, None
    steps = SequenceMatcher(None, olds, news, autojunk=False).get_opcodes()
    alike = sum(end - first for kind, first, end, _, _ in steps if kind == "equal")
    if 2 * alike < LEAST_ALIKE * (len(olds) + len(news)):
        return None, None
    return (
        [(kind != "equal", "".join(before[first:end])) for kind, first, end, _, _ in steps if first < end],
        [(kind != "equal", "".join(after[first:end])) for kind, _, _, first, end in steps if first < end],
    )
