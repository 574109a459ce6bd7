"""Special tokens that a row's own text spells out: they reach the model as text, never as control tokens.

A row may hold `<|eot_id|>` or `<image>`; a tokenizer would turn it into the token itself and let data write the
prompt's structure. A rendered prompt knows which of its characters its templates wrote (`origin`): a token that they
did not write from its first character to its last is spelled out, and tokenized apart. Prompts without one are
tokenized in one piece, exactly as transformers does it.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from relabel.data.labels.reasoning_formats import FORMATS
from relabel.data.prompts.origin import are_own, is_own, plain
from relabel.job.encoding.processor import Tokenizer

_GUARD = "\n"
"""Stands before a text that goes on behind another, and is taken off again: no tokenizer joins it to a letter."""
_THINKING = frozenset(mark.strip() for one in FORMATS.values() for mark in one.marks)


class ControlTokens:
    """The added tokens of one tokenizer, as `tokenizer.added_tokens_decoder` and its processor name them."""

    def __init__(self, tokenizer: Tokenizer, processor: object) -> None:
        template = f"{getattr(processor, 'chat_template', '')}{getattr(tokenizer, 'chat_template', '')}"
        added = tokenizer.added_tokens_decoder
        tokens = {one.content for one in added.values() if one.special or _is_mark(one.content, template)}
        tokens |= {getattr(processor, name, None) for name in ("image_token", "video_token", "audio_token")}
        tokens = sorted((token for token in tokens if isinstance(token, str) and token), key=len, reverse=True)
        self._added = frozenset(added)
        self._pattern = re.compile("|".join(map(re.escape, tokens)) or r"(?!)")
        self._tokenizer = tokenizer
        guard, letter, both = (self._ids(text) for text in (_GUARD, "x", f"{_GUARD}x"))
        self._guard = guard if guard + letter != both else None
        """The ids of the guard, where the tokenizer writes a space before each text (SentencePiece); else None."""

    def split(self, text: str) -> Iterator[tuple[str, bool]]:
        """Cut a rendered prompt where data spells a token out: (piece, whether it is such a token).

        Where data and the beginning of the template's own token make another one, the cut is between them.
        """
        bare, begin, at = plain(text), 0, 0
        while found := self._pattern.search(bare, at):
            start, at = found.span()
            if is_own(text, start, at):
                continue
            inner = self._own_inside(text, start, at)
            if begin < (inner or start):
                yield bare[begin : inner or start], False
            if inner is None:
                yield found.group(), True
            begin = at = at if inner is None else inner
        if begin < len(text):
            yield bare[begin:], False

    def has_foreign(self, text: str) -> bool:
        """Whether a rendered prompt has such a token; most have none, and stay in one piece."""
        return not are_own(text, map(re.Match.span, self._pattern.finditer(plain(text))))

    def foreign(self, text: str) -> list[str]:
        """The tokens in a rendered prompt that its templates did not write."""
        return [piece for piece, is_spelled_out in self.split(text) if is_spelled_out]

    def ids_as_text(self, token: str, *, goes_on: bool) -> list[int]:
        """Token ids that spell a control token out. `goes_on`: text stands before it."""
        ids = self.ids_behind(token, split_special_tokens=True) if goes_on else self._ids(token, True)
        if self._added.isdisjoint(ids):
            return ids
        # added tokens that are not "special" are matched all the same: one character at a time none can be
        letters = [self.ids_behind(letter) if at or goes_on else self._ids(letter) for at, letter in enumerate(token)]
        return [id for ids in letters for id in ids]

    def ids_behind(self, text: str, *, split_special_tokens: bool = False) -> list[int]:
        """Token ids of a text that goes on behind another, without the space that begins a text."""
        if not text or self._guard is None:
            return self._ids(text, split_special_tokens) if text else []
        ids = self._ids(_GUARD + text, split_special_tokens)
        length = len(self._guard)
        return ids[length:] if ids[:length] == self._guard else self._ids(text, split_special_tokens)

    def head_of(self, piece: str) -> str:
        """What of a piece stands before the first token in it, and is read otherwise where it begins a text."""
        if self._guard is None:
            return ""
        found = self._pattern.search(piece)
        return piece[: found.start()] if found else piece

    def _ids(self, text: str, split_special_tokens: bool = False) -> list[int]:
        options = {"split_special_tokens": True} if split_special_tokens else {}
        return self._tokenizer(text, add_special_tokens=False, **options)["input_ids"]

    def _own_inside(self, text: str, start: int, stop: int) -> int | None:
        """Where a token of the templates begins between the first character of another and its last."""
        for at in range(start + 1, stop):
            found = self._pattern.match(text, at)
            if found and is_own(text, *found.span()):
                return at
        return None


def _is_mark(token: str, template: str) -> bool:
    """Whether a chat template or a model that thinks marks something by an added token that is not called special.

    Blank lines and words are no marks: Gemma has a token for each number of newlines, and all templates have newlines.
    """
    is_used = token in template or token in _THINKING
    return is_used and any(not letter.isalnum() and not letter.isspace() for letter in token)
