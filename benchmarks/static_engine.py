"""The static engine beside what transformers' `generate` gives one row at a time and in left-padded batches of 64.

Everything in one process on one core, in turns, so that a ratio compares like with like; the figures that count are the
ratios. Times are of the processor (`time.process_time`), which another program on the machine disturbs less than the
clock on the wall; both are stored.

Use: OMP_NUM_THREADS=1 python benchmarks/static_engine.py [--rows 256] [--turns 3] [--dtype auto] [--out FILE]
"""

from __future__ import annotations

import argparse
import json
import platform
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
import transformers
from bench_model import write_model
from workload import MAX_NEW_TOKENS, make_workload

from relabel.engine import Request, Sampling, load_engine

NUM_ALONE = 48
"""Rows for one at a time, which is the slowest way."""


def cpu_computes_bfloat16() -> bool:
    """Without these instructions bfloat16 is emulated, slower than float32, and batching gains nothing."""
    try:
        flags = Path("/proc/cpuinfo").read_text()
    except OSError:
        return platform.machine() == "arm64"
    return any(flag in flags for flag in ("avx512_bf16", "amx_bf16", "bf16"))


@torch.inference_mode()
def generate_padded(model: Any, prompts: list[list[int]], stop: list[int], batch_size: int) -> None:
    """The usual way: batches of neighbours by length, padded on the left."""
    ordered = sorted(prompts, key=len)
    for first in range(0, len(ordered), batch_size):
        batch = ordered[first : first + batch_size]
        width = max(map(len, batch))
        ids = torch.tensor([[0] * (width - len(prompt)) + prompt for prompt in batch])
        mask = torch.tensor([[0] * (width - len(prompt)) + [1] * len(prompt) for prompt in batch])
        model.generate(
            ids,
            attention_mask=mask,
            max_new_tokens=MAX_NEW_TOKENS,
            do_sample=False,
            eos_token_id=stop,
            pad_token_id=0,
        )


def measure(num_rows: int, run: Callable[[], object]) -> dict[str, float]:
    wall, cpu = time.perf_counter(), time.process_time()
    run()
    return {"wall": num_rows / (time.perf_counter() - wall), "cpu": num_rows / (time.process_time() - cpu)}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rows", type=int, default=256)
    parser.add_argument("--turns", type=int, default=3)
    parser.add_argument("--dtype", default="auto", help="auto: bfloat16 where the processor computes it, else float32")
    parser.add_argument("--out", type=Path)
    args = parser.parse_args()
    torch.set_num_threads(1)
    dtype = args.dtype if args.dtype != "auto" else "bfloat16" if cpu_computes_bfloat16() else "float32"

    prompts, stop = make_workload(args.rows)
    requests = [Request(id=row, prompt_ids=prompt) for row, prompt in enumerate(prompts)]
    sampling = Sampling(max_new_tokens=MAX_NEW_TOKENS, stop_token_ids=stop)
    with tempfile.TemporaryDirectory() as folder:
        write_model(folder)
        engine = load_engine(folder, dtype=dtype, sampling=sampling)
        model = transformers.AutoModelForCausalLM.from_pretrained(folder, dtype=getattr(torch, dtype))

    alone = prompts[:NUM_ALONE]
    contenders: dict[str, tuple[int, Callable[[], object]]] = {
        "one_by_one": (len(alone), lambda: generate_padded(model, alone, stop, 1)),
        "padded_64_by_length": (len(prompts), lambda: generate_padded(model, prompts, stop, 64)),
        "static": (len(prompts), lambda: engine.generate(requests)),
    }
    generate_padded(model, prompts[:8], stop, 8)
    engine.generate(requests[:8])
    turns: list[dict[str, dict[str, float]]] = []
    for _ in range(args.turns):
        turns.append({name: measure(num_rows, run) for name, (num_rows, run) in contenders.items()})
        print(json.dumps(turns[-1]), flush=True)

    def ratio(clock: str, name: str) -> float:
        return round(statistics.median(turn["static"][clock] / turn[name][clock] for turn in turns), 3)

    figures = {
        "benchmark": "static_engine",
        "rows": args.rows,
        "turns": args.turns,
        "dtype": dtype,
        "cpu_computes_bfloat16": cpu_computes_bfloat16(),
        "torch": torch.__version__,
        "transformers": transformers.__version__,
        "python": platform.python_version(),
        "rows_per_cpu_second": {
            name: round(statistics.median(turn[name]["cpu"] for turn in turns), 2) for name in contenders
        },
        "rows_per_second": {
            name: round(statistics.median(turn[name]["wall"] for turn in turns), 2) for name in contenders
        },
        "over_padded_64_by_length": ratio("cpu", "padded_64_by_length"),
        "over_one_by_one": ratio("cpu", "one_by_one"),
        "over_padded_64_by_length_wall": ratio("wall", "padded_64_by_length"),
        "over_one_by_one_wall": ratio("wall", "one_by_one"),
    }
    line = json.dumps(figures)
    if args.out:
        args.out.parent.mkdir(parents=True, exist_ok=True)
        args.out.write_text(json.dumps(figures, indent=2) + "\n")
    print(line)


if __name__ == "__main__":
    main()
