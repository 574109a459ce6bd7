"""How much arithmetic and traffic a workload needs, whoever does it: useful FLOPs, and a roofline in seconds.

Counts dense matrices of a text model; the products of attention, some 2 % at these lengths, are left out. Knows a
model's sizes and the lengths of rows; nothing of engines, measures nothing.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple, cast

import torch

from relabel.engine.model.sizes import kv_bytes

if TYPE_CHECKING:
    from transformers import PreTrainedModel


class Row(NamedTuple):
    """The lengths of one row."""

    prompt: int
    chosen: int
    """Tokens that were chosen for it, a stop token included."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Size:
    """What a model multiplies with and what it moves."""

    body: int
    """Weights that every position is multiplied with."""
    head: int
    """Weights that only positions with wanted logits are."""
    weight_bytes: int
    kv_bytes: int
    """Of one token's keys and values."""

    @classmethod
    def of(cls, model: PreTrainedModel) -> Size:
        head = cast(torch.nn.Linear, model.get_output_embeddings())
        linears = [module for module in model.modules() if isinstance(module, torch.nn.Linear) and module is not head]
        body, item_bytes = sum(linear.weight.numel() for linear in linears), model.dtype.itemsize
        return cls(
            body=body,
            head=head.weight.numel(),
            weight_bytes=(body + head.weight.numel()) * item_bytes,
            kv_bytes=kv_bytes(model.config.get_text_config(decoder=True), item_bytes),
        )

    def flops(self, positions: int, logits: int) -> int:
        """Of so many positions, and so many of them with logits."""
        return 2 * (self.body * positions + self.head * logits)


def rows_of(prompts: Sequence[Sequence[int]], outputs: Sequence[Sequence[int]], new_tokens: int) -> list[Row]:
    """Outputs are without their stop token: a row that is shorter than it may be has ended with one."""
    return [Row(len(prompt), min(len(output) + 1, new_tokens)) for prompt, output in zip(prompts, outputs, strict=True)]


def useful_flops(size: Size, rows: Sequence[Row]) -> int:
    """Every prompt once, and every chosen token but the last, after which nothing comes."""
    return sum(size.flops(row.prompt + row.chosen - 1, row.chosen) for row in rows)


def roofline_seconds(
    size: Size, rows: Sequence[Row], *, flops_per_second: float, bytes_per_second: float, rows_at_once: int
) -> float:
    """The least seconds in which these rows can be made, if each step takes either all of the arithmetic or all of the
    bandwidth: weights once, keys and values of all live rows. A row that ends makes room at once."""
    waiting = deque(sorted(rows, key=lambda row: -row.chosen))
    live: list[tuple[Row, int]] = []
    """With the number of tokens chosen so far."""
    seconds = 0.0
    while waiting or live:
        new = [waiting.popleft() for _ in range(min(len(waiting), rows_at_once - len(live)))]
        prefill = sum(row.prompt for row in new)
        context = sum(row.prompt + chosen for row, chosen in live)
        flops = size.flops(prefill + len(live), len(new) + len(live))
        moved = size.weight_bytes + size.kv_bytes * (prefill + context)
        seconds += max(flops / flops_per_second, moved / bytes_per_second)
        stepped = [(row, chosen + 1) for row, chosen in (*((row, 0) for row in new), *live)]
        live = [(row, chosen) for row, chosen in stepped if chosen < row.chosen]
    return seconds
