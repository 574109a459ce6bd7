"""The KV cache keeps what is written, across its blocks, and a row begins with just what it was given."""

from __future__ import annotations

import pytest
import torch

from relabel.engine.runner.kv_cache import KVCache
from relabel.engine.scheduling.step import Layout, TakenBlock

BLOCK = 16
HEADS, SIZE, LONG = 2, 4, 2 * BLOCK + 10
EDGES = [1, BLOCK - 1, BLOCK, BLOCK + 1, 2 * BLOCK, LONG]
STREWN = [TakenBlock(slot, index, (5 * (slot * 3 + index) + 2) % 12) for slot in range(4) for index in range(3)]
"""Blocks of four rows, none of them at home."""


def cache(num_rows: int = 4) -> KVCache:
    """A cache whose rows have blocks in any order, or those at home where it is of one row."""
    own = KVCache(Layout.of_rows(num_rows, LONG, BLOCK))
    if num_rows == 4:
        own.take(STREWN)
    return own


def filled(num_rows: int = 4) -> tuple[KVCache, torch.Tensor, torch.Tensor]:
    """A cache whose every position holds other numbers, and the keys and values [rows, heads, LONG, size] in it."""
    own = cache(num_rows)
    keys, values = torch.randn(2, num_rows, HEADS, LONG, SIZE)
    where = torch.cartesian_prod(torch.arange(num_rows), torch.arange(LONG))
    slots_T, positions_T = where[torch.randperm(len(where))].unbind(1)
    own.write(0, own.places(slots_T, positions_T), keys[slots_T, :, positions_T], values[slots_T, :, positions_T])
    return own, keys, values


@pytest.mark.parametrize("width", EDGES)
def test_what_is_written_in_any_order_is_read_in_order(width: int) -> None:
    own, keys, values = filled()
    read_keys, read_values = own.read(0, torch.tensor([2, 0]), width)
    assert torch.equal(read_keys, keys[[2, 0], :, :width])
    assert torch.equal(read_values, values[[2, 0], :, :width])


def test_a_block_that_is_taken_is_empty_and_the_others_stay() -> None:
    own, keys, _ = filled()
    own.take([TakenBlock(1, 0, STREWN[3].block)])
    read, _ = own.read(0, torch.tensor([1, 2]), LONG)
    assert not read[0, :, :BLOCK].any()
    assert torch.equal(read[0, :, BLOCK:], keys[1, :, BLOCK:])
    assert torch.equal(read[1], keys[2])


def test_memory_that_nothing_was_written_to_is_empty() -> None:
    own = KVCache(Layout(4, 2**20, BLOCK))
    own.take([TakenBlock(0, 0, 2**20 - 1)])
    own.write(0, own.places(torch.zeros(1, dtype=torch.long), torch.arange(1)), *torch.randn(2, 1, HEADS, SIZE))
    assert own.keys[0][-1].count_nonzero() == HEADS * SIZE
    assert not own.keys[0][:1000].any()
    assert own.keys[0].data_ptr() % 64 == 0


@pytest.mark.parametrize("width", EDGES)
def test_a_row_begins_with_the_first_tokens_of_another_and_nothing_else(width: int) -> None:
    own, keys, values = filled()
    source = [taken.block for taken in STREWN if taken.slot == 0]
    own.take([taken for taken in STREWN if taken.slot == 1])
    own.copy(source, 1, width)
    for read, whole in zip(own.read(0, torch.tensor([1]), LONG), (keys, values), strict=True):
        assert torch.equal(read[0, :, :width], whole[0, :, :width])
        assert not read[0, :, width:].any()
    assert torch.equal(own.read(0, torch.tensor([2]), LONG)[0], keys[2:3])


@pytest.mark.parametrize("is_by_token", [False, True])
@pytest.mark.parametrize("width", EDGES)
def test_a_prefix_is_copied_into_rows_in_any_order_and_into_no_other(width: int, is_by_token: bool) -> None:
    prefix, (key, value) = KVCache(Layout.of_rows(1, width, BLOCK)), torch.randn(2, width, HEADS, SIZE)
    places = prefix.places(torch.zeros(width, dtype=torch.long), torch.arange(width))
    prefix.write(0, places, key, value, is_by_token=is_by_token)
    own = cache()
    own.copy_prefix([3, 0, 1], prefix, width)
    assert own.are_by_token is is_by_token
    for read, wanted in zip(own.read(0, torch.arange(4), LONG), (key, value), strict=True):
        for row in (0, 1, 3):
            assert torch.equal(read[row, :, :width], wanted.transpose(0, 1))
            assert not read[row, :, width:].any()
        assert not read[2].any()


def test_each_layer_of_a_prefix_keeps_its_order_in_memory() -> None:
    """Some models have layers of two head sizes, of which the flash kernel takes one."""
    prefix, (key, value) = cache(1), torch.randn(2, LONG, HEADS, SIZE)
    places = prefix.places(torch.zeros(LONG, dtype=torch.long), torch.arange(LONG))
    for layer in range(3):
        prefix.write(layer, places, key, value, is_by_token=layer < 2)
    own = cache()
    own.copy_prefix([1], prefix, LONG)
    for layer in range(3):
        assert own.keys[layer].transpose(1, 2).is_contiguous() == (layer < 2)
        assert torch.equal(own.read(layer, torch.tensor([1]), LONG)[0][0], key.transpose(0, 1))
    assert not own.are_by_token
