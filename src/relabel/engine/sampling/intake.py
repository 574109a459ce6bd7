"""Which rows an engine can take, and what has to be ready before they begin: stop tokens, stop strings, grammars.

Both engines ask here. Knows the model's bounds and its tokenizer; nothing of batches.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from relabel.engine.api.request import Request, Sampling, unfit
from relabel.engine.model.sizes import bounds_of
from relabel.engine.sampling.grammar import Grammars
from relabel.engine.sampling.stops import StopStrings, StopTokens, find_end_token, find_pad_token, find_stop_tokens
from relabel.errors import ModelRefused
from relabel.rejected import Code, Rejected

if TYPE_CHECKING:
    from transformers import PreTrainedModel, PreTrainedTokenizerBase

NEVER = 2**31 - 1
"""A stop token beyond every vocabulary: a text that is given ends with its last token alone."""


class Intake:
    """For one model and the settings of its engine. Raises ModelRefused where the tokenizer cannot do those."""

    def __init__(self, model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase | None, sampling: Sampling) -> None:
        vocab_size = model.config.get_text_config(decoder=True).vocab_size
        stops = tuple(sampling.stop_token_ids) or find_stop_tokens(model.generation_config, tokenizer)
        self.sampling = sampling
        self.pad_token = find_pad_token(model.generation_config, tokenizer, stops, vocab_size)
        self.stop_tokens = StopTokens(stops, vocab_size, model.device)
        self.end_token = find_end_token(tokenizer, stops, vocab_size)
        """The token that ends a text, or None where the model has none."""
        self.stop_strings = StopStrings(tokenizer)
        self.grammars = Grammars(tokenizer, vocab_size)
        self._bounds = bounds_of(model)
        self.prepare(sampling)

    def sampling_of(self, request: Request) -> Sampling:
        """A row's own settings, or the engine's; a text that is given needs no others than its length."""
        own = request.sampling or self.sampling
        if not request.forced_ids:
            return own
        return Sampling(max_new_tokens=len(request.forced_ids), stop_token_ids=(NEVER,), logprobs=own.logprobs)

    def refuse(self, request: Request) -> Rejected | None:
        """Why a row cannot be taken; None where it can, and then all is ready for it."""
        own = self.sampling_of(request)
        if (why := unfit(request, own, **self._bounds)) is None and request.sampling is not None:
            try:
                self.prepare(own)
            except ModelRefused as error:
                return Rejected(
                    Code.SAMPLING, f"{str(error).partition(': ')[0]}"
                )  # what follows may quote the row's own schema
        return why

    def prepare(self, sampling: Sampling) -> None:
        """Make ready for rows with these settings. Raises ModelRefused where the tokenizer cannot do them."""
        self.stop_strings.require(sampling.stop_strings)
        if sampling.constraint is not None:
            self.grammars.require(sampling.constraint, self.stop_tokens.of(sampling.stop_token_ids))
