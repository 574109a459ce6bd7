"""Rows of different shapes become one batch, each family's tensors in the layout its models read."""

from __future__ import annotations

import numpy as np
import torch

from relabel.engine import Request
from relabel.engine.model.collate import collate

CPU = torch.device("cpu")


def row(length: int, **tensors: np.ndarray) -> Request:
    return Request(id=0, prompt_ids=[5] * length, tensors=tensors)


def ones(*shape: int) -> np.ndarray:
    return np.ones(shape, np.float32)


def test_prompts_and_token_types_are_padded_on_the_left() -> None:
    batch = collate([row(3), row(2, mm_token_type_ids=np.array([[0, 1]]))], 9, CPU)
    assert batch["input_ids"].tolist() == [[5, 5, 5], [9, 5, 5]]
    assert batch["attention_mask"].tolist() == [[1, 1, 1], [0, 1, 1]]
    assert batch["mm_token_type_ids"].tolist() == [[0, 0, 0], [0, 0, 1]]


def test_rows_without_images_bring_no_image_tensors() -> None:
    assert set(collate([row(3), row(2)], 0, CPU)) == {"input_ids", "attention_mask"}


def test_llava_and_qwen_line_images_up_in_the_order_of_rows() -> None:
    batch = collate([row(1), row(1, pixel_values=ones(2, 3, 4, 4)), row(1, pixel_values=2 * ones(1, 3, 4, 4))], 0, CPU)
    assert batch["pixel_values"][:, 0, 0, 0].tolist() == [1, 1, 2]
    qwen = [row(1, pixel_values=ones(n, 12), image_grid_thw=np.array([[1, 2, n // 2]])) for n in (4, 8)]
    batch = collate(qwen, 0, CPU)
    assert batch["pixel_values"].shape == (12, 12)
    assert batch["image_grid_thw"].tolist() == [[1, 2, 2], [1, 2, 4]]


def test_smolvlm_rows_are_filled_up_with_zero_images_and_zero_masks() -> None:
    first = row(1, pixel_values=ones(1, 2, 3, 4, 4), pixel_attention_mask=np.ones((1, 2, 4, 4), np.int64))
    second = row(1, pixel_values=ones(1, 1, 3, 4, 8), pixel_attention_mask=np.ones((1, 1, 4, 8), np.int64))
    batch = collate([row(1), first, second], 0, CPU)
    assert batch["pixel_values"].shape == (3, 2, 3, 4, 8)
    assert batch["pixel_attention_mask"].shape == (3, 2, 4, 8)
    assert batch["pixel_attention_mask"].sum((2, 3)).tolist() == [[0, 0], [16, 16], [32, 0]]
    assert torch.equal(batch["pixel_values"][:, :, 0], batch["pixel_attention_mask"].float())


def test_llava_next_fills_up_patches_within_an_image() -> None:
    rows = [
        row(1, pixel_values=ones(1, patches, 3, 4, 4), image_sizes=np.array([[4, 4 * patches]])) for patches in (3, 5)
    ]
    batch = collate(rows, 0, CPU)
    assert batch["pixel_values"].shape == (2, 5, 3, 4, 4)
    assert batch["pixel_values"][0, 3:].abs().sum() == 0
    assert batch["image_sizes"].tolist() == [[4, 12], [4, 20]]


def test_bytes_become_pixels_before_padding_so_that_padding_is_zero() -> None:
    norm = np.array([[0.5] * 3, [0.25] * 3], np.float32)
    one = row(1, pixel_values=np.full((1, 1, 3, 2, 2), 255, np.uint8), pixel_norm=norm)
    two = row(1, pixel_values=np.full((1, 2, 3, 2, 2), 255, np.uint8), pixel_norm=norm)
    batch = collate([one, two], 0, CPU)
    assert "pixel_norm" not in batch
    assert batch["pixel_values"][:, :, 0, 0, 0].tolist() == [[2.0, 0.0], [2.0, 2.0]]
