"""The softmax of attention with what models add to it: soft caps and sinks. Knows scores alone."""

from __future__ import annotations

from dataclasses import dataclass

import torch


@dataclass(frozen=True, slots=True, kw_only=True)
class Softmax:
    scale: float
    softcap: float | None
    sinks: torch.Tensor | None
    """[heads]: one more logit a head, which takes its share and has no value."""

    @property
    def is_plain(self) -> bool:
        return self.softcap is None and self.sinks is None

    def __call__(self, scores_BHGW: torch.Tensor, bias: torch.Tensor, num_queries: int) -> torch.Tensor:
        """Weights of float32 from scores q k^T of float32, which are overwritten.

        G is heads of a group x queries. `bias` is 0 or -inf and broadcasts to the scores.
        """
        scores = scores_BHGW.mul_(self.scale)
        if self.softcap is not None:
            scores = scores.div_(self.softcap).tanh_().mul_(self.softcap)
        scores = scores.add_(bias)
        if self.sinks is None:
            return scores.softmax(-1)
        batch, num_kv_heads, _, width = scores.shape
        sinks = self.sinks.float().view(1, num_kv_heads, -1, 1).repeat_interleave(num_queries, dim=2)
        return torch.cat([scores, sinks.expand(batch, -1, -1, -1)], dim=-1).softmax(-1)[..., :width]


def bias_of(ends: torch.Tensor, keys_W: torch.Tensor, window: int | None) -> torch.Tensor:
    """[..., W] of float32: 0 where a query at position `ends` sees the key at `keys_W`, -inf elsewhere."""
    sees = keys_W <= ends[..., None]
    if window is not None:
        sees &= keys_W > ends[..., None] - window
    return torch.zeros(sees.shape, device=ends.device).masked_fill_(~sees, -torch.inf)
