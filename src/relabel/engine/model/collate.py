"""Rows of different lengths and different numbers of images become the tensors of one left-padded batch.

Knows the layouts that processors of transformers use; nothing of models. Values are never looked at, only shapes.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
import torch.nn.functional as F

from relabel.engine.api.request import Request
from relabel.engine.model.pixels import dequantise
from relabel.engine.model.upload import upload

PER_TOKEN = frozenset({"mm_token_type_ids", "token_type_ids"})
"""One value per prompt token, padded like the prompt."""


def collate(requests: Sequence[Request], pad_token_id: int, device: torch.device) -> dict[str, torch.Tensor]:
    """The arguments of `generate`: input_ids, attention_mask, and whatever else the rows hold."""
    width = max(len(request.prompt_ids) for request in requests)
    prompts = [torch.as_tensor(np.asarray(request.prompt_ids, dtype=np.int64)) for request in requests]
    ones = [torch.ones_like(prompt) for prompt in prompts]
    batch = {
        "input_ids": _left_pad(prompts, width, pad_token_id).to(device),
        "attention_mask": _left_pad(ones, width, 0).to(device),
    }
    rows = [_to_device(request, device) for request in requests]
    for name in sorted({name for row in rows for name in row}):
        tensors = [row.get(name) for row in rows]
        if name in PER_TOKEN:
            filled = [
                torch.zeros_like(prompt) if tensor is None else tensor.reshape(-1).cpu()
                for prompt, tensor in zip(prompts, tensors, strict=True)
            ]
            batch[name] = _left_pad(filled, width, 0).to(device)
        elif _is_per_row(name, rows):
            batch[name] = _stack(tensors)
        else:
            batch[name] = _concatenate([tensor for tensor in tensors if tensor is not None])
    return batch


def _to_device(request: Request, device: torch.device) -> dict[str, torch.Tensor]:
    """Bytes are moved as bytes and become pixels on the device, before padding: a padded pixel is 0.0, not a byte."""
    arrays = {name: np.ascontiguousarray(value) for name, value in request.tensors.items()}
    row = {
        name: torch.as_tensor(array) if name in PER_TOKEN else upload(array, device) for name, array in arrays.items()
    }
    norm = row.pop("pixel_norm", None)
    if norm is not None:
        row["pixel_values"] = dequantise(row["pixel_values"], norm)
    return row


def _is_per_row(name: str, rows: Sequence[dict[str, torch.Tensor]]) -> bool:
    """Idefics and SmolVLM send [1, images, 3, H, W] and a mask [1, images, H, W]; all others put images first.

    LLaVA-Next has as many axes, [images, patches, 3, H, W], but tells each image's size.
    """
    row = next(row for row in rows if name in row)
    if "image_sizes" in row:
        return False
    return (name == "pixel_values" and row[name].dim() == 5) or (
        name == "pixel_attention_mask" and row[name].dim() == 4
    )


def _left_pad(rows: Sequence[torch.Tensor], width: int, value: int) -> torch.Tensor:
    padded = torch.full((len(rows), width), value, dtype=rows[0].dtype)
    for index, row in enumerate(rows):
        padded[index, width - len(row) :] = row
    return padded


def _stack(tensors: Sequence[torch.Tensor | None]) -> torch.Tensor:
    """[rows, most images, ...]; the models drop images that are zero throughout."""
    present = [tensor for tensor in tensors if tensor is not None]
    shape = _largest(present)
    empty = present[0].new_zeros(1, *shape)
    return torch.cat([empty if tensor is None else _grow(tensor, [1, *shape]) for tensor in tensors])


def _concatenate(tensors: Sequence[torch.Tensor]) -> torch.Tensor:
    """All images of all rows in order; where their sizes differ (Pixtral, LLaVA-Next), zeros fill them up."""
    shape = _largest(tensors)
    return torch.cat([_grow(tensor, [len(tensor), *shape]) for tensor in tensors])


def _largest(tensors: Sequence[torch.Tensor]) -> list[int]:
    return [max(sizes) for sizes in zip(*(tensor.shape[1:] for tensor in tensors), strict=True)]


def _grow(tensor: torch.Tensor, shape: Sequence[int]) -> torch.Tensor:
    missing = [size - have for have, size in zip(tensor.shape, shape, strict=True)]
    return F.pad(tensor, [step for size in reversed(missing) for step in (0, size)]) if any(missing) else tensor
