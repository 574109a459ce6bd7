"""relabel with its own engine, relabel with vLLM, and Ray Data LLM: the same rows, models and settings, in one run.

    OMP_NUM_THREADS=1 python -m benchmarks.peers [--demo-rows 2048] [--bench-rows 256] [--out FILE]

In the environment of constraints-vllm.txt, on a CPU with Linux; some minutes for each start of a vLLM, of which there
are fourteen. Progress goes to stderr, the last line on stdout is one line of JSON.
"""

from __future__ import annotations

import contextlib
import json
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Annotated

import typer

from benchmarks.peers.machine import describe
from benchmarks.peers.scenarios import at_once, bad_rows, killed, whole
from benchmarks.peers.tasks import bench_task, demo_task
from benchmarks.peers.watch import adopt_orphans
from benchmarks.peers.ways import BAD_WAYS, WAYS


def main(
    demo_rows: Annotated[int, typer.Option(help="rows of the demo's text task")] = 2048,
    bench_rows: Annotated[int, typer.Option(help="rows of the benchmark model")] = 512,
    folder: Annotated[Path | None, typer.Option(help="keep all outputs and logs there")] = None,
    out: Annotated[Path | None, typer.Option(help="a file for the figures")] = None,
) -> None:
    """Run every way through every scenario, and print one line of JSON."""
    adopt_orphans()
    figures: dict[str, object] = describe()
    with contextlib.ExitStack() as stack:
        place = folder or Path(stack.enter_context(tempfile.TemporaryDirectory()))
        stack.enter_context(contextlib.redirect_stdout(sys.stderr))
        demo, bench = demo_task(place, demo_rows), bench_task(place, bench_rows)
        bad = demo_task(place, demo_rows, bad=True)
        scenarios: dict[str, Callable[[], dict[str, dict[str, object]]]] = {
            "demo": lambda: whole(WAYS, demo, place),
            "killed": lambda: killed(WAYS, demo, place),
            "bad_rows": lambda: bad_rows(BAD_WAYS, bad, place),
            "two_at_once": lambda: at_once(WAYS, demo, place),
            "bench": lambda: whole(WAYS, bench, place),
        }
        for name, scenario in scenarios.items():
            figures[name] = {"rows": bench_rows if name == "bench" else demo_rows, "ways": scenario()}
            if out is not None:
                out.write_text(json.dumps(figures, indent=1) + "\n", encoding="utf-8")
    print(json.dumps(figures))


if __name__ == "__main__":
    typer.run(main)
