"""Arithmetic and traffic, on numbers that can be checked by hand."""

from __future__ import annotations

import pytest

from relabel.bench.work import Row, Size, roofline_seconds, rows_of, useful_flops
from tests.engine import models

SIZE = Size(body=100, head=10, weight_bytes=220, kv_bytes=4)


def test_the_size_of_a_model_is_that_of_its_matrices():
    # hidden 32, inner 64, 4 heads and 2 key heads of 8: q and o 1,024 each, k and v 512 each, the MLP 3 times 2,048
    size = Size.of(models.llama())
    assert size.body == 2 * (1024 + 1024 + 512 + 512 + 3 * 2048)
    assert size.head == 128 * 32
    assert size.weight_bytes == (size.body + size.head) * 4
    assert size.kv_bytes == 2 * 2 * 2 * 8 * 4  # keys and values, layers, heads, head size, float32


def test_a_row_that_stopped_early_chose_one_token_more_than_it_kept():
    rows = rows_of([[5, 6, 7], [5], [5, 6]], [[9, 9], [9, 9, 9, 9], []], new_tokens=4)
    assert rows == [Row(prompt=3, chosen=3), Row(prompt=1, chosen=4), Row(prompt=2, chosen=1)]


def test_useful_flops_count_each_position_once_and_the_head_where_a_token_is_chosen():
    # 3 of the prompt and 1 new one through the body, 2 through the head
    assert useful_flops(SIZE, [Row(prompt=3, chosen=2)]) == 2 * (4 * 100 + 2 * 10)


def test_a_step_takes_the_longer_of_its_arithmetic_and_its_traffic():
    rows = [Row(prompt=3, chosen=2)]
    # step 1: 620 FLOPs, 220 + 3 * 4 bytes; step 2: 220 FLOPs, 220 + 4 * 4 bytes
    slow_memory = roofline_seconds(SIZE, rows, flops_per_second=1000, bytes_per_second=100, rows_at_once=8)
    assert slow_memory == pytest.approx(2.32 + 2.36)
    slow_compute = roofline_seconds(SIZE, rows, flops_per_second=100, bytes_per_second=1e9, rows_at_once=8)
    assert slow_compute == pytest.approx(6.2 + 2.2)
    each_its_own = roofline_seconds(SIZE, rows, flops_per_second=200, bytes_per_second=100, rows_at_once=8)
    assert each_its_own == pytest.approx(3.1 + 2.36)


def test_weights_are_read_once_for_all_live_rows():
    rows = [Row(prompt=1, chosen=1)] * 4
    together = roofline_seconds(SIZE, rows, flops_per_second=1e9, bytes_per_second=1, rows_at_once=4)
    assert together == pytest.approx(220 + 4 * 4)
    alone = roofline_seconds(SIZE, rows, flops_per_second=1e9, bytes_per_second=1, rows_at_once=1)
    assert alone == pytest.approx(4 * (220 + 4))


def test_a_row_that_ends_makes_room_at_once():
    rows = [Row(prompt=1, chosen=3), Row(prompt=1, chosen=1), Row(prompt=1, chosen=1)]
    # 3 steps, as many as the longest row needs: the third row is computed in the second
    seconds = roofline_seconds(SIZE, rows, flops_per_second=1e9, bytes_per_second=1, rows_at_once=2)
    assert seconds == pytest.approx(3 * 220 + 4 * (1 + 1) + 4 * (1 + 2) + 4 * 3)
