"""The KV cache keeps what is written, across its blocks, and a slot begins with just what it was given."""

from __future__ import annotations

import pytest
import torch

from relabel.engine.runner.kv_cache import BLOCK, KVCache, SlotMapping
from relabel.engine.scheduling.step import Layout

HEADS, SIZE, LONG = 2, 4, 2 * BLOCK + 10
EDGES = [1, BLOCK - 1, BLOCK, BLOCK + 1, 2 * BLOCK, LONG]


def filled(num_slots: int = 3) -> tuple[KVCache, torch.Tensor, torch.Tensor]:
    """A cache whose every position holds other numbers, and the keys and values [slots, heads, LONG, size] in them."""
    slots = KVCache(Layout(num_slots, LONG))
    keys, values = torch.randn(2, num_slots, HEADS, LONG, SIZE)
    where = torch.cartesian_prod(torch.arange(num_slots), torch.arange(LONG))
    order = torch.randperm(len(where))
    slots_T, positions_T = where[order].unbind(1)
    places = SlotMapping.of(slots_T, positions_T)
    slots.write(0, places, keys[slots_T, :, positions_T], values[slots_T, :, positions_T])
    return slots, keys, values


@pytest.mark.parametrize("width", EDGES)
def test_what_is_written_in_any_order_is_read_in_order(width: int) -> None:
    slots, keys, values = filled()
    read_keys, read_values = slots.read(0, torch.tensor([2, 0]), width)
    assert torch.equal(read_keys, keys[[2, 0], :, :width])
    assert torch.equal(read_values, values[[2, 0], :, :width])


@pytest.mark.parametrize("width", EDGES)
def test_a_slot_begins_with_the_first_tokens_of_another_and_nothing_else(width: int) -> None:
    slots, keys, values = filled()
    slots.copy(0, 1, width)
    for read, whole in zip(slots.read(0, torch.tensor([1]), LONG), (keys, values), strict=True):
        assert torch.equal(read[0, :, :width], whole[0, :, :width])
        assert not read[0, :, width:].any()
    assert torch.equal(slots.read(0, torch.tensor([2]), LONG)[0], keys[2:])


@pytest.mark.parametrize("width", EDGES)
def test_a_slot_keeps_the_first_of_its_own_tokens(width: int) -> None:
    slots, keys, _ = filled()
    slots.copy(1, 1, width)
    read, _ = slots.read(0, torch.tensor([1]), LONG)
    assert torch.equal(read[0, :, :width], keys[1, :, :width])
    assert not read[0, :, width:].any()


@pytest.mark.parametrize("width", EDGES)
def test_a_prefix_is_copied_into_a_cleared_slot(width: int) -> None:
    prefix, prefix_keys, _ = filled(1)
    slots, keys, _ = filled()
    slots.clear([1])
    slots.copy_prefix([1], prefix, width)
    read, _ = slots.read(0, torch.tensor([1]), LONG)
    assert torch.equal(read[0, :, :width], prefix_keys[0, :, :width])
    assert not read[0, :, width:].any()
    assert torch.equal(slots.read(0, torch.tensor([0]), LONG)[0], keys[:1])


@pytest.mark.parametrize("is_by_slot", [False, True])
def test_a_prefix_is_copied_into_slots_in_any_order_and_into_no_other(is_by_slot: bool) -> None:
    prefix, (key, value) = KVCache(Layout(1, LONG)), torch.randn(2, LONG, 2, 4)
    places = SlotMapping.of(torch.zeros(LONG, dtype=torch.long), torch.arange(LONG))
    prefix.write(0, places, key, value, is_by_slot=is_by_slot)
    slots, width = KVCache(Layout(8, LONG)), BLOCK + 7
    slots.copy_prefix([6, 1, 5, 2, 0], prefix, width)
    keys, values = slots.read(0, torch.arange(8), LONG)
    for slot in range(8):
        expected = (key, value) if slot in (0, 1, 2, 5, 6) else (torch.zeros(LONG, 2, 4),) * 2
        for read, wanted in zip((keys, values), expected, strict=True):
            assert torch.equal(read[slot, :, :width], wanted[:width].transpose(0, 1))
            assert not read[slot, :, width:].any()


def test_a_prefix_may_come_before_anything_was_written() -> None:
    prefix, prefix_keys, _ = filled(1)
    slots = KVCache(Layout(2, LONG))
    slots.copy_prefix([1], prefix, BLOCK + 1)
    assert torch.equal(slots.read(0, torch.tensor([1]), BLOCK + 1)[0], prefix_keys[:, :, : BLOCK + 1])


def test_each_layer_of_a_prefix_keeps_its_order_in_memory() -> None:
    """Some models have layers of two head sizes, of which the flash kernel takes one."""
    prefix, (key, value) = KVCache(Layout(1, LONG)), torch.randn(2, LONG, 2, 4)
    places = SlotMapping.of(torch.zeros(LONG, dtype=torch.long), torch.arange(LONG))
    for layer in range(3):
        prefix.write(layer, places, key, value, is_by_slot=layer < 2)
    slots = KVCache(Layout(4, LONG))
    slots.copy_prefix([1], prefix, LONG)
    for layer in range(3):
        by_slot = slots.keys[layer].permute(1, 0, 3, 2, 4)
        assert by_slot.is_contiguous() == (layer < 2)
        assert torch.equal(slots.read(layer, torch.tensor([1]), LONG)[0][0], key.transpose(0, 1))
    assert not slots.are_by_slot
