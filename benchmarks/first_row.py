"""What the seconds between `relabel demo` and its first row are spent on, by phase.

Each turn runs the command in a process of its own, into an empty folder. A phase begins with the line on stderr that
says so, and the last ends when the first part is in the output. Beside it what an engine does until it is up, one after
the other in a process of one thread: what it imports, the weights, the processor, the check of batches against rows.

    OMP_NUM_THREADS=1 python benchmarks/first_row.py [--turns 3] [--no-ray] [--out benchmarks/results/first_row.json]

The last line on stdout is one line of JSON, with the median of each phase in seconds by the clock.
"""

import importlib.metadata
import json
import os
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path
from typing import Annotated

import typer

PACKAGES = ("ray", "torch", "transformers")
RUN = "import sys; from relabel.cli import main; main(sys.argv[1:])"
PHASES = {
    # what begins it, and how it is called here
    "": "the command starts, and draws the rows",
    "looking at the model and the source": "the model's processor, the source",
    "starting Ray": "Ray starts",
    "starting 1 engine": "the stages and the engine start",
    "1 of 1 engines up": "the first unit",
    "starting an engine": "the engine starts, and the first unit",
}
ENGINE = """
import json, time
from relabel.demo import MODEL_PATH
from relabel.engine import Sampling
marks = [("", time.perf_counter())]
def mark(name): marks.append((name, time.perf_counter()))
import relabel.engine.loading as loading
mark("torch and transformers are imported")
model = loading.load_model(str(MODEL_PATH), dtype="auto", device="cpu")
mark("the weights are loaded")
probe = loading._with_image(model, str(MODEL_PATH), None)
mark("the processor is imported and loaded")
loading.settle_batching(model, str(MODEL_PATH), "auto", probe)
mark("batches are checked against rows alone")
print(json.dumps({name: end - start for (_, start), (name, end) in zip(marks, marks[1:])}))
"""


def turn(rows: int, *, no_ray: bool) -> dict[str, float]:
    """Seconds of each phase of one command."""
    with tempfile.TemporaryDirectory() as name:
        out, began = Path(name) / "demo", {"": time.perf_counter()}
        options = ["demo", "--rows", str(rows), "--out", str(out), *(["--no-ray"] if no_ray else [])]
        process = subprocess.Popen([sys.executable, "-c", RUN, *options], stderr=subprocess.PIPE, text=True)

        def note() -> None:
            for line in process.stderr or ():
                for phase in PHASES:
                    if phase and line.startswith(phase):
                        began.setdefault(phase, time.perf_counter())

        threading.Thread(target=note, daemon=True).start()
        while not any(out.glob("labels/*.parquet")):
            if process.poll() is not None:
                raise SystemExit(f"the demo ended with {process.returncode} before its first row")
            time.sleep(0.01)
        ended = time.perf_counter()
        process.wait()
    ends = [*list(began.values())[1:], ended]
    return {PHASES[phase]: end - start for (phase, start), end in zip(began.items(), ends, strict=True)}


def engine() -> dict[str, float]:
    """Seconds of each thing that an engine does before its first row."""
    ended = subprocess.run([sys.executable, "-c", ENGINE], stdout=subprocess.PIPE, text=True, check=True)
    return json.loads(ended.stdout.splitlines()[-1])


def medians(turns: list[dict[str, float]]) -> dict[str, float]:
    return {name: round(statistics.median(one[name] for one in turns), 2) for name in turns[0]}


def main(
    turns: Annotated[int, typer.Option(help="medians count")] = 3,
    rows: Annotated[int, typer.Option(help="of the demo")] = 256,
    no_ray: Annotated[bool, typer.Option("--no-ray", help="in one process")] = False,
    out: Annotated[Path | None, typer.Option(help="a file for the figures")] = None,
) -> None:
    each = [(turn(rows, no_ray=no_ray), engine()) for _ in range(turns)]
    figures = {
        "rows": rows,
        "no_ray": no_ray,
        "turns": turns,
        "seconds": medians([phases for phases, _ in each]),
        "to_the_first_row": round(statistics.median(sum(phases.values()) for phases, _ in each), 2),
        "engine_seconds": medians([one for _, one in each]),
        "cores": os.cpu_count(),
        "versions": {name: importlib.metadata.version(name) for name in PACKAGES},
    }
    if out:
        out.write_text(json.dumps(figures, indent=1) + "\n")
    print(json.dumps(figures))


if __name__ == "__main__":
    typer.run(main)
