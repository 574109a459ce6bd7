"""Special tokens that a row's own text spells out: they reach the model as text, never as control tokens.

A row may hold `<|eot_id|>` or `<image>`; a tokenizer would turn it into the token itself and let data write the
prompt's structure. A rendered prompt knows which of its characters its templates wrote (`origin`): a token that they
did not write from its first character to its last is spelled out, and tokenized apart. Prompts without one are
tokenized in one piece, exactly as transformers does it.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from relabel.data.prompts.origin import is_own, plain
from relabel.job.encoding.processor import Tokenizer


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

    def foreign(self, text: str) -> list[str]:
        """The tokens in a rendered prompt that its templates did not write."""
        return [piece for piece, is_spelled_out in self.split(text) if is_spelled_out]

    def ids_as_text(self, token: str) -> list[int]:
        """Token ids that spell a control token out."""
        ids = self._tokenizer(token, add_special_tokens=False, split_special_tokens=True)["input_ids"]
        if self._added.isdisjoint(ids):
            return ids
        # added tokens that are not "special" are matched all the same: one character at a time none can be
        return [id for letter in token for id in self._tokenizer(letter, add_special_tokens=False)["input_ids"]]

    def _own_inside(self, text: str, start: int, stop: int) -> int | None:
        """Where a token of the templates begins between the first character of another and its last."""
        for at in range(start + 1, stop):
            found = self._pattern.match(text, at)
            if found and is_own(text, *found.span()):
                return at
        return None


def _is_mark(token: str, template: str) -> bool:
    """Whether a chat template marks something by an added token that is not called special.

    Blank lines and words are no marks: Gemma has a token for each number of newlines, and all templates have newlines.
    """
    return token in template and any(not letter.isalnum() and not letter.isspace() for letter in token)
