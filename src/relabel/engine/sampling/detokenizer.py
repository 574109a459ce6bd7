"""From token ids to text, as it is read and stored. Knows the tokenizer; nothing of models, batches or labels."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from typing import TYPE_CHECKING, cast

from relabel.engine.api.request import Result, Sampling, cut_at_stop

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase


class Detokenizer:
    """Gives results their texts. A model without a tokenizer has none: its results keep `text` None."""

    def __init__(self, tokenizer: PreTrainedTokenizerBase | None) -> None:
        self._tokenizer = tokenizer

    def with_texts(self, results: Iterable[Result], samplings: Iterable[Sampling]) -> list[Result]:
        """Each result with the text of its tokens, up to the first stop string; an error stays without."""
        return [self._with_text(result, sampling) for result, sampling in zip(results, samplings, strict=True)]

    def _with_text(self, result: Result, sampling: Sampling) -> Result:
        if self._tokenizer is None or result.error is not None:
            return result
        text = cast(str, self._tokenizer.decode(result.token_ids or [], skip_special_tokens=True))
        # a byte-level tokenizer may end inside a character: U+FFFD stands for it, and no text holds a lone surrogate
        text = text.encode("utf-8", "replace").decode("utf-8")
        return replace(result, text=cut_at_stop(text, sampling.stop_strings))
