"""Shared prefixes with their keys and values: computed once, copied into the slot of each row that begins with one.

Knows the model and how to compute a prompt; the policy of what is shared stands in `prefix`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from relabel.engine.faults import is_device_fault
from relabel.engine.forward import Forward
from relabel.engine.prefix import shared_prefixes
from relabel.engine.request import Request
from relabel.engine.slots import Slots
from relabel.engine.step import Chunk, Layout, Step

NUM_KEPT = 8
CLOSE_ENOUGH = 0.8
"""A prefix that is there already and this much of the wanted length is taken: rows of one unit agree by chance on a few
tokens more than those of another."""


@dataclass(frozen=True, slots=True)
class Prefix:
    tokens: tuple[int, ...]
    slots: Slots
    """One slot, which holds them."""


class Prefixes:
    """The prefixes in use lately. A model whose image token is not known shares none for rows with images."""

    def __init__(self, model: Any, step_tokens: int) -> None:
        self._model, self._step_tokens = model, step_tokens
        self._image_token = getattr(model.config, "image_token_id", None)
        self._kept: list[Prefix] = []

    def find(self, requests: Sequence[Request]) -> list[Prefix | None]:
        """The prefix of each row, computed if it is new; None for a row that shares nothing worth it."""
        lengths = shared_prefixes([self._text(request) for request in requests])
        wanted = [tuple(request.prompt_ids[:length]) for request, length in zip(requests, lengths, strict=True)]
        there = {tokens: self._get(tokens) for tokens in dict.fromkeys(wanted) if tokens}
        return [there.get(tokens) for tokens in wanted]

    def clear(self) -> None:
        """Keep none: memory ran out, or an error may have left one half computed."""
        self._kept = []

    def _text(self, request: Request) -> Sequence[int]:
        """The part of a prompt that can be shared: features of images are a row's own."""
        if not request.tensors:
            return request.prompt_ids
        ids = list(request.prompt_ids)
        return ids[: ids.index(self._image_token)] if self._image_token in ids else []

    def _get(self, tokens: tuple[int, ...]) -> Prefix | None:
        for prefix in self._kept:
            length = len(prefix.tokens)
            if CLOSE_ENOUGH * len(tokens) <= length <= len(tokens) and tokens[:length] == prefix.tokens:
                self._kept = [prefix, *(other for other in self._kept if other is not prefix)]
                return prefix
        try:
            prefix = Prefix(tokens, self._compute(tokens))
        except (RuntimeError, MemoryError, ValueError, IndexError) as error:
            if is_device_fault(error):
                raise
            return None  # the rows find out by themselves which of them is at fault
        self._kept = [prefix, *self._kept[: NUM_KEPT - 1]]
        return prefix

    def _compute(self, tokens: tuple[int, ...]) -> Slots:
        forward = Forward(self._model)
        forward.lay_out(Layout(num_slots=1, slot_tokens=len(tokens)))
        request = Request(id=0, prompt_ids=tokens)
        for start in range(0, len(tokens), self._step_tokens):
            end = min(len(tokens), start + self._step_tokens)
            forward.run(Step((), (Chunk(0, 0, start, end, is_last=False),)), {0: request})
        return forward.slots
