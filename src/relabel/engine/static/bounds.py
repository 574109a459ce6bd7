"""How much a padded batch may hold at the start: from the memory that is free and the shape of the model.

An estimate only; the budget corrects it when a batch does not fit. Knows nothing of rows.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

from relabel.engine.model.gpu_share import gpu_bytes_left
from relabel.engine.model.sizes import CUDA_ROWS, FREE_FRACTION, token_bytes

if TYPE_CHECKING:
    from transformers import PreTrainedModel

CPU_TOKENS = 16_384
CPU_ROWS = 64
"""A row costs no less in larger batches (measured with 16 to 128 rows of the benchmark), but padding grows."""


def first_bounds(model: PreTrainedModel, device: torch.device) -> tuple[int, int]:
    """Padded tokens and rows of the first batches."""
    if device.type != "cuda":
        return CPU_TOKENS, CPU_ROWS
    free = int(gpu_bytes_left(device) * FREE_FRACTION)
    text = model.config.get_text_config(decoder=True)
    # logits leave the model in its own type and are copied to float32; sampling makes about four more such copies
    max_rows = max(1, min(CUDA_ROWS, free // 4 // (text.vocab_size * 4 * 6)))
    return max(1, free // token_bytes(text, model.dtype.itemsize)), max_rows
