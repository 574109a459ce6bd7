"""How much of the bare engine's speed is left when the same rows go through the whole job.

Draws the demo's dataset, encodes it once, and in one run measures token positions a second (prompt and text of finished
rows, the same rows for both) of
  bare   the engine alone over the encoded units, one thread
  beside the same, while another process keeps a second core busy with what the job's readers do: what is lost there is
         lost to caches and clocks that the cores share, and by no job to be had back
  job    the Ray job over the dataset, one actor of one thread: from when the first part is out, so that starting Ray,
         the stages and the model is not counted, and every wait of the engine is

    OMP_NUM_THREADS=1 python benchmarks/job_overhead.py [--rows 8000] [--out benchmarks/results/job_overhead.json]

The last line on stdout is one line of JSON.
"""

import importlib.metadata
import json
import multiprocessing
import os
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated

import torch
import typer

from relabel.data.store.store import Store
from relabel.demo import write_dataset
from relabel.demo.run import demo_spec
from relabel.demo.task import Task
from relabel.job.cluster.execute import OnRay
from relabel.job.course import Course
from relabel.job.engine import engine_of
from relabel.job.prepare import prepare, resolve
from relabel.job.stages.generate import generate_unit
from relabel.job.stages.read import encode_unit
from relabel.spec import Spec

PACKAGES = ("ray", "torch", "transformers")


def bare_tokens_per_second(spec: Spec) -> float:
    """The engine alone, unit by unit, on rows that are encoded already; one unit first to warm up."""
    resolved = resolve(spec, {})
    plan = resolved.plan(None)
    job = resolved.job(plan.columns)
    blocks = [encode_unit(unit, resolved.encoder, job) for unit in plan.units]
    engine = engine_of(resolved.spec)
    generate_unit(blocks[0], engine, job)
    before, started = engine.goodput.useful_tokens, time.perf_counter()
    for block in blocks:
        generate_unit(block, engine, job)
    return (engine.goodput.useful_tokens - before) / (time.perf_counter() - started)


@contextmanager
def beside_readers(spec: Spec) -> Iterator[None]:
    """Another process reads and encodes the units, over and over."""
    process = multiprocessing.get_context("spawn").Process(target=read_on, args=(spec,), daemon=True)
    process.start()
    try:
        yield
    finally:
        process.terminate()
        process.join()


def read_on(spec: Spec) -> None:
    torch.set_num_threads(1)
    resolved = resolve(spec, {})
    plan = resolved.plan(None)
    job = resolved.job(plan.columns)
    while True:
        for unit in plan.units:
            encode_unit(unit, resolved.encoder, job)


class Timed:
    """The engine of an actor, which notes beside the output how far it was whenever a call began or ended."""

    def __init__(self, spec: Spec) -> None:
        torch.set_num_threads(1)
        self._engine = engine_of(spec)
        self.verdict, self.goodput = self._engine.verdict, self._engine.goodput
        self.sampling, self.end_token, self.prepare = (
            self._engine.sampling,
            self._engine.end_token,
            self._engine.prepare,
        )
        self._notes = Path(f"{spec.output.path}.times")

    def generate(self, requests):
        self._note()
        results = self._engine.generate(requests)
        self._note()
        return results

    def _note(self) -> None:
        goodput = self.goodput
        with self._notes.open("a") as notes:
            notes.write(f"{time.time()} {goodput.useful_tokens} {goodput.seconds} {time.process_time()}\n")


def job_tokens_per_second(spec: Spec) -> tuple[float, float, float]:
    """The rate since the first part was out, when the processes of every stage were up; the share of that time that
    the engine was at work, not waiting; and the share that its process was on a core."""
    job, plan, _ = prepare(spec, Store(spec.output.path))
    all_up = None
    with OnRay("local", load=Timed)(list(plan.units), job, num_rows=plan.num_rows, course=Course()) as receipts:
        for receipt in receipts:
            assert receipt.failure is None, receipt
            all_up = all_up or time.time()
    lines = Path(f"{spec.output.path}.times").read_text().splitlines()
    notes = [note for note in sorted([float(word) for word in line.split()] for line in lines) if note[0] >= all_up]
    seconds, tokens, at_work, on_core = (last - first for first, last in zip(notes[0], notes[-1], strict=True))
    return tokens / seconds, at_work / seconds, on_core / seconds


def main(rows: int = 8000, out: Annotated[Path | None, typer.Option()] = None) -> None:
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as folder:
        spec = demo_spec(Task.caption, Path(folder))
        write_dataset(Path(folder) / "data", rows)
        before = bare_tokens_per_second(spec)
        job, busy, on_core = job_tokens_per_second(spec)
        after = bare_tokens_per_second(spec)
        with beside_readers(spec):
            beside = bare_tokens_per_second(spec)
    bare = (before + after) / 2
    figures = {
        "rows": rows,
        "bare_tokens_per_second": round(bare),
        "bare_before_and_after": [round(before), round(after)],
        "job_tokens_per_second": round(job),
        "job_over_bare": round(job / bare, 3),
        "bare_beside_readers_tokens_per_second": round(beside),
        "job_over_bare_beside_readers": round(job / beside, 3),
        "engine_busy": round(busy, 3),
        "engine_on_a_core": round(on_core, 3),
        "cores": os.cpu_count(),
        "versions": {name: importlib.metadata.version(name) for name in PACKAGES},
    }
    if out:
        out.write_text(json.dumps(figures, indent=2) + "\n")
    print(json.dumps(figures))


if __name__ == "__main__":
    typer.run(main)
