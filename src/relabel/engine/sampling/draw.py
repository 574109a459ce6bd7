"""One token from a set of logits and one number in [0, 1): inverse CDF, after the cuts of a row's settings.

Knows logits and numbers; nothing of rows, grammars or where a text ends.
"""

from __future__ import annotations

import numpy as np
import torch

HEAD = 1024
"""Tokens that are sorted first where only top-p cuts: a full sort of 128k logits costs as much as a decode step."""


def draw_uniforms(seed: int, row_id: int, num_steps: int) -> np.ndarray:
    """[steps] of float32 in [0, 1) by Philox; they depend on the seed and the row's id alone, and begin alike."""
    return np.random.Generator(np.random.Philox(key=[seed, row_id % 2**64])).random(num_steps, dtype=np.float32)


def draw(
    logits_BV: torch.Tensor,
    uniforms_B: torch.Tensor,
    *,
    temperature: float,
    top_p: float = 1.0,
    top_k: int = 0,
    min_p: float = 0.0,
) -> torch.Tensor:
    """Token ids [B] by inverse CDF in float32. The cuts apply in the order top-k, top-p, min-p, as in transformers."""
    logits_BV = logits_BV.float() / temperature
    vocab_size = logits_BV.shape[-1]
    top_k = min(top_k or vocab_size, vocab_size)
    if top_p >= 1 and top_k == vocab_size:
        probs_BV = logits_BV.softmax(-1)
        return _invert(torch.where(probs_BV >= min_p * probs_BV.amax(-1, keepdim=True), probs_BV, 0.0), uniforms_B)
    if top_k < vocab_size:
        values_BK, tokens_BK = logits_BV.topk(top_k)
        return _draw_sorted(values_BK.softmax(-1), tokens_BK, uniforms_B, top_p, min_p)
    # a row takes the short way or the long one by its own probabilities, never by its neighbours'
    head_BK, tokens_BK = logits_BV.softmax(-1).topk(min(HEAD, vocab_size))
    chosen_B = _draw_sorted(head_BK, tokens_BK, uniforms_B, top_p, min_p)
    rows = (head_BK.sum(-1) < top_p).nonzero()[:, 0]
    if len(rows):
        probs_RV, tokens_RV = logits_BV[rows].softmax(-1).sort(dim=-1, descending=True, stable=True)
        chosen_B[rows] = _draw_sorted(probs_RV, tokens_RV, uniforms_B[rows], top_p, min_p)
    return chosen_B


def _draw_sorted(
    probs_BK: torch.Tensor, tokens_BK: torch.Tensor, uniforms_B: torch.Tensor, top_p: float, min_p: float
) -> torch.Tensor:
    before_BK = probs_BK.cumsum(-1) - probs_BK
    is_kept_BK = (before_BK < top_p) & (probs_BK >= min_p * probs_BK[:, :1])
    kept_BK = torch.where(is_kept_BK, probs_BK, 0.0)
    return tokens_BK.gather(1, _invert(kept_BK, uniforms_B)[:, None])[:, 0]


def _invert(probs_BK: torch.Tensor, uniforms_B: torch.Tensor) -> torch.Tensor:
    cdf_BK = probs_BK.cumsum(-1)
    cdf_BK = cdf_BK / cdf_BK[:, -1:]
    return (cdf_BK <= uniforms_B[:, None]).sum(-1).clamp(max=probs_BK.shape[-1] - 1)
