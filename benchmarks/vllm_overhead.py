"""How much of a bare vLLM's speed is left when the same rows go through the whole job, on a CPU.

The rows, the model and the settings of `relabel bench`, greedy, float32; in one run, each with a vLLM of its own:
  bare   an `AsyncLLM` with relabel's arguments, asked for all rows at once, from token ids to token ids
  job    the Ray job from Parquet to Parquet, one actor
Measured is what a token position (of prompts and texts of rows that ended) costs of the processor, in all processes:
this one, Ray's, readers and publishers, and vLLM's. From when a tenth of them are done until nine tenths are, so that
neither starting nor the last rows, which leave steps half empty, are counted. What vLLM's scheduler takes includes that
it asks without pause whether its worker is done: on a machine that others use, this grows with them.

    OMP_NUM_THREADS=1 python -m benchmarks.vllm_overhead [--rows 2048] [--compiled] [--out FILE]

In the environment of constraints-vllm.txt, on a CPU with Linux. The last line on stdout is one line of JSON.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import multiprocessing
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Annotated

import numpy as np
import typer

from benchmarks.peers.machine import describe
from benchmarks.peers.tasks import Task, bench_task
from benchmarks.peers.watch import Tree
from benchmarks.peers.ways import spec_of
from relabel.bench.model import SMALL
from relabel.bench.workload import RAGGED, make_workload
from relabel.data.store.store import Store
from relabel.job.cluster.connect import LOCAL
from relabel.job.cluster.execute import OnRay
from relabel.job.course import Course
from relabel.job.engine import engine_of
from relabel.job.prepare import prepare
from relabel.spec import Spec, make_spec

LOOK_SECONDS = 0.5
FIRST, LAST = 0.1, 0.9
"""Shares of all token positions."""
UNIT_ROWS = 128
KINDS = {"model": "VLLM::Worker", "scheduler": "VLLM::EngineCore"}
"""Of vLLM's processes, by name; what the others take is that of all but these."""
Notes = list[tuple[float, ...]]
"""Moments, and what was counted up to each."""


@contextlib.contextmanager
def noting(count: Callable[[], tuple[float, ...]], note: Callable[[tuple[float, ...]], object]) -> Iterator[None]:
    """Note the moment and what is counted now and then, as long as the block lasts."""
    over = threading.Event()

    def work() -> None:
        while not over.wait(LOOK_SECONDS):
            note((time.time(), *count()))

    thread = threading.Thread(target=work, daemon=True)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()
        note((time.time(), *count()))


@contextlib.contextmanager
def noting_processors() -> Iterator[Notes]:
    """The processor seconds of this process and all below it, and those of each kind; looking costs are left out."""
    tree, notes = Tree(), Notes()

    def seconds() -> tuple[float, ...]:
        tree.look()
        own = time.process_time() - time.thread_time()
        return own + tree.seconds, *map(tree.seconds_of, KINDS.values())

    with noting(seconds, notes.append):
        yield notes


def costs(tokens: Notes, processors: Notes) -> dict[str, float]:
    """Processor microseconds for each token position in the middle of the work, of all processes and of each kind."""
    moments, counts = np.array(tokens).T
    first, last = (moments[np.searchsorted(counts, share * counts[-1])] for share in (FIRST, LAST))
    done = np.interp([first, last], moments, counts)
    looked, *seconds = np.array(processors).T
    taken = [float(np.diff(np.interp([first, last], looked, column))[0]) for column in seconds]
    each = dict(zip(("all", *KINDS), taken, strict=True))
    each["others"] = each["all"] - sum(each[kind] for kind in KINDS)
    return {kind: round(1e6 * value / float(done[1] - done[0]), 1) for kind, value in each.items()}


