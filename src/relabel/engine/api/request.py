"""What goes into an engine and what comes out of it: plain values, no torch.

Knows nothing of models or batches.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

import numpy as np

from relabel.engine.api.constraint import Constraint
from relabel.rejected import Code, Rejected


@dataclass(frozen=True, slots=True, kw_only=True)
class Sampling:
    """How tokens are chosen and where a row ends. Nothing comes from the checkpoint's own defaults."""

    max_new_tokens: int = 256
    temperature: float = 0.0
    """0 is greedy."""
    top_p: float = 1.0
    top_k: int = 0
    """0 keeps the whole vocabulary."""
    min_p: float = 0.0
    """Tokens less probable than this fraction of the most probable one are left out."""
    repetition_penalty: float = 1.0
    """Logits of tokens that the prompt or the text holds already are divided by it, negative ones multiplied."""
    min_new_tokens: int = 0
    """Stop tokens are not chosen, and stop strings not obeyed, before this many tokens."""
    seed: int = 0
    stop_token_ids: Sequence[int] = ()
    """Empty means the model's own: its generation config's EOS list and its tokenizer's end-of-turn token."""
    stop_strings: Sequence[str] = ()
    constraint: Constraint | None = None
    """The text is one that this describes, and ends where that does: without stop strings and `min_new_tokens`."""
    marks: Sequence[str] = ()
    """Special tokens that one of these texts is made of stay in the row's text; others never do."""
    logprobs: bool = False
    """Report the log-probability of every token."""

    def __post_init__(self) -> None:
        if self.max_new_tokens < 1:
            raise ValueError("max_new_tokens must be at least 1")
        if self.temperature < 0:
            raise ValueError("temperature must not be negative")
        if not 0 < self.top_p <= 1:
            raise ValueError("top_p must be above 0 and at most 1")
        if self.top_k < 0:
            raise ValueError("top_k must not be negative")
        if not 0 <= self.min_p <= 1:
            raise ValueError("min_p must be from 0 to 1")
        if self.repetition_penalty <= 0:
            raise ValueError("repetition_penalty must be above 0")
        if not 0 <= self.min_new_tokens <= self.max_new_tokens:
            raise ValueError("min_new_tokens must be from 0 to max_new_tokens")
        if self.constraint is not None and (self.min_new_tokens or self.stop_strings):
            raise ValueError("a constrained text ends by itself: neither min_new_tokens nor stop_strings go with it")
        if not 0 <= self.seed < 2**64:
            raise ValueError("seed must be from 0 to 2**64 - 1")


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """One row: its prompt as token ids, and what its processor made besides (pixels, image sizes, token types)."""

    id: int
    """Seeds the row's sampling together with `Sampling.seed`; a row keeps its text as long as it keeps its id."""
    prompt_ids: Sequence[int]
    tensors: Mapping[str, np.ndarray] = field(default_factory=dict[str, np.ndarray])
    """As its processor returns them for this row; `pixel_values` may be bytes beside `pixel_norm` (see pixels)."""
    sampling: Sampling | None = None
    """This row's own settings; None takes the engine's. An empty `stop_token_ids` takes the engine's stop tokens."""
    group: int | None = None
    """Rows of one group (samples of a row, several questions about it) have their images in common: what their prompts
    begin with alike is computed once."""
    chat: Sequence[tuple[str, str]] = ()
    """The prompt as messages, each a role and a text, for an engine that knows text alone; empty for all others."""
    forced_ids: Sequence[int] = ()
    """Tokens that are taken in place of the model's choice, to score a text: the row has these and no more."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Result:
    """What became of one request."""

    id: int
    text: str | None = None
    """Without special tokens but those of `Sampling.marks`, and up to the first stop string. None when there is an
    error, or no tokenizer."""
    token_ids: list[int] | None = field(default_factory=list[int])
    """Without the stop token, but with those that complete a stop string. None from an engine that knows text alone."""
    num_tokens: int = 0
    """Tokens that were generated, the stop token not counted."""
    finish_reason: Literal["stop", "length"] | None = None
    """None when there is an error."""
    logprobs: list[float] | None = None
    """Of each token, the stop token included, under the model alone: before temperature, cuts and constraint."""
    error: Rejected | None = None
    """Why there is no text: nonfinite, out_of_memory, prompt_too_long, sampling or prompt."""


def cut_at_stop(text: str, stop_strings: Sequence[str]) -> str:
    """The text up to the first of the stop strings."""
    return text[: min((start for stop in stop_strings if (start := text.find(stop)) >= 0), default=len(text))]


def unfit(request: Request, sampling: Sampling, *, max_tokens: int, num_embeddings: int) -> Rejected | None:
    """Why a row cannot be generated for at all; None where it can. The bounds are the model's."""
    length = len(request.prompt_ids)
    if length == 0:
        return Rejected(Code.PROMPT, "it has no tokens")
    known = (*request.prompt_ids, *request.forced_ids)
    if not 0 <= min(known) <= max(known) < num_embeddings:
        return Rejected(
            Code.PROMPT, f"a token beyond the {num_embeddings} that the model knows; its tokenizer belongs to another"
        )
    if sampling.max_new_tokens >= max_tokens:
        return Rejected(
            Code.SAMPLING, f"{sampling.max_new_tokens} new tokens, and the model takes {max_tokens} with the prompt"
        )
    room = max_tokens - sampling.max_new_tokens
    if length > room:
        return Rejected(
            Code.PROMPT_TOO_LONG,
            f"{length} tokens, and the model takes {room} beside {sampling.max_new_tokens} new ones",
        )
    return None


def too_large(request: Request) -> Rejected:
    """Why a row that did not fit into memory by itself has no text."""
    return Rejected(Code.OUT_OF_MEMORY, f"{len(request.prompt_ids)} prompt tokens did not fit alone")
