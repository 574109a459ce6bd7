"""The KV cache: keys and values of every layer in blocks, and a table of the blocks of the row in each slot.

Knows tensors and places; not which row stands where, nor how attention reads them.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch

from relabel.engine.model.upload import upload
from relabel.engine.scheduling.step import Layout, TakenBlock

BLOCK = 64
"""Tokens of a block for matrix products. With 32 or 96, attention of 64 rows of 64 to 140 tokens takes as long or
longer (one core, bfloat16 and float32)."""
CPU = torch.device("cpu")


@dataclass(frozen=True, slots=True, kw_only=True)
class Places:
    """Where tokens are kept: a block and a place in it, for each."""

    blocks_T: torch.Tensor
    in_block_T: torch.Tensor


class KVCache:
    """Keys and values [blocks, kv heads, block tokens, head size] of each layer, made when a layer first writes.

    A block that is given to a row is zeroed, so that no kernel meets another row's NaN where it reads beyond a length.
    """

    def __init__(self, layout: Layout, device: torch.device = CPU, *, most_tokens: int = 2**62) -> None:
        """`most_tokens` is the length of the longest row that can come."""
        self.layout = layout
        self.keys: dict[int, torch.Tensor] = {}
        self.values: dict[int, torch.Tensor] = {}
        self._by_token: set[int] = set()
        """Layers whose memory holds the heads of a token side by side."""
        width = min(layout.num_blocks, self.num_blocks(most_tokens))
        # without a scheduler each row has the blocks at home
        homes = np.arange(width * layout.num_slots, dtype=np.int32).reshape(width, layout.num_slots).T.copy()
        self.host_tables_SN = np.minimum(homes, layout.num_blocks - 1)
        """The blocks of the row in each slot, in order."""
        self.tables_SN = torch.from_numpy(self.host_tables_SN)
        """The same on the device."""
        if device.type != "cpu":
            self.tables_SN = self.tables_SN.to(device)

    @property
    def are_by_token(self) -> bool:
        """Whether every layer was written with `is_by_token`."""
        return bool(self.keys) and self._by_token == self.keys.keys()

    @property
    def most_tokens(self) -> int:
        """Of the longest row that has room in the tables."""
        return self.tables_SN.shape[1] * self.layout.block_tokens

    def num_blocks(self, num_tokens: int) -> int:
        """Blocks that hold so many tokens."""
        return -(-num_tokens // self.layout.block_tokens)

    def take(self, taken: Sequence[TakenBlock]) -> None:
        """Rows have these blocks from now on, with nothing in them."""
        if not taken:
            return
        slots, indices, blocks = zip(*taken, strict=True)
        self.host_tables_SN[slots, indices] = blocks
        device = self.tables_SN.device
        table = upload([*slots, *indices, *blocks], device, torch.long).view(3, -1)
        if device.type != "cpu":
            self.tables_SN[table[0], table[1]] = table[2].int()
        for tensor in (*self.keys.values(), *self.values.values()):
            tensor.index_fill_(0, table[2], 0)

    def places(self, slots_T: torch.Tensor, positions_T: torch.Tensor) -> Places:
        """Of tokens at these positions of the rows in these slots."""
        block_tokens = self.layout.block_tokens
        blocks_T = self.tables_SN[slots_T, positions_T // block_tokens].long()
        return Places(blocks_T=blocks_T, in_block_T=positions_T % block_tokens)

    def write(
        self,
        layer: int,
        places: Places,
        key_THD: torch.Tensor,
        value_THD: torch.Tensor,
        *,
        is_by_token: bool = False,
    ) -> None:
        """Store the keys and values of T tokens, each at its place.

        `is_by_token` orders memory as [blocks, block tokens, kv heads, head size].
        """
        if layer not in self.keys:
            if is_by_token:
                self._by_token.add(layer)
            self.keys[layer] = self._empty(layer, key_THD.shape[1], key_THD.shape[2], key_THD)
            self.values[layer] = self._empty(layer, value_THD.shape[1], value_THD.shape[2], value_THD)
        self.keys[layer][places.blocks_T, :, places.in_block_T] = key_THD
        self.values[layer][places.blocks_T, :, places.in_block_T] = value_THD

    def read(self, layer: int, slots_B: torch.Tensor, width: int) -> tuple[torch.Tensor, torch.Tensor]:
        """Copies of the first `width` keys and values [B, kv heads, width, head size]."""
        blocks_BN = self.tables_SN[slots_B, : self.num_blocks(width)].long()
        keys, values = (
            kept[layer][blocks_BN].permute(0, 2, 1, 3, 4).flatten(2, 3)[:, :, :width]
            for kept in (self.keys, self.values)
        )
        return keys, values

    def copy_prefix(self, slots: Sequence[int], prefix: KVCache, num_tokens: int) -> None:
        """Begin rows with the tokens of the one row that `prefix` holds, and nothing behind them."""
        num_blocks = self.num_blocks(num_tokens)
        for mine, theirs in ((self.keys, prefix.keys), (self.values, prefix.values)):
            for layer, tensor in theirs.items():
                if layer not in mine:
                    self._by_token |= prefix._by_token & {layer}
                    num_heads, _, head_size = tensor.shape[1:]
                    mine[layer] = self._empty(layer, num_heads, head_size, tensor)
                blocks_SN = upload(self.host_tables_SN[list(slots), :num_blocks], tensor.device).long()
                mine[layer][blocks_SN] = tensor[:num_blocks]

    def copy(self, source: Sequence[int], slot: int, num_tokens: int) -> None:
        """Begin the row in a slot with the first tokens of the one whose blocks these are."""
        whole, rest = divmod(num_tokens, self.layout.block_tokens)
        own = self.host_tables_SN[slot].tolist()
        device = self.tables_SN.device
        from_N, to_N = upload(source[:whole], device, torch.long), upload(own[:whole], device, torch.long)
        for tensor in (*self.keys.values(), *self.values.values()):
            if whole:
                tensor[to_N] = tensor[from_N]
            if rest:
                tensor[own[whole], :, :rest] = tensor[source[whole], :, :rest]

    def _empty(self, layer: int, num_heads: int, head_size: int, like: torch.Tensor) -> torch.Tensor:
        _, num_blocks, block_tokens = self.layout
        if layer in self._by_token:
            return _zeros(like, num_blocks, block_tokens, num_heads, head_size).transpose(1, 2)
        return _zeros(like, num_blocks, num_heads, block_tokens, head_size)


def _zeros(like: torch.Tensor, *shape: int) -> torch.Tensor:
    """As torch has them; on a CPU memory is taken only where something is written: there may be far too many blocks."""
    if like.device.type != "cpu":
        return like.new_zeros(shape)
    num_bytes = int(np.prod(shape)) * like.dtype.itemsize
    buffer = np.zeros(num_bytes + ALIGNMENT, dtype=np.uint8)
    first = -buffer.ctypes.data % ALIGNMENT
    return torch.from_numpy(buffer[first : first + num_bytes]).view(like.dtype).view(shape)


ALIGNMENT = 64
"""Bytes of a line of the processor's cache, at which the memory of torch begins, too."""
