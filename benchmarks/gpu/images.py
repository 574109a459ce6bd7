"""Images of 480x360 and 128 new tokens each, by a vision model of Qwen2.5-VL-7B's shape with random weights."""

from __future__ import annotations

import multiprocessing
import os
import time
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from functools import cached_property, partial
from typing import TYPE_CHECKING

import numpy as np
import torch
from transformers import AutoModelForImageTextToText, Qwen2_5_VLConfig

from benchmarks.gpu.answer import answer, device_of, is_dry
from benchmarks.gpu.measured import Measured, greedy, raise_errors
from benchmarks.gpu.pictures import (
    IMAGE,
    MERGED,
    SIZE,
    VISION_END,
    VISION_START,
    Prepared,
    make_jpegs,
    prepare,
    warm_up,
)
from benchmarks.gpu.shapes import PUBLISHED_IMAGES, TARGET_SECONDS
from relabel.bench.machine import settle
from relabel.engine import Request
from relabel.engine.loading import settle_batching

if TYPE_CHECKING:
    from transformers import PreTrainedModel

NUM_JPEGS, NUM_WARM_UP, CHUNK = 64, 64, 16
MAX_IMAGES = 1024
VISION = {"depth": 32, "hidden_size": 1280, "num_heads": 16, "intermediate_size": 3420, "out_hidden_size": 3584}
VISION |= {"patch_size": 14, "window_size": 112, "fullatt_block_indexes": [7, 15, 23, 31]}
TEXT = {"hidden_size": 3584, "intermediate_size": 18944, "num_hidden_layers": 28, "num_attention_heads": 28}
TEXT |= {"num_key_value_heads": 4, "vocab_size": 152064, "max_position_embeddings": 32768}
TINY_VISION = {"depth": 2, "hidden_size": 32, "num_heads": 2, "intermediate_size": 48, "out_hidden_size": 64}
TINY_VISION |= {"patch_size": 14, "window_size": 112, "fullatt_block_indexes": [1]}
TINY_TEXT = {"hidden_size": 64, "intermediate_size": 128, "num_hidden_layers": 2, "num_attention_heads": 4}
TINY_TEXT |= {"num_key_value_heads": 2, "vocab_size": 512, "max_position_embeddings": 512}


