"""Texts of an 8B model with random weights: shapes of equal rows, other ways beside them, and where time goes."""

from __future__ import annotations

import time
from collections.abc import Mapping
from functools import cached_property, partial
from typing import TYPE_CHECKING

import torch

from benchmarks.gpu.answer import Measure, answer, device_of, is_dry
from benchmarks.gpu.measured import NUM_WARM_UP, Measured, Rates, greedy, num_rows, raise_errors, requests_of
from benchmarks.gpu.profiled import profiled
from benchmarks.gpu.shapes import DRY_ROWS, NEVER, PUBLISHED, Workload, model_shape, workload_of
from relabel.bench.contenders import padded
from relabel.bench.machine import settle
from relabel.bench.model import random_llama
from relabel.bench.work import Row
from relabel.bench.workload import make_workload
from relabel.engine import Request, Sampling, StaticEngine
from relabel.engine.loading import settle_batching

if TYPE_CHECKING:
    from transformers import PreTrainedModel

FIRST = "300/50"
SHAPES = (FIRST, "128/128", "1024/128", "512+128/128", "256/128", "256/1024")
NUM_STATIC, NUM_ALONE, NUM_RAGGED = 512, 4, 2048
SAMPLED = {"temperature": 0.8, "top_p": 0.9}


class Text:
    """The model, and what is asked of it."""

    def __init__(self, dry: bool) -> None:
        self._dry, self._device = dry, device_of(dry)

    @cached_property
    def model(self) -> PreTrainedModel:
        return random_llama(model_shape(self._dry), torch.bfloat16, self._device)

    @cached_property
    def rates(self) -> Rates:
        return Rates.of(self.model)

    def load(self) -> dict[str, object]:
        size = self.rates.size
        return {
            "weight_bytes": size.weight_bytes,
            "kv_bytes_per_token": size.kv_bytes,
            "tflops_per_second": self.rates.flops_per_second / 1e12,
        }

    def parity(self) -> dict[str, object]:
        """The check at start-up, which compares both engines' logits with those of rows alone."""
        verdict = settle_batching(self.model, "random weights", "auto")
        static = settle_batching(self.model, "random weights", "static")
        if verdict.batching != "continuous":
            raise RuntimeError(f"rows are not batched continuously: {'; '.join(verdict.notes)}")
        return {"difference_continuous": verdict.difference, "difference_static": static.difference}

    def shape(self, name: str, **sampling: float) -> dict[str, object]:
        """Rows of one shape through the continuous engine, from the first to the last."""
        workload = workload_of(name, self._dry)
        measured = Measured(self.model, greedy(workload.new, **sampling), DRY_ROWS // 2 if self._dry else None)
        slots = min(measured.limits.num_slots, measured.limits.kv_tokens // workload.most)
        row = Row(workload.prompt, workload.new)
        count = (
            DRY_ROWS
            if self._dry
            else num_rows(self.rates, row, partial(self._warm, measured, name), slots, self._share(name))
        )
        figures = measured.run(requests_of(workload.prompts(count, self._vocab_size)))
        least, seconds = self.rates.seconds([row] * count, slots), figures["seconds"]
        share = None if least is None else least / float(str(seconds))
        return {"slots": slots, **figures, "share_of_roofline": share, **PUBLISHED.get(name, {})}

    def ragged(self) -> dict[str, object]:
        """The ragged workload of `relabel bench`: many tokens end a row."""
        workload = make_workload("ragged", DRY_ROWS if self._dry else NUM_RAGGED, self._vocab_size)
        sampling = Sampling(max_new_tokens=workload.new_tokens, stop_token_ids=workload.stop)
        measured = Measured(self.model, sampling)
        measured.run(requests_of(workload.prompts[:NUM_WARM_UP]))
        return measured.run(requests_of(workload.prompts))

    def static(self) -> dict[str, object]:
        """Padded batches, which are not padded here: all rows are of one length."""
        workload = workload_of(FIRST, self._dry)
        prompts = workload.prompts(DRY_ROWS if self._dry else NUM_STATIC, self._vocab_size)
        engine = StaticEngine(self.model, None, greedy(workload.new))
        raise_errors(engine.generate(requests_of(prompts[:2])))
        settle(self._device)
        started = time.perf_counter()
        raise_errors(engine.generate(requests_of(prompts)))
        settle(self._device)
        seconds = time.perf_counter() - started
        batches = {"batches": engine.goodput.num_batches, "num_out_of_memory": engine.goodput.num_out_of_memory}
        return {**self._rate(len(prompts), workload.new, seconds), **batches}

    def one_by_one(self) -> dict[str, object]:
        """`generate` of transformers."""
        workload = workload_of(FIRST, self._dry)
        prompts = workload.prompts(NUM_ALONE, self._vocab_size)
        run = partial(padded, self.model, stop=NEVER, new_tokens=workload.new, batch_size=1)
        run(prompts[:1])
        settle(self._device)
        started = time.perf_counter()
        run(prompts)
        settle(self._device)
        return self._rate(len(prompts), workload.new, time.perf_counter() - started)

    def decode(self) -> dict[str, object]:
        """Steps that decode alone: what they take, of which kernels, and how far from the roofline."""
        workload = workload_of("300/50" if self._dry else "300/256", self._dry)
        measured, requests = self._full(workload)
        ramp, timed = -(-len(requests) * workload.prompt // measured.limits.step_tokens), 30
        found = profiled(measured.engine, requests, after=ramp + 8, timed=timed)
        context, size, share = workload.prompt + ramp // 2 + 8 + timed // 2, self.rates.size, None
        if (bandwidth := self.rates.bytes_per_second) is not None:
            flops = size.flops(len(requests), len(requests)) / self.rates.flops_per_second
            moved = (size.weight_bytes + size.kv_bytes * len(requests) * context) / bandwidth
            share = _share(max(flops, moved), found)
        return {"rows": len(requests), "context": context, "share_of_roofline": share, **found, **_replays(measured)}

    def mixed(self) -> dict[str, object]:
        """The first steps of many rows, each full of prompts, beside more and more rows that decode."""
        measured, requests = self._full(workload_of("600/50", self._dry))
        found = profiled(measured.engine, requests, after=2, timed=4)
        tokens = measured.limits.step_tokens
        share = None if self._dry else _share(2 * self.rates.size.body * tokens / self.rates.flops_per_second, found)
        return {"rows": len(requests), "step_tokens": tokens, "share_of_roofline": share, **found, **_replays(measured)}

    def _full(self, workload: Workload) -> tuple[Measured, list[Request]]:
        """An engine, and a row for each of its slots."""
        measured = Measured(self.model, greedy(workload.new))
        slots = DRY_ROWS if self._dry else measured.limits.num_slots
        return measured, requests_of(workload.prompts(slots, self._vocab_size))

    @property
    def _vocab_size(self) -> int:
        return model_shape(self._dry)["vocab_size"]

    def _warm(self, measured: Measured, name: str) -> float:
        """Seconds of a few rows, the second time: graphs of that many are there."""
        workload = workload_of(name, self._dry)
        sampling = greedy(max(2, int(workload.new * self._share(name))))
        prompts = workload.prompts(NUM_WARM_UP, self._vocab_size, seed=1)
        requests = [Request(id=row, prompt_ids=prompt, sampling=sampling) for row, prompt in enumerate(prompts)]
        measured.run(requests)
        return float(str(measured.run(requests)["seconds"]))

    def _share(self, name: str) -> float:
        return min(1.0, 64 / workload_of(name, self._dry).new)

    @staticmethod
    def _rate(rows: int, new: int, seconds: float) -> dict[str, object]:
        return {
            "rows": rows,
            "seconds": round(seconds, 3),
            "rows_per_second": rows / seconds,
            "output_tokens_per_second": rows * new / seconds,
        }


def _share(least_seconds: float, found: Mapping[str, object]) -> float | None:
    """Of the roofline, by the steps that were timed."""
    step = found["ms_per_step"]
    return 1000 * least_seconds / step if isinstance(step, float) else None


def _replays(measured: Measured) -> dict[str, object]:
    counted = measured.counted
    return {} if counted is None else {"replays": counted.num_replays, "not_captured": counted.refused}


def main() -> None:
    text = Text(is_dry())
    measures: dict[str, Measure] = {
        "load": text.load,
        "parity": text.parity,
        "static 300/50": text.static,
        "one by one 300/50": text.one_by_one,
        "decode": text.decode,
        "mixed": text.mixed,
        "ragged": text.ragged,
        "128/128 top-p": partial(text.shape, "128/128", **SAMPLED),
    }
    measures |= {name: partial(text.shape, name) for name in SHAPES}
    answer(measures)


if __name__ == "__main__":
    main()
