"""Decoded rows attend to their own tokens, wherever their blocks lie and however unequal their lengths."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from relabel.engine.runner.decode_attention import plan_decode_attention
from relabel.engine.runner.draft_attention import plan_draft_attention
from relabel.engine.runner.kv_cache import KVCache
from relabel.engine.runner.softmax import Softmax
from relabel.engine.scheduling.step import Layout, TakenBlock

BLOCK = 16
HEADS, GROUPS, SIZE, LONG, NUM_SLOTS = 2, 3, 4, 7 * BLOCK + 5, 24
rows = st.lists(
    st.tuples(st.integers(0, NUM_SLOTS - 1), st.integers(0, LONG - 1)),
    min_size=1,
    max_size=NUM_SLOTS,
    unique_by=lambda row: row[0],
)


def plain(
    q_HGD: torch.Tensor, keys_HWD: torch.Tensor, values_HWD: torch.Tensor, window: int | None, softmax: Softmax
) -> torch.Tensor:
    """One row, its newest token at the end, by the textbook."""
    first = max(0, keys_HWD.shape[1] - window) if window else 0
    scores = q_HGD @ keys_HWD[:, first:].transpose(1, 2) * softmax.scale
    if softmax.softcap:
        scores = softmax.softcap * torch.tanh(scores / softmax.softcap)
    top = scores.exp()
    below = top.sum(-1, keepdim=True)
    if softmax.sinks is not None:
        below = below + softmax.sinks.view(HEADS, GROUPS, 1).exp()
    return top / below @ values_HWD[:, first:]


@settings(max_examples=60, deadline=None)
@given(
    rows=rows,
    window=st.sampled_from([None, 1, BLOCK - 3, BLOCK, LONG]),
    kind=st.sampled_from(["", "cap", "sinks"]),
    strewn=st.none() | st.permutations(range(8 * NUM_SLOTS)),
)
def test_each_row_attends_to_its_own_tokens(
    rows: list[tuple[int, int]], window: int | None, kind: str, strewn: list[int] | None
) -> None:
    torch.manual_seed(0)
    slots = KVCache(Layout.of_rows(NUM_SLOTS, LONG, BLOCK))
    if strewn:
        slots.take([TakenBlock(at % NUM_SLOTS, at // NUM_SLOTS, block) for at, block in enumerate(strewn)])
    slots.write(0, slots.places(torch.tensor([0]), torch.tensor([0])), *torch.full((2, 1, HEADS, SIZE), torch.nan))
    slots.keys[0][:] = slots.values[0][:] = torch.nan  # what no row has written must not be met
    for slot, end in rows:
        slots.keys[0][slots.host_tables_SN[slot, : end // BLOCK + 1]] = 0
        slots.values[0][slots.host_tables_SN[slot, : end // BLOCK + 1]] = 0
        places = slots.places(torch.full((end + 1,), slot), torch.arange(end + 1))
        slots.write(0, places, *torch.randn(2, end + 1, HEADS, SIZE))
    sinks = torch.randn(HEADS * GROUPS) if kind == "sinks" else None
    softmax = Softmax(scale=0.7, softcap=2.0 if kind == "cap" else None, sinks=sinks)
    q_NHGD = torch.randn(len(rows), HEADS, GROUPS, SIZE)

    reads = plan_decode_attention(slots, [slot for slot, _ in rows], [end for _, end in rows], window)
    out = reads.attend(slots, 0, q_NHGD, softmax)

    for (slot, end), q_HGD, own in zip(rows, q_NHGD, out, strict=True):
        keys, values = slots.read(0, torch.tensor([slot]), end + 1)
        torch.testing.assert_close(own, plain(q_HGD, keys[0], values[0], window, softmax))


@settings(max_examples=60, deadline=None)
@given(
    rows=rows,
    lengths=st.lists(st.integers(1, 9), min_size=NUM_SLOTS, max_size=NUM_SLOTS),
    window=st.sampled_from([None, 1, BLOCK - 3, LONG]),
    kind=st.sampled_from(["", "cap", "sinks"]),
)
def test_each_token_of_a_draft_attends_to_what_stands_before_it(
    rows: list[tuple[int, int]], lengths: list[int], window: int | None, kind: str
) -> None:
    torch.manual_seed(0)
    slots = KVCache(Layout.of_rows(NUM_SLOTS, LONG, BLOCK))
    for slot in range(NUM_SLOTS):
        places = slots.places(torch.full((LONG,), slot), torch.arange(LONG))
        slots.write(0, places, *torch.randn(2, LONG, HEADS, SIZE))
    sinks = torch.randn(HEADS * GROUPS) if kind == "sinks" else None
    softmax = Softmax(scale=0.7, softcap=2.0 if kind == "cap" else None, sinks=sinks)
    lengths = [min(length, LONG - first) for (_, first), length in zip(rows, lengths, strict=False)]
    q_THD = torch.randn(sum(lengths), HEADS * GROUPS, SIZE)

    reads = plan_draft_attention(slots, [slot for slot, _ in rows], [first for _, first in rows], lengths, window)
    out = iter(reads.attend(slots, 0, q_THD, HEADS, softmax))

    queries = iter(q_THD)
    for (slot, first), length in zip(rows, lengths, strict=True):
        for end in range(first, first + length):
            keys, values = slots.read(0, torch.tensor([slot]), end + 1)
            expected = plain(next(queries).unflatten(0, (HEADS, GROUPS)), keys[0], values[0], window, softmax)
            torch.testing.assert_close(next(out), expected.flatten(0, 1))


def at_home(num_slots: int, num_blocks: int) -> KVCache:
    return KVCache(Layout.of_rows(num_slots, num_blocks * BLOCK, BLOCK))


def num_read(slots: list[int], ends: list[int], window: int | None = None) -> int:
    """Blocks, each as often as it is read."""
    reads = plan_decode_attention(at_home(12, 8), slots, ends, window)
    return sum(
        block.blocks.stop - block.blocks.start if isinstance(block.blocks, slice) else len(block.blocks)
        for batch in reads.batches
        for block in batch.blocks
    )


def test_one_long_row_does_not_make_its_neighbours_long() -> None:
    assert num_read(list(range(8)), [10] * 7 + [4 * BLOCK - 1]) == 8 + 3


@pytest.mark.parametrize("window", [None, 2 * BLOCK])
def test_scores_that_nobody_needs_are_few_however_long_one_row_is(window: int | None) -> None:
    ends = [10] * 40 + [3 * BLOCK] * 2 + [70 * BLOCK, 90 * BLOCK]
    reads = plan_decode_attention(at_home(44, 91), list(range(44)), ends, window)
    made = sum(batch.num_places * batch.bias_P1QW.shape[-1] for batch in reads.batches)
    needed = sum(min(end, window or end) // BLOCK + 1 for end in ends) * BLOCK
    assert len(reads.batches) == 2
    assert made <= 4 * needed


def test_long_rows_side_by_side_are_read_as_they_lie() -> None:
    reads = plan_decode_attention(at_home(8, 2), [0, 1, 2, 3, 5, 7], [10, BLOCK, BLOCK, BLOCK, 10, 10], None)
    assert [block.blocks for batch in reads.batches for block in batch.blocks] == [slice(0, 8), slice(9, 12)]


def test_a_short_row_among_long_ones_does_not_meet_what_is_in_blocks_that_are_not_its_own() -> None:
    reads = plan_decode_attention(at_home(4, 2), [0, 1, 2, 3], [BLOCK, 10, BLOCK, BLOCK], None)
    assert [block.blocks.tolist() for batch in reads.batches for block in batch.blocks[1:]] == [[4, 6, 7]]


def test_a_window_leaves_out_what_no_row_sees() -> None:
    assert num_read([0, 1], [5 * BLOCK, 5 * BLOCK], window=10) == 2 * 2


@pytest.mark.parametrize(("slots", "expected"), [([3, 0], 4), ([9, 0], 2)])
def test_slots_far_apart_are_copied_and_close_ones_read_as_they_lie(slots: list[int], expected: int) -> None:
    assert num_read(slots, [1, 1]) == expected
