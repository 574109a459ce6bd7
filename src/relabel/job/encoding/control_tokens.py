"""Special tokens that a row's own text spells out: they reach the model as text, never as control tokens.

A row may hold `<|eot_id|>` or `<image>`; a tokenizer would turn it into the token itself and let data write the
prompt's structure. Each occurrence in a column is replaced by a mark before the templates run, one that only arises
where columns or parts of a chat meet (`<|eot` beside `_id|>`) after they ran, and the marked places are tokenized apart
afterwards. Rows without one are tokenized in one piece, exactly as transformers does it.
"""

from __future__ import annotations

import re
from collections.abc import Container, Iterator, Sequence
from itertools import accumulate

from relabel.errors import RowRejected
from relabel.job.encoding.processor import Tokenizer
from relabel.rejected import Code

# noncharacters: Unicode keeps them out of text, so they cannot stand in a valid row
_OPEN, _CLOSE, _EDGE = "\ufdd0", "\ufdd1", "\ufdd2"
_FIRST = 0xF0000
_MARK = re.compile(f"{_OPEN}(.){_CLOSE}", re.DOTALL)


class ControlTokens:
    """The added tokens of one tokenizer, as `tokenizer.added_tokens_decoder` and its processor name them."""

    def __init__(self, tokenizer: Tokenizer, processor: object) -> None:
        template = f"{getattr(processor, 'chat_template', '')}{getattr(tokenizer, 'chat_template', '')}"
        added = tokenizer.added_tokens_decoder
        tokens = {token.content for token in added.values() if token.special or token.content in template}
        tokens |= {getattr(processor, name, None) for name in ("image_token", "video_token", "audio_token")}
        self._tokens = sorted((token for token in tokens if isinstance(token, str) and token), key=len, reverse=True)
        self._added = frozenset(added)
        self._pattern = re.compile("|".join(map(re.escape, self._tokens)) or r"(?!)")
        self._tokenizer = tokenizer

    def mark(self, value: object) -> object:
        """Replace every control token in a column's value, however deep, by its mark."""
        if isinstance(value, str):
            return self.mark_text(value)
        if isinstance(value, dict):
            return {self.mark(key): self.mark(item) for key, item in value.items()}
        if isinstance(value, list | tuple):
            return [self.mark(item) for item in value]
        return value

    def mark_text(self, text: str) -> str:
        """The text with a mark in place of every control token."""
        if _OPEN in text or _CLOSE in text or _EDGE in text:
            raise RowRejected(Code.PROMPT, "the text holds a code point that is not a character (U+FDD0 to U+FDD2)")
        return self._pattern.sub(lambda found: self._mark_of(found.group()), text)

    def mark_beside(self, texts: Sequence[str]) -> list[str]:
        """As `mark`, for texts that a chat template may write one behind the other.

        Where a token lies across them their edges are marked, too, until `close` has seen whether it does so still.
        """
        whole, edges = "".join(texts), set(accumulate(map(len, texts)))
        is_across = any(self._is_across(found, edges) for found in self._pattern.finditer(whole))
        return [f"{self.mark_text(text)}{_EDGE * is_across}" for text in texts]

    def close(self, text: str) -> str:
        """A rendered chat without marks of edges; the tokens that lie across them are marked."""
        return self.join(text.split(_EDGE), text)

    def join(self, pieces: Sequence[str], template: str) -> str:
        """The pieces that a template wrote as one text; tokens that it does not spell out itself are marked."""
        text = "".join(pieces)
        edges = set(accumulate(map(len, pieces)))

        def one(found: re.Match[str]) -> str:
            is_foreign = self._is_across(found, edges) or found.group() not in template
            return self._mark_of(found.group()) if is_foreign else found.group()

        return self._pattern.sub(one, text)

    def split(self, text: str) -> Iterator[tuple[str, bool]]:
        """Cut a rendered prompt at its marks: (piece, whether it is a control token that the row spelled out)."""
        for at, piece in enumerate(_MARK.split(text)):
            if at % 2:
                yield self._tokens[ord(piece) - _FIRST], True
            elif piece:
                yield piece, False

    def ids_as_text(self, token: str) -> list[int]:
        """Token ids that spell a control token out."""
        ids = self._tokenizer(token, add_special_tokens=False, split_special_tokens=True)["input_ids"]
        if self._added.isdisjoint(ids):
            return ids
        # added tokens that are not "special" are matched all the same: one character at a time none can be
        return [id for letter in token for id in self._tokenizer(letter, add_special_tokens=False)["input_ids"]]

    @staticmethod
    def _is_across(found: re.Match[str], edges: Container[int]) -> bool:
        return any(edge in edges for edge in range(found.start() + 1, found.end()))

    def _mark_of(self, token: str) -> str:
        return f"{_OPEN}{chr(_FIRST + self._tokens.index(token))}{_CLOSE}"
