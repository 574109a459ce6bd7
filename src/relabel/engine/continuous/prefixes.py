"""Shared prefixes with their keys and values: computed once, copied into the blocks of each row that begins with one.

Knows the model and how to compute a prompt; the policy of what is shared stands in `prefix`.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from relabel.engine.api.request import Request
from relabel.engine.model.faults import is_device_fault
from relabel.engine.runner.forward import Forward
from relabel.engine.runner.kernels import Kernels
from relabel.engine.runner.kv_cache import KVCache
from relabel.engine.scheduling.prefix import find_prefix_groups, shared_prefixes
from relabel.engine.scheduling.step import Layout, PrefillChunk, PrefixGroup, Step

if TYPE_CHECKING:
    from transformers import PreTrainedModel

NUM_KEPT = 8
CLOSE_ENOUGH = 0.8
"""A prefix that is there already and this much of the wanted length is taken: rows of one unit agree by chance on a few
tokens more than those of another."""


@dataclass(frozen=True, slots=True, eq=False)
class Prefix:
    tokens: tuple[int, ...]
    kv_cache: KVCache
    """Of one row, which holds them."""


def by_prefix(rows: Iterable[tuple[Prefix | None, int]]) -> Iterable[tuple[Prefix, list[int]]]:
    """From the prefix and the slot of each row to the slots that begin with each prefix."""
    slots: dict[Prefix, list[int]] = {}
    for prefix, slot in rows:
        if prefix is not None:
            slots.setdefault(prefix, []).append(slot)
    return slots.items()


class Prefixes:
    """The prefixes in use lately. A model whose image token is not known shares none for rows with images."""

    def __init__(self, model: PreTrainedModel, step_tokens: int, kernels: Kernels) -> None:
        self._model, self._step_tokens, self._kernels = model, step_tokens, kernels
        self._image_token = getattr(model.config, "image_token_id", None)
        self._kept: list[Prefix] = []
        self._num_groups = 0

    def find(self, requests: Sequence[Request]) -> list[tuple[Prefix | None, PrefixGroup | None]]:
        """The prefix of each row, computed if it is new, and its prefix group; None where sharing is not worth it.

        Where a prefix group has no more in common than what is a prefix anyway, the prefix will do.
        """
        prefixes, groups = self._find_prefixes(requests), self._find_prefix_groups(requests)
        return [
            (prefix, group if group and group.num_tokens > len(prefix.tokens if prefix else ()) else None)
            for prefix, group in zip(prefixes, groups, strict=True)
        ]

    def _find_prefix_groups(self, requests: Sequence[Request]) -> list[PrefixGroup | None]:
        groups = [request.group for request in requests]
        if all(group is None for group in groups):
            return [None] * len(requests)
        prompts = [request.prompt_ids for request in requests]
        found = find_prefix_groups(prompts, groups, [self._last_image(request) for request in requests])
        first = self._num_groups
        self._num_groups += 1 + max((own[0] for own in found if own), default=-1)
        return [PrefixGroup(first + own[0], own[1]) if own else None for own in found]

    def _last_image(self, request: Request) -> int:
        """Tokens up to the last one of an image; beyond its prompt where that token is not known."""
        ids = request.prompt_ids
        if not request.tensors:
            return 0
        return max((at + 1 for at, token in enumerate(ids) if token == self._image_token), default=len(ids) + 1)

    def _find_prefixes(self, requests: Sequence[Request]) -> list[Prefix | None]:
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

    def _compute(self, tokens: tuple[int, ...]) -> KVCache:
        forward = Forward(self._model, self._kernels)
        forward.lay_out(Layout.of_rows(1, len(tokens), forward.block_tokens))
        request = Request(id=0, prompt_ids=tokens)
        for start in range(0, len(tokens), self._step_tokens):
            end = min(len(tokens), start + self._step_tokens)
            forward.run(Step((), (PrefillChunk(0, 0, start, end, is_last=False),)), {0: request})
        return forward.kv_cache
