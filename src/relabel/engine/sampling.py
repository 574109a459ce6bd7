"""The choice of a token: one uniform per (seed, row, step), so that sampled text does not depend on the batch.

Knows one batch of logits at a time; nothing of models, stops or requests.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch

HEAD = 1024
"""Tokens that are sorted first where only top-p cuts: a full sort of 128k logits costs as much as a decode step."""


def draw_uniforms(seed: int, row_ids: Sequence[int], num_steps: int) -> torch.Tensor:
    """[rows, steps] of float32 in [0, 1); a row's numbers depend on the seed and its id alone."""
    rows = [
        np.random.Generator(np.random.Philox(key=[seed, row_id % 2**64])).random(num_steps, dtype=np.float32)
        for row_id in row_ids
    ]
    return torch.from_numpy(np.stack(rows))


def choose(
    logits_BV: torch.Tensor, uniforms_B: torch.Tensor, *, temperature: float, top_p: float, top_k: int
) -> torch.Tensor:
    """Token ids [B] by inverse CDF in float32. Rows that are not finite get some valid id."""
    logits_BV = logits_BV.float() / temperature
    vocab_size = logits_BV.shape[-1]
    top_k = min(top_k or vocab_size, vocab_size)
    if top_p >= 1 and top_k == vocab_size:
        return _invert(logits_BV.softmax(-1), uniforms_B)
    if top_k < vocab_size:
        values_BK, tokens_BK = logits_BV.topk(top_k)
        return _choose_sorted(values_BK.softmax(-1), tokens_BK, uniforms_B, top_p)
    # a row takes the short way or the long one by its own probabilities, never by its neighbours'
    head_BK, tokens_BK = logits_BV.softmax(-1).topk(min(HEAD, vocab_size))
    chosen_B = _choose_sorted(head_BK, tokens_BK, uniforms_B, top_p)
    rows = (head_BK.sum(-1) < top_p).nonzero()[:, 0]
    if len(rows):
        probs_RV, tokens_RV = logits_BV[rows].softmax(-1).sort(dim=-1, descending=True, stable=True)
        chosen_B[rows] = _choose_sorted(probs_RV, tokens_RV, uniforms_B[rows], top_p)
    return chosen_B


def _choose_sorted(
    probs_BK: torch.Tensor, tokens_BK: torch.Tensor, uniforms_B: torch.Tensor, top_p: float
) -> torch.Tensor:
    before_BK = probs_BK.cumsum(-1) - probs_BK
    kept_BK = torch.where(before_BK < top_p, probs_BK, 0.0)
    return tokens_BK.gather(1, _invert(kept_BK, uniforms_B)[:, None])[:, 0]


def _invert(probs_BK: torch.Tensor, uniforms_B: torch.Tensor) -> torch.Tensor:
    cdf_BK = probs_BK.cumsum(-1)
    cdf_BK = cdf_BK / cdf_BK[:, -1:]
    return (cdf_BK <= uniforms_B[:, None]).sum(-1).clamp(max=probs_BK.shape[-1] - 1)