class Images:
    """The model, a pool that decodes, and what is asked of them."""

    def __init__(self, dry: bool) -> None:
        self._dry, self._device = dry, device_of(dry)
        self._new = 4 if dry else 128
        self._jpegs = make_jpegs(4 if dry else NUM_JPEGS, (112, 84) if dry else SIZE)

    @cached_property
    def model(self) -> PreTrainedModel:
        text = TINY_TEXT if self._dry else TEXT
        sections = [2, 3, 3] if self._dry else [16, 24, 24]
        rope = {"rope_type": "default", "mrope_section": sections, "rope_theta": 1e6}
        config = Qwen2_5_VLConfig(
            text_config={**text, "rope_parameters": rope, "pad_token_id": 0, "bos_token_id": 1, "eos_token_id": 2},
            vision_config=TINY_VISION if self._dry else VISION,
            image_token_id=IMAGE,
            video_token_id=6,
            vision_start_token_id=VISION_START,
            vision_end_token_id=VISION_END,
        )
        torch.manual_seed(0)
        with torch.device(self._device):
            return AutoModelForImageTextToText.from_config(config, dtype=torch.bfloat16).eval()

    @cached_property
    def measured(self) -> Measured:
        return Measured(self.model, greedy(self._new))

    @cached_property
    def pool(self) -> ProcessPoolExecutor:
        """One process a core; each has imported what it needs."""
        workers = 1 if self._dry else max(1, len(os.sched_getaffinity(0)) - 1)
        # a copy of this process would share its CUDA context
        pool = ProcessPoolExecutor(workers, mp_context=multiprocessing.get_context("spawn"))
        list(pool.map(warm_up, range(4 * workers)))
        return pool

    def load(self) -> dict[str, object]:
        return {"parameters": self.model.num_parameters(), "tokens_per_image": len(self._request(0).prompt_ids)}

    def parity(self) -> dict[str, object]:
        """A row with an image in one stream with others, against rows alone."""
        verdict = settle_batching(self.model, "random weights", "auto", self._request(0))
        if verdict.batching != "continuous":
            raise RuntimeError(f"rows are not batched continuously: {'; '.join(verdict.notes)}")
        return {"difference_continuous": verdict.difference}

    def decoding(self) -> dict[str, object]:
        """Images a second of all processes, nothing beside them."""
        pool, workers = self.pool, self.pool._max_workers
        started = time.perf_counter()
        list(pool.map(prepare, self._chunks(workers * CHUNK)))
        rate = workers * CHUNK / (time.perf_counter() - started)
        count = CHUNK if self._dry else max(workers * CHUNK, int(rate * TARGET_SECONDS / 4))
        started = time.perf_counter()
        list(pool.map(prepare, self._chunks(count)))
        seconds = time.perf_counter() - started
        return {"processes": workers, "images": count, "images_per_second": count / seconds}

    def engine(self) -> dict[str, object]:
        """Images that were decoded before."""
        count = self._count()
        requests = [self._request(row) for row in range(count)]
        figures = self.measured.run(requests)
        return {"images_per_second": figures["rows_per_second"], **figures, **PUBLISHED_IMAGES}

    def beside(self) -> dict[str, object]:
        """Each chunk goes to the engine as soon as a process has decoded it, as in a job."""
        count = self._count()
        chunks = self._chunks(count)

        def label(number: int) -> int:
            made = waiting[number].result()
            requests = [self._as_request(number * CHUNK + at, one) for at, one in enumerate(made)]
            raise_errors(self.measured.engine.generate(requests))
            return len(requests)

        pool = self.pool
        settle(self._device)
        started = time.perf_counter()
        waiting = [pool.submit(prepare, chunk) for chunk in chunks]
        with ThreadPoolExecutor(64) as threads:
            done = sum(threads.map(label, range(len(chunks))))
        return {"images": done, "images_per_second": done / (time.perf_counter() - started)}

    def _count(self) -> int:
        """As many as the engine makes in the time there is, by how long a few take."""
        if self._dry:
            return 4
        requests = [self._request(row) for row in range(NUM_WARM_UP)]
        self.measured.run(requests)
        rate = float(str(self.measured.run(requests)["rows_per_second"]))
        return int(min(MAX_IMAGES, max(NUM_WARM_UP, 2 * rate * TARGET_SECONDS / 2)))

    def _chunks(self, count: int) -> list[list[bytes]]:
        jpegs = [self._jpegs[row % len(self._jpegs)] for row in range(count)]
        return [jpegs[at : at + CHUNK] for at in range(0, count, CHUNK)]

    @cached_property
    def _prepared(self) -> list[Prepared]:
        return prepare(self._jpegs)

    def _request(self, row: int) -> Request:
        return self._as_request(row, self._prepared[row % len(self._prepared)])

    @staticmethod
    def _as_request(row: int, made: Prepared) -> Request:
        """The image, and a few words that differ from row to row."""
        num_tokens = int(np.prod(made.image_grid_thw)) // MERGED
        words = [10 + (row * 7 + at) % 400 for at in range(20)]
        ids = [words[0], VISION_START, *[IMAGE] * num_tokens, VISION_END, *words[1:]]
        types = np.array([[int(token == IMAGE) for token in ids]])
        tensors = {"pixel_values": made.pixel_values, "image_grid_thw": made.image_grid_thw, "mm_token_type_ids": types}
        if made.pixel_norm is not None:
            tensors["pixel_norm"] = made.pixel_norm
        return Request(id=row, prompt_ids=ids, tensors=tensors)


def main() -> None:
    images = Images(is_dry())
    measures = {name: partial(getattr(images, name)) for name in ("load", "parity", "decoding", "engine")}
    answer({**measures, "engine beside decoding": images.beside})


if __name__ == "__main__":
    main()
