"""Pieces of prompts of unequal lengths attend together, each as if it were alone."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F

from relabel.engine.runner.kv_cache import KVCache
from relabel.engine.runner.prefill_attention import by_shape, group_chunks, plan_prefill_attention
from relabel.engine.runner.softmax import Softmax
from relabel.engine.scheduling.step import Layout, PrefillChunk

HEADS, KV_HEADS, SIZE = 4, 2, 8
FIRST = 3
"""Tokens of decoded rows stand before the chunks."""
MIXED = ((0, 5), (0, 7), (0, 7), (0, 20), (10, 4), (10, 6))
LONG = ((0, 300), (0, 310), (0, 400), (70, 360))
"""Of 2**19 scores, the first two take more than half each, the others more than all."""


def chunks_of(*places: tuple[int, int]) -> list[PrefillChunk]:
    """Chunks from a position, of a length, in the order of the stream."""
    chunks = [PrefillChunk(row, row, start, start + length, True) for row, (start, length) in enumerate(places)]
    return sorted(chunks, key=by_shape)


def test_chunks_of_about_one_length_attend_together() -> None:
    groups = group_chunks(chunks_of((0, 9), (0, 64), (0, 5), (0, 7), (0, 60), (16, 7)), FIRST)
    assert [(group.start, group.lengths) for group in groups] == [(0, (5, 7, 9)), (0, (60, 64)), (16, (7,))]
    assert [group.first for group in groups] == [3, 24, 148]
    assert groups[0].slots == (2, 3, 0)


def test_padding_takes_at_most_half_of_the_scores() -> None:
    for group in group_chunks(chunks_of(*((0, length) for length in range(1, 300))), 0):
        assert len(group.lengths) * group.lengths[-1] ** 2 <= 2 * sum(length**2 for length in group.lengths)


def test_no_chunks_are_no_groups() -> None:
    assert group_chunks([], FIRST) == []


@pytest.mark.parametrize("places", [MIXED, LONG], ids=["by products", "some rows at a time, and by the fused kernel"])
@pytest.mark.parametrize("window", [None, 6])
@pytest.mark.parametrize("softcap", [None, 2.0])
def test_each_row_attends_as_if_it_were_alone(
    places: tuple[tuple[int, int], ...], window: int | None, softcap: float | None
) -> None:
    generator = torch.Generator().manual_seed(0)
    chunks = chunks_of(*places)
    cache, softmax = KVCache(Layout(6, 60, 64)), Softmax(scale=0.4, softcap=softcap, sinks=None)
    rows = {chunk.row: [random(num, chunk.end, generator) for num in (HEADS, KV_HEADS, KV_HEADS)] for chunk in chunks}
    for chunk in chunks:
        _, k_HWD, v_HWD = rows[chunk.row]
        positions = torch.arange(chunk.start)
        kept = cache.places(torch.full((chunk.start,), chunk.slot), positions)
        cache.write(0, kept, k_HWD[:, : chunk.start].transpose(0, 1), v_HWD[:, : chunk.start].transpose(0, 1))
    stream = tuple(
        torch.cat(
            [random(num, FIRST, generator), *(rows[chunk.row][at][:, chunk.start : chunk.end] for chunk in chunks)], 1
        )
        for at, num in enumerate((HEADS, KV_HEADS, KV_HEADS))
    )
    groups = [plan_prefill_attention(cache, group, window) for group in group_chunks(chunks, FIRST)]
    found = torch.cat([group.attend(cache, 0, stream, softmax) for group in groups])
    expected = torch.cat([alone(*rows[chunk.row], chunk.start, window, softmax) for chunk in chunks])
    torch.testing.assert_close(found, expected)


def random(num_heads: int, length: int, generator: torch.Generator) -> torch.Tensor:
    return torch.randn(num_heads, length, SIZE, generator=generator)


def alone(
    q_HWD: torch.Tensor, k_HWD: torch.Tensor, v_HWD: torch.Tensor, start: int, window: int | None, softmax: Softmax
) -> torch.Tensor:
    """[tokens from `start` on, heads, head size] of one row, written out."""
    k_HWD, v_HWD = (each.repeat_interleave(HEADS // KV_HEADS, 0) for each in (k_HWD, v_HWD))
    scores_HWW = softmax.scale * q_HWD @ k_HWD.transpose(1, 2)
    if softmax.softcap is not None:
        scores_HWW = softmax.softcap * torch.tanh(scores_HWW / softmax.softcap)
    at_W = torch.arange(q_HWD.shape[1])
    distance_WW = at_W[:, None] - at_W
    hidden_WW = (distance_WW < 0) | (distance_WW >= (window or len(at_W)))
    weights_HWW = F.softmax(scores_HWW.masked_fill(hidden_WW, -torch.inf), dim=-1)
    return (weights_HWW @ v_HWD)[:, start:].transpose(0, 1)