def bare(task: Task, fields: dict[str, object], prompts: Sequence[Sequence[int]], out: str) -> None:
    """Write the costs of an `AsyncLLM`, in a process of its own."""
    from vllm import AsyncEngineArgs, SamplingParams
    from vllm.inputs.engine import tokens_input
    from vllm.sampling_params import RequestOutputKind
    from vllm.v1.engine.async_llm import AsyncLLM

    from relabel.engine.vllm.arguments import arguments, environment
    from relabel.job.engines.vllm import settings_of

    settings, folder = settings_of(make_spec(fields)), Path(task.model)
    done = 0

    async def ask(llm: AsyncLLM, number: int) -> None:
        nonlocal done
        sampling = SamplingParams(
            temperature=0.0,
            max_tokens=task.max_new_tokens,
            stop_token_ids=task.stop_token_ids,
            ignore_eos=True,
            detokenize=False,
            output_kind=RequestOutputKind.FINAL_ONLY,
        )
        prompt = tokens_input(list(prompts[number]))
        async for output in llm.generate(prompt, sampling, str(number)):
            done += len(prompts[number]) + len(output.outputs[0].token_ids) - 1

    async def work() -> dict[str, float]:
        llm = AsyncLLM.from_engine_args(AsyncEngineArgs(**arguments(folder, folder, "float32", settings)))
        tokens = Notes()
        with noting_processors() as processors, noting(lambda: (done,), tokens.append):
            await asyncio.gather(*[ask(llm, number) for number in range(len(prompts))])
        llm.shutdown()
        return costs(tokens, processors)

    with environment(settings, Path(out).with_name("note")):
        Path(out).write_text(json.dumps(asyncio.run(work())))


def alone(task: Task, fields: dict[str, object], prompts: Sequence[Sequence[int]], out: Path) -> dict[str, float]:
    """What `bare` finds."""
    process = multiprocessing.get_context("spawn").Process(target=bare, args=(task, fields, prompts, str(out)))
    process.start()
    process.join()
    return json.loads(out.read_text())


class Noted:
    """The engine of the actor, which notes beside the output how far it is."""

    def __init__(self, spec: Spec) -> None:
        engine = engine_of(spec)
        self.verdict, self.goodput, self.sampling = engine.verdict, engine.goodput, engine.sampling
        self.end_token, self.prepare, self.generate = engine.end_token, engine.prepare, engine.generate
        self._notes = Path(f"{spec.output.path}.notes")
        self._noting = noting(lambda: (engine.goodput.useful_tokens,), self._note)
        self._noting.__enter__()  # until the process ends

    def _note(self, note: tuple[float, ...]) -> None:
        with self._notes.open("a") as notes:
            notes.write(json.dumps(note) + "\n")


def through_the_job(fields: dict[str, object]) -> dict[str, float]:
    """The costs of the job, on a Ray of its own below this process."""
    spec = make_spec(fields)
    job, plan, _ = prepare(spec, Store(spec.output.path))
    execute, units = OnRay(LOCAL, load=Noted), list(plan.units)
    with (
        noting_processors() as processors,
        execute(units, job, num_rows=plan.num_rows, course=Course()) as receipts,
    ):
        for receipt in receipts:
            assert receipt.failure is None, receipt
    lines = Path(f"{spec.output.path}.notes").read_text().splitlines()
    return costs([tuple(json.loads(line)) for line in lines], processors)


def main(
    rows: Annotated[int, typer.Option()] = 2048,
    compiled: Annotated[bool, typer.Option("--compiled", help="as vLLM does it; else eager")] = False,
    out: Annotated[Path | None, typer.Option(help="a file for the figures")] = None,
) -> None:
    """Measure both, and print one line of JSON."""
    with tempfile.TemporaryDirectory() as name, contextlib.redirect_stdout(sys.stderr):
        folder = Path(name)
        task = bench_task(folder, rows)
        prompts = make_workload(RAGGED, rows, SMALL["vocab_size"]).prompts
        fields = spec_of(task, folder / "out", "vllm")
        fields["source"] = {**fields["source"], "unit_rows": UNIT_ROWS}
        fields["vllm"] = {"eager": not compiled}
        of_job = through_the_job(fields)
        of_bare = alone(task, fields, prompts, folder / "bare")
    figures = {
        "rows": rows,
        "compiled": compiled,
        "microseconds_of_a_token": {"bare": of_bare, "job": of_job},
        "job_over_bare": round(of_bare["all"] / of_job["all"], 3),
        **describe(),
    }
    if out is not None:
        out.write_text(json.dumps(figures, indent=2) + "\n")
    print(json.dumps(figures))


if __name__ == "__main__":
    typer.run(main)
