"""Prompt lookup: what came after the newest tokens of a row where they stood before, in its prompt or its own text.

Rewriting, extraction and JSON copy what they read, so this is a good guess at what comes next (prompt lookup decoding,
as in transformers and vLLM). Plain integers: knows nothing of how a draft is checked.
"""

from __future__ import annotations

from collections.abc import Iterable
from itertools import count

NGRAM = 3
"""Tokens that must have stood side by side before. Two agree by chance too often, four begin a copy a token later."""


class PromptLookup:
    """The tokens of one row, and where each run of NGRAM of them ended last."""

    def __init__(self, tokens: Iterable[int]) -> None:
        self._tokens = list(tokens)
        newest = list(zip(*(self._tokens[at:] for at in range(NGRAM)), strict=False))
        self._ends = dict(zip(newest[:-1], count(NGRAM), strict=False))
        self._source = 0
        """Where the newest NGRAM tokens ended before the last time; 0 where they never did."""
        if newest:
            self._source = self._ends.get(newest[-1], 0)
            self._ends[newest[-1]] = len(self._tokens)

    def __len__(self) -> int:
        return len(self._tokens)

    def extend(self, tokens: Iterable[int]) -> None:
        """The row's next tokens."""
        for token in tokens:
            self._tokens.append(token)
            if len(self._tokens) >= NGRAM:
                newest, end = tuple(self._tokens[-NGRAM:]), len(self._tokens)
                self._source = self._ends.get(newest, 0)
                self._ends[newest] = end

    def draft(self, most: int) -> list[int]:
        """Up to `most` tokens that came after the newest ones when they stood there before."""
        return self._tokens[self._source : self._source + most] if self._source else []
