"""Where a stop string is complete in a text's tokens: what relabel's own engine says decides, not vLLM.

vLLM looks in the text as it comes. After a prompt that ends within a character that text begins with the whole prompt,
whose own stop strings then end the row; and a string that is complete with the last of `min_new_tokens` is missed.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch

from relabel.engine.api.request import Sampling
from relabel.engine.sampling.stops import StopStrings, StopWindow


class StopText:
    """For one tokenizer. Raises ModelRefused where a model has none."""

    def __init__(self, strings: StopStrings) -> None:
        self._strings = strings

    def require(self, own: Sampling) -> None:
        """Make ready for these strings: reading a large vocabulary takes seconds."""
        self._strings.require(own.stop_strings)

    def end(self, own: Sampling, tokens: Sequence[int]) -> int | None:
        """How many tokens a text has up to the one that completes a stop string; None where none does."""
        if not own.stop_strings or not tokens:
            return None
        blanks = [StopWindow.BLANK] * (self._strings.width(own.stop_strings) - 1)
        windows_TW = torch.tensor([*blanks, *tokens]).unfold(0, len(blanks) + 1, 1)
        completes_T = self._strings.end(windows_TW, own.stop_strings)
        ends = completes_T[max(0, own.min_new_tokens - 1) :].nonzero()
        return max(1, own.min_new_tokens) + int(ends[0]) if len(ends) else None
