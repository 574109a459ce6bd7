"""The KV cache: keys and values of every layer in slots, one row a slot, each at its own length.

Knows tensors and places; not which row stands where, nor how attention reads them.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch

from relabel.engine.model.upload import upload
from relabel.engine.scheduling.step import Layout

BLOCK = 64
"""Tokens of a block: the same positions of all slots lie side by side, so that a matrix product takes them as they are.
With 32 or 96, attention of 64 rows of 64 to 140 tokens takes as long or longer (one core, bfloat16 and float32)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SlotMapping:
    """Where tokens are kept: a slot, a block of it and a place in that, for each."""

    slots_T: torch.Tensor
    blocks_T: torch.Tensor
    in_block_T: torch.Tensor

    @classmethod
    def of(cls, slots_T: torch.Tensor, positions_T: torch.Tensor) -> SlotMapping:
        return cls(slots_T=slots_T, blocks_T=positions_T // BLOCK, in_block_T=positions_T % BLOCK)


class KVCache:
    """Keys and values [blocks, slots, kv heads, BLOCK, head size] of each layer, made when a layer first writes.

    A slot that is given to a row is zeroed, so that no kernel meets another row's NaN where it reads beyond a length.
    """

    def __init__(self, layout: Layout) -> None:
        self.layout = layout
        self.keys: dict[int, torch.Tensor] = {}
        self.values: dict[int, torch.Tensor] = {}
        self._by_slot: set[int] = set()
        """Layers whose memory holds a slot after the other."""

    @property
    def are_by_slot(self) -> bool:
        """Whether every layer was written with `is_by_slot`."""
        return bool(self.keys) and self._by_slot == self.keys.keys()

    def write(
        self,
        layer: int,
        slot_mapping: SlotMapping,
        key_THD: torch.Tensor,
        value_THD: torch.Tensor,
        *,
        is_by_slot: bool = False,
    ) -> None:
        """Store the keys and values of T tokens, each at its place.

        `is_by_slot` orders memory as [slots, blocks, BLOCK, kv heads, head size], a slot after the other.
        """
        if layer not in self.keys:
            if is_by_slot:
                self._by_slot.add(layer)
            self.keys[layer] = self._empty(layer, key_THD)
            self.values[layer] = self._empty(layer, value_THD)
        self.keys[layer][slot_mapping.blocks_T, slot_mapping.slots_T, :, slot_mapping.in_block_T] = key_THD
        self.values[layer][slot_mapping.blocks_T, slot_mapping.slots_T, :, slot_mapping.in_block_T] = value_THD

    def read(self, layer: int, slots_B: torch.Tensor, width: int) -> tuple[torch.Tensor, torch.Tensor]:
        """Copies of the first `width` keys and values [B, kv heads, width, head size]."""
        num_blocks = _num_blocks(width)
        keys, values = (
            kept[layer][:num_blocks].index_select(1, slots_B).permute(1, 2, 0, 3, 4).flatten(2, 3)[:, :, :width]
            for kept in (self.keys, self.values)
        )
        return keys, values

    def clear(self, slots: Sequence[int]) -> None:
        """Make slots ready for new rows."""
        if slots and self.keys:
            index = upload(slots, next(iter(self.keys.values())).device)
            for tensor in (*self.keys.values(), *self.values.values()):
                tensor.index_fill_(1, index, 0)

    def copy_prefix(self, slots: Sequence[int], prefix: KVCache, num_tokens: int) -> None:
        """Begin slots with the first tokens of the one row that `prefix` holds; neighbours by one copy a layer."""
        runs = _runs(slots)
        for mine, theirs in ((self.keys, prefix.keys), (self.values, prefix.values)):
            for layer, tensor in theirs.items():
                if layer not in mine:
                    self._by_slot |= prefix._by_slot & {layer}
                    mine[layer] = self._empty(layer, tensor[0, 0].transpose(0, 1))
                for run in runs:
                    _copy(tensor, mine[layer][:, run], num_tokens)

    def copy(self, source: int, slot: int, num_tokens: int) -> None:
        """Begin a slot with the first tokens of another one, or keep just those of its own."""
        whole, rest = divmod(num_tokens, BLOCK)
        for tensor in (*self.keys.values(), *self.values.values()):
            _copy(tensor[:, source], tensor[:, slot], num_tokens)
            tensor[whole : whole + 1, slot, :, rest:] = 0
            tensor[whole + 1 :, slot] = 0

    def _empty(self, layer: int, tensor_THD: torch.Tensor) -> torch.Tensor:
        _, num_heads, head_size = tensor_THD.shape
        num_slots, slot_tokens = self.layout
        num_blocks = _num_blocks(slot_tokens)
        if layer in self._by_slot:
            return tensor_THD.new_zeros(num_slots, num_blocks, BLOCK, num_heads, head_size).permute(1, 0, 3, 2, 4)
        return tensor_THD.new_zeros(num_blocks, num_slots, num_heads, BLOCK, head_size)


def _num_blocks(num_tokens: int) -> int:
    return -(-num_tokens // BLOCK)


def _copy(source: torch.Tensor, target: torch.Tensor, num_tokens: int) -> None:
    """From one slot [blocks, ..., BLOCK, head size] into another one, or into many."""
    whole, rest = divmod(num_tokens, BLOCK)
    target[:whole] = source[:whole]
    target[whole : whole + 1, ..., :rest, :] = source[whole : whole + 1, ..., :rest, :]


def _runs(slots: Sequence[int]) -> list[slice]:
    """Neighbours together."""
    runs: list[slice] = []
    for slot in sorted(slots):
        if runs and runs[-1].stop == slot:
            runs[-1] = slice(runs[-1].start, slot + 1)
        else:
            runs.append(slice(slot, slot + 1))
    return runs
