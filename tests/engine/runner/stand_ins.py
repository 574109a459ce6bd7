"""Kernels of CUDA, played on a CPU: the flash kernel by a few lines of torch, a CUDA graph by recorded operators."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_map_only

from relabel.engine.runner.flash import Flash
from tests.engine.waits import WAITS


def attend_row_by_row(
    q_THD: torch.Tensor,
    keys_NBHD: torch.Tensor,
    values_NBHD: torch.Tensor,
    cu_queries: torch.Tensor,
    cu_keys: torch.Tensor,
    max_queries: int,
    max_keys: int,
    dropout: float,
    is_causal: bool,
    return_debug_mask: bool,
    *,
    scale: float,
    window_size_left: int | None,
    window_size_right: int | None,
    seqused_k: torch.Tensor,
    block_table: torch.Tensor,
) -> tuple[torch.Tensor, ...]:
    """aten::_flash_attention_forward row by row, as torch documents it; fails on tables that it must not be given."""
    assert {table.dtype for table in (cu_queries, cu_keys, seqused_k, block_table)} == {torch.int32}
    assert (dropout, is_causal, return_debug_mask) == (0.0, True, False)
    assert window_size_right == (None if window_size_left is None else 0)
    assert keys_NBHD.is_contiguous()
    assert block_table.stride(-1) == 1
    assert len(cu_queries) == len(cu_keys) == len(seqused_k) + 1 == len(block_table) + 1
    queries, used = cu_queries.tolist(), seqused_k.tolist()
    assert keys_NBHD.shape == values_NBHD.shape
    assert q_THD.stride(-1) == 1
    assert queries[-1] == len(q_THD)
    assert max(used) <= max_keys
    out = []
    for row, num_keys in enumerate(used):
        q_QHD = q_THD[queries[row] : queries[row + 1]]
        assert 1 <= len(q_QHD) <= max_queries
        assert num_keys <= block_table.shape[1] * keys_NBHD.shape[1]
        blocks = block_table[row, : -(-num_keys // keys_NBHD.shape[1])]
        k, v = (kept[blocks].flatten(0, 1)[:num_keys] for kept in (keys_NBHD, values_NBHD))
        groups = q_THD.shape[1] // k.shape[1]
        scores = torch.einsum("qhd,khd->hqk", q_QHD, k.repeat_interleave(groups, 1)) * scale
        behind = (torch.arange(len(q_QHD)) + num_keys - len(q_QHD))[:, None] - torch.arange(num_keys)
        sees = (behind >= 0) & (behind <= (num_keys if window_size_left is None else window_size_left))
        weights = scores.masked_fill(~sees, -torch.inf).softmax(-1)
        out.append(torch.einsum("hqk,khd->qhd", weights, v.repeat_interleave(groups, 1)))
    return (torch.cat(out),)


def attend_at_once(q_THD: torch.Tensor, *args: Any, **settings: Any) -> tuple[torch.Tensor, ...]:
    """The flash kernel for one token a row, in operators that read its tables when they run."""
    keys_NBHD, values_NBHD, _, _, max_queries = args[:5]
    assert max_queries == 1
    tables_RN, used_R, window = settings["block_table"], settings["seqused_k"], settings["window_size_left"]
    keys_RKHD, values_RKHD = (kept[tables_RN.long()].flatten(1, 2) for kept in (keys_NBHD, values_NBHD))
    behind_RK = (used_R - 1)[:, None] - torch.arange(keys_RKHD.shape[1])
    sees_RK = behind_RK >= 0
    if window is not None:
        sees_RK = sees_RK & (behind_RK <= window)
    groups = q_THD.shape[1] // keys_RKHD.shape[2]
    scores = torch.einsum("rhd,rkhd->rhk", q_THD, keys_RKHD.repeat_interleave(groups, 2)) * settings["scale"]
    weights = scores.masked_fill(~sees_RK[:, None], -torch.inf).softmax(-1)
    return (torch.einsum("rhk,rkhd->rhd", weights, values_RKHD.repeat_interleave(groups, 2)),)


def attend(q_THD: torch.Tensor, *args: Any, **settings: Any) -> tuple[torch.Tensor, ...]:
    """The flash kernel. What one token a row needs is in operators that can be replayed."""
    return (attend_at_once if args[4] == 1 else attend_row_by_row)(q_THD, *args, **settings)


FLASH = Flash(can_take=lambda query, value, softmax: softmax.is_plain, kernel=attend)


class Recorder(TorchDispatchMode):
    def __init__(self) -> None:
        super().__init__()
        self.calls: list[tuple[Any, Any, Any, Any]] = []

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        if func in WAITS:
            raise RuntimeError("operation not permitted when stream is capturing")
        out = func(*args, **(kwargs or {}))
        self.calls.append((func, args, kwargs or {}, out))
        return out


class Recorded:
    """A CUDA graph: replays the operators, on the same memory and with the numbers that the host had then."""

    pool = None

    def __init__(self, compute: Callable[[], torch.Tensor]) -> None:
        with Recorder() as recorder:
            self.filled = compute()
        self._calls, self.num_replays = recorder.calls, 0

    def __call__(self) -> torch.Tensor:
        now: dict[int, torch.Tensor] = {}
        for func, args, kwargs, out in self._calls:
            args, kwargs = tree_map_only(torch.Tensor, lambda tensor: now.get(id(tensor), tensor), (args, kwargs))
            fresh = func(*args, **kwargs)
            outs, freshes = (one if isinstance(one, tuple | list) else [one] for one in (out, fresh))
            now.update((id(old), new) for old, new in zip(outs, freshes, strict=True))
        self.num_replays += 1
        return now[id(self.filled)]


class Captures:
    """Captures functions, and keeps what was made of them."""

    def __init__(self) -> None:
        self.num_tries = 0
        self.every: list[Recorded] = []

    def __call__(self, compute: Callable[[], torch.Tensor], pool: object) -> Recorded:
        self.num_tries += 1
        self.every.append(graph := Recorded(compute))
        return graph
