"""The features of images, computed once for all rows of a call that bring the same ones: samples and labels of a row.

They are given to `generate` in the place of pixels, just as it makes them itself. Knows how models lay features out; a
model that does so otherwise is given pixels. Knows nothing of memory or of text.
"""

from __future__ import annotations

import inspect
import itertools
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Protocol, cast

import torch
from transformers.modeling_outputs import BaseModelOutputWithPooling

from relabel.engine.api.request import Request
from relabel.engine.model.collate import PER_TOKEN, collate
from relabel.engine.model.traits import takes_features

if TYPE_CHECKING:
    from transformers import PreTrainedModel
    from transformers.utils.generic import ModelOutput

PIXELS = frozenset({"pixel_values", "pixel_norm", "pixel_attention_mask"})
"""What only the vision tower reads."""
LAST, DEEPER = "pooler_output", "deepstack_features"
"""What the text part reads of a tower's output: its last layer, and of some models a list of others beside it."""
UNREAD = frozenset({"last_hidden_state", "hidden_states", "attentions"})
MOST_KEPT = 128
"""Rows whose features wait for others of a call: a unit with images has as many by default."""

Key = tuple[int, ...]
"""Which arrays a row brings: rows have images in common where they bring the same objects."""
Entries = torch.Tensor | Sequence[torch.Tensor]
"""One entry a row, an image, a tile or a token, as the model likes."""


class Sees(Protocol):
    """A model with a vision tower."""

    def get_image_features(self, **tensors: object) -> ModelOutput: ...


class ImageFeatures:
    """Those of the call in hand, from its first batch to its last."""

    def __init__(self, model: PreTrainedModel, *, is_by_row: bool | None = None) -> None:
        """By default rows are encoded one by one on a CPU, shared or not, and all of a batch together elsewhere.

        On one core a picture took a small tower 91 ms alone or in four, 110 ms in 16 and 124 ms in 32: its activations
        leave the caches.
        """
        self._model = model
        self._token: int | None = getattr(model.config, "image_token_id", None)
        self._is_understood = self._token is not None and takes_features(model)
        self._is_by_row = model.device.type == "cpu" if is_by_row is None else is_by_row
        self._kind: type[ModelOutput] = BaseModelOutputWithPooling
        self._shared: frozenset[Key] = frozenset()
        self._kept: dict[Key, list[Entries]] = {}
        """For each row the entries of its images in the last layer, then in each of the others."""

    def expect(self, requests: Iterable[Request]) -> None:
        """Find what these rows, a call or what is left of it, have in common. Features of others are dropped."""
        times = Counter(images_of(request) for request in requests if _sees(request))
        still = ((key, entries) for key, entries in self._kept.items() if key in times)
        self._kept = dict(itertools.islice(still, MOST_KEPT))
        self._shared = frozenset(key for key, number in times.items() if number > 1) | self._kept.keys()

    def of(self, batch: Sequence[Request]) -> ModelOutput | None:
        """The features of a batch, row by row; None where `generate` is to be given the pixels."""
        rows = {images_of(request): request for request in batch if _sees(request)}
        if not self._is_understood or not rows or (self._shared.isdisjoint(rows) and not self._is_by_row):
            return None
        new = [request for key, request in rows.items() if key not in self._kept]
        groups = [[request] for request in new] if self._is_by_row else [new] if new else []
        if not all(map(self._encode, groups)):
            return None
        entries = [self._kept[images_of(request)] for request in batch if _sees(request)]
        self._kept = {key: entries for key, entries in self._kept.items() if key in self._shared}
        last, *deeper = map(_joined, zip(*entries, strict=True))
        return self._kind(**{LAST: last}, **({DEEPER: deeper} if hasattr(self._kind, DEEPER) else {}))

    def forget(self) -> None:
        """Keep none: memory ran out, or the call is over."""
        self._kept = {}

    def _encode(self, requests: Sequence[Request]) -> bool:
        """Keep the features of these rows. False where the model does not give what their prompts have room for: then
        it is given pixels from now on."""
        encode = cast(Sees, self._model.base_model).get_image_features
        batch = collate(requests, 0, self._model.device)
        taken = {name: batch[name] for name in inspect.signature(encode).parameters if name in batch}
        output = encode(**taken, return_dict=True)
        counts = [sum(token == self._token for token in request.prompt_ids) for request in requests]
        layers = _layers_of(output)
        cuts = _cuts(layers[0], counts) if layers else None
        if cuts is None:
            self._is_understood = False
            return False
        self._kind = type(output)
        for request, cut in zip(requests, cuts, strict=True):
            self._kept[images_of(request)] = [layer[cut] for layer in layers]
        return True


def without_pixels(request: Request) -> Request:
    """The row as the text part of a model is told of it."""
    return replace(request, tensors={name: array for name, array in request.tensors.items() if name not in PIXELS})


def _sees(request: Request) -> bool:
    return "pixel_values" in request.tensors


def images_of(request: Request) -> Key:
    """Names the images of a row."""
    return tuple(id(array) for name, array in request.tensors.items() if name not in PER_TOKEN)


def _layers_of(output: ModelOutput) -> list[Entries]:
    """The last layer and the others; empty where models of this kind read more than that."""
    last, deeper = output.get(LAST), output.get(DEEPER) or []
    if last is None or output.keys() - UNREAD - {LAST, DEEPER}:
        return []
    layers = [last, *deeper]
    return layers if all(len(layer) == len(last) and isinstance(layer[0], torch.Tensor) for layer in layers) else []


def _cuts(entries: Entries, counts: Sequence[int]) -> list[slice] | None:
    """Which entries belong to each row, by the tokens that its prompt has for them; None where they do not fit."""
    if isinstance(entries, torch.Tensor):
        lengths = [entries[0].numel() // entries.shape[-1]] * len(entries)
    else:
        lengths = [entry.numel() // entry.shape[-1] for entry in entries]
    ends = dict(zip(itertools.accumulate(lengths, initial=0), range(len(lengths) + 1), strict=True))
    bounds = [ends.get(num_tokens) for num_tokens in itertools.accumulate(counts, initial=0)]
    if None in bounds or bounds[-1] != len(lengths):
        return None
    return [slice(start, end) for start, end in itertools.pairwise(bounds)]


def _joined(parts: Sequence[Entries]) -> Entries:
    tensors = [part for part in parts if isinstance(part, torch.Tensor)]
    return torch.cat(tensors) if tensors else [entry for part in parts for entry in part]
