"""The continuous engine with one thread and with two, on idle cores and beside a process that keeps one of them busy.

    python benchmarks/threads.py [--rows 192] [--turns 2] [--out benchmarks/results/threads.json]

Each measure is a process of its own: the ragged prompts and the small model of `relabel bench`, bfloat16, generated
once to warm up and then three times; rows a second by the clock, the median of these. Needs two cores that nobody else
is at. The last line on stdout is one line of JSON, with the rates and ratios of each turn.
"""

import importlib.metadata
import json
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import Annotated

import torch
import typer

from relabel.bench.contenders import by_engine
from relabel.bench.model import Model
from relabel.bench.workload import make_workload
from relabel.engine import Sampling
from relabel.engine.loading import make_engine, settle_batching

PACKAGES = ("torch", "transformers")
BUSY = "while True: pass"


def rows_per_second(rows: int) -> float:
    """With as many threads as torch begins with in this process."""
    model = Model.load(None, torch.bfloat16, torch.device("cpu"))
    work = make_workload("ragged", rows, model.own.config.vocab_size)
    sampling = Sampling(max_new_tokens=work.new_tokens, stop_token_ids=work.stop)
    engine = make_engine(model.own, None, sampling, settle_batching(model.own, "the model", "continuous"))
    by_engine(engine, work.prompts)
    seconds: list[float] = []
    for _ in range(3):
        started = time.perf_counter()
        by_engine(engine, work.prompts)
        seconds.append(time.perf_counter() - started)
    return rows / statistics.median(seconds)


def measured(num_threads: int, rows: int) -> float:
    """The same of a process with so many threads."""
    command = [sys.executable, __file__, "--rows", str(rows), "--here"]
    environment = {**os.environ, "OMP_NUM_THREADS": str(num_threads)}
    return float(
        subprocess.run(command, env=environment, check=True, capture_output=True, text=True).stdout.split()[-1]
    )


@contextmanager
def neighbour() -> Iterator[None]:
    process = subprocess.Popen([sys.executable, "-c", BUSY])
    try:
        yield
    finally:
        process.kill()
        process.wait()


def main(
    rows: int = 192, turns: int = 2, here: bool = False, out: Annotated[Path | None, typer.Option()] = None
) -> None:
    if here:
        print(rows_per_second(rows))
        return
    found: dict[str, list[float]] = {}
    for _ in range(turns):
        for name, beside in (("idle", nullcontext), ("beside_a_busy_process", neighbour)):
            for num_threads in (1, 2):
                with beside():
                    found.setdefault(f"{name}_{num_threads}", []).append(measured(num_threads, rows))
                print(name, num_threads, round(found[f"{name}_{num_threads}"][-1], 1), flush=True)
    ratios = {
        name: [round(two / one, 2) for one, two in zip(found[f"{name}_1"], found[f"{name}_2"], strict=True)]
        for name in ("idle", "beside_a_busy_process")
    }
    figures = {
        "rows": rows,
        "rows_per_second": {name: [round(rate, 1) for rate in rates] for name, rates in found.items()},
        "two_over_one": ratios,
        "cores": os.cpu_count(),
        "versions": {name: importlib.metadata.version(name) for name in PACKAGES},
    }
    if out:
        out.write_text(json.dumps(figures, indent=2) + "\n")
    print(json.dumps(figures))


if __name__ == "__main__":
    typer.run(main)
