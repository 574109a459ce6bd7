"""From token ids to text, as it is read and stored. Knows the tokenizer; nothing of models, batches or labels."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, cast

from relabel.engine.api.request import Result, Sampling, cut_at_stop
from relabel.engine.sampling.stops import special_tokens

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase


class Detokenizer:
    """Gives results their texts. A model without a tokenizer has none: its results keep `text` None."""

    def __init__(self, tokenizer: PreTrainedTokenizerBase | None) -> None:
        self._tokenizer = tokenizer
        self._special = special_tokens(tokenizer)

    def with_texts(self, results: Iterable[Result], samplings: Iterable[Sampling]) -> list[Result]:
        """Each result with the text of its tokens, up to the first stop string; an error stays without.

        Special tokens are no text, but for those that the settings of a row name as marks.
        """
        return [self._with_text(result, sampling) for result, sampling in zip(results, samplings, strict=True)]

    def _with_text(self, result: Result, sampling: Sampling) -> Result:
        if self._tokenizer is None or result.error is not None:
            return result
        ids = self._without_special(result.token_ids or [], tuple(sampling.marks))
        has_marks = any(id in self._special for id in ids)
        text = cast(str, self._tokenizer.decode(ids, skip_special_tokens=not has_marks))
        # a byte-level tokenizer may end inside a character: U+FFFD stands for it, and no text holds a lone surrogate
        text = text.encode("utf-8", "replace").decode("utf-8")
        return replace(result, text=cut_at_stop(text, sampling.stop_strings))

    def _without_special(self, ids: Sequence[int], marks: tuple[str, ...]) -> list[int]:
        """The tokens that are text, and the special ones that marks are made of."""
        return [id for id in ids if (name := self._special.get(id)) is None or any(name in mark for mark in marks)]
