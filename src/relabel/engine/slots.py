"""The KV cache: keys and values of every layer in slots, one row a slot, each at its own length.

Knows tensors and places; not which row stands where, nor how attention reads them.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch

from relabel.engine.step import Layout


class Slots:
    """Keys and values [slots, kv heads, slot tokens, head size] of each layer, made when a layer first writes.

    A slot that is given to a row is zeroed, so that no kernel meets another row's NaN where it reads beyond a length.
    """

    def __init__(self, layout: Layout) -> None:
        self.layout = layout
        self._keys: dict[int, torch.Tensor] = {}
        self._values: dict[int, torch.Tensor] = {}

    def write(
        self,
        layer: int,
        slots_T: torch.Tensor,
        positions_T: torch.Tensor,
        key_THD: torch.Tensor,
        value_THD: torch.Tensor,
    ) -> None:
        """Store the keys and values of T tokens, each at a position of a slot."""
        if layer not in self._keys:
            self._keys[layer] = self._empty(key_THD)
            self._values[layer] = self._empty(value_THD)
        self._keys[layer][slots_T, :, positions_T] = key_THD
        self._values[layer][slots_T, :, positions_T] = value_THD

    def read(self, layer: int, slots: slice | torch.Tensor, width: int) -> tuple[torch.Tensor, torch.Tensor]:
        """Keys and values [slots, kv heads, width, head size]: a view of a slice, a copy of slots picked by index."""
        return self._keys[layer][slots, :, :width], self._values[layer][slots, :, :width]

    def clear(self, slots: Sequence[int]) -> None:
        """Make slots ready for new rows."""
        for tensor in (*self._keys.values(), *self._values.values()):
            tensor[list(slots)] = 0

    def copy_prefix(self, slot: int, prefix: Slots, num_tokens: int) -> None:
        """Begin a slot with the first tokens of the one row that `prefix` holds."""
        for mine, theirs in ((self._keys, prefix._keys), (self._values, prefix._values)):
            for layer, tensor in theirs.items():
                if layer not in mine:
                    mine[layer] = self._empty(tensor[0].transpose(0, 1))
                mine[layer][slot, :, :num_tokens] = tensor[0, :, :num_tokens]

    def copy(self, source: int, slot: int, num_tokens: int) -> None:
        """Begin a slot with the first tokens of another one, or keep just those of its own."""
        for tensor in (*self._keys.values(), *self._values.values()):
            tensor[slot, :, :num_tokens] = tensor[source, :, :num_tokens]
            tensor[slot, :, num_tokens:] = 0

    def _empty(self, tensor_THD: torch.Tensor) -> torch.Tensor:
        _, num_heads, head_size = tensor_THD.shape
        return tensor_THD.new_zeros(self.layout.num_slots, num_heads, self.layout.slot_tokens, head_size)
