"""How much of the bare engine's speed is left when the same rows go through the whole job.

Draws the demo's dataset, encodes it once, and in one run measures rows a second of
  bare   the engine alone over the encoded units, one thread
  job    the Ray job over the dataset, one actor of one thread; starting Ray and loading the model are not counted

    OMP_NUM_THREADS=1 python benchmarks/job_overhead.py [--rows 4000] [--out benchmarks/results/job_overhead.json]

The last line on stdout is one line of JSON.
"""

import importlib.metadata
import json
import os
import tempfile
import time
from pathlib import Path
from typing import Annotated

import torch
import typer

from relabel import run
from relabel.data.sources import columns_of, list_files, scan
from relabel.demo import write_dataset
from relabel.demo.task import Task
from relabel.job.demo import demo_spec
from relabel.job.engine import engine_of
from relabel.job.prepare import default_unit_rows, make_encoder, preview_context
from relabel.job.stages import encode_unit, generate_unit

PACKAGES = ("ray", "torch", "transformers")


def bare_rows_per_second(spec) -> float:
    """The engine alone, unit by unit, on rows that are encoded already; one unit first to warm up."""
    encoder = make_encoder(spec)
    files = list_files(spec.source)
    context = preview_context(spec, columns_of(files[0], spec.source))
    units = [unit for file in files for unit in scan(file, spec.source, default_unit_rows(spec, encoder))]
    blocks = [encode_unit(unit, encoder, context) for unit in units]
    engine = engine_of(spec)
    generate_unit(blocks[0], engine)
    started = time.perf_counter()
    for block in blocks:
        generate_unit(block, engine)
    return sum(block.num_rows for block in blocks) / (time.perf_counter() - started)


def main(rows: int = 4000, out: Annotated[Path | None, typer.Option()] = None) -> None:
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as folder:
        spec = demo_spec(Task.caption, Path(folder))
        write_dataset(Path(folder) / "data", rows)
        before = bare_rows_per_second(spec)
        job = run(spec).done_now["rows_per_second"]
        after = bare_rows_per_second(spec)
    bare = (before + after) / 2
    figures = {
        "rows": rows,
        "bare_rows_per_second": round(bare, 1),
        "bare_before_and_after": [round(before, 1), round(after, 1)],
        "job_rows_per_second": round(job, 1),
        "job_over_bare": round(job / bare, 3),
        "cores": os.cpu_count(),
        "versions": {name: importlib.metadata.version(name) for name in PACKAGES},
    }
    if out:
        out.write_text(json.dumps(figures, indent=2) + "\n")
    print(json.dumps(figures))


if __name__ == "__main__":
    typer.run(main)
