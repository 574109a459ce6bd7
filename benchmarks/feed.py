"""How many rows a second one core reads, decodes and encodes, stage by stage: whether readers keep an engine busy.

Text: rows of some 100 tokens through a template, one by one and by units. Pictures: JPEGs of three sizes for a
processor of 336 x 336 pixels, each as relabel decodes them ("near") and as it would for a processor that keeps a
picture's own size ("whole").

    OMP_NUM_THREADS=1 python benchmarks/feed.py [--rows 200] [--turns 3] [--out benchmarks/results/feed.json]

The last line on stdout is one line of JSON: rows a second of one core, the median of the turns.
"""

import io
import json
import platform
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Annotated

import numpy as np
import torch
import transformers
import typer
from PIL import Image
from transformers import CLIPImageProcessor

from relabel.data.images.picture import Fit, decode_picture
from relabel.demo import MODEL_PATH
from relabel.job.encoding.processor import edge_of
from relabel.job.encoding.row import RowEncoder
from relabel.job.prepare import resolve
from relabel.job.stages.read import encode_unit
from relabel.spec import make_spec

SIZES = (480, 360), (1280, 960), (3000, 2000)
SIDE = 336
LIMITS = {"max_pixels": 64_000_000}
NUM_PIXELS = 1_003_520
"""The default of `model.image_pixels`."""
PROMPT = {"user": "Rewrite this text in one sentence, and keep the names:\n{{ title }}\n{{ text }}"}
NUM_UNIT_ROWS = 1024
UNITS = "text: read and encoded, by units of 1,024 rows, processor time"


def photograph(size: tuple[int, int], seed: int) -> bytes:
    """A JPEG with large shapes and some grain, of about the bytes that a photograph has."""
    random = np.random.default_rng(seed)
    shapes = Image.fromarray(random.integers(0, 256, (24, 32, 3), dtype=np.uint8)).resize(
        size, Image.Resampling.BICUBIC
    )
    grain = random.normal(0, 6, (size[1], size[0], 1))
    picture = Image.fromarray(np.clip(np.asarray(shapes) + grain, 0, 255).astype(np.uint8))
    file = io.BytesIO()
    picture.save(file, "JPEG", quality=85)
    return file.getvalue()


def rate(work: Callable[[int], object], num_rows: int) -> float:
    started = time.perf_counter()
    for row in range(num_rows):
        work(row)
    return num_rows / (time.perf_counter() - started)


def stages_of_pictures() -> dict[str, Callable[[int], object]]:
    processor = CLIPImageProcessor(size={"shortest_edge": SIDE}, crop_size={"height": SIDE, "width": SIDE})
    found = edge_of(processor)
    assert found == SIDE
    stages: dict[str, Callable[[int], object]] = {}
    for size in SIZES:
        files = [photograph(size, seed) for seed in range(8)]
        for name, edge in (("near", found), ("whole", None)):
            fit = Fit(num_pixels=NUM_PIXELS, edge=edge)

            def decode(row: int, files: list[bytes] = files, fit: Fit = fit) -> Image.Image:
                return decode_picture(files[row % len(files)], fit=fit, **LIMITS)

            def encode(row: int, decode: Callable[[int], Image.Image] = decode) -> object:
                return processor(images=[decode(row)], return_tensors="pt")

            label = f"jpeg {size[0]}x{size[1]} {name}"
            stages |= {f"{label}: decoded": decode, f"{label}: encoded": encode}
    return stages


def stages_of_text() -> dict[str, Callable[[int], object]]:
    fields = {"source": {"path": "x", "format": "jsonl"}, "output": {"path": "out"}}
    encoder = RowEncoder(make_spec({**fields, "prompt": PROMPT, "model": {"path": str(MODEL_PATH)}}), None)
    text = "A red circle stands beside two small blue squares. " * 3
    return {"text: encoded": lambda row: encoder.encode({"title": f"Picture {row}", "text": text})}


def stage_of_units(folder: Path) -> Callable[[], int]:
    """The same rows as a run has them: a file of JSON lines, by units, from its bytes to the block of the engine."""
    text = "A red circle stands beside two small blue squares. " * 3
    lines = [json.dumps({"id": row, "title": f"Picture {row}", "text": text}) for row in range(NUM_UNIT_ROWS)]
    (folder / "rows.jsonl").write_text("\n".join(lines))
    source = {"path": str(folder / "rows.jsonl"), "format": "jsonl", "unit_rows": NUM_UNIT_ROWS}
    fields = {"source": source, "output": {"path": str(folder / "out"), "keep": ["id"]}}
    resolved = resolve(make_spec({**fields, "prompt": PROMPT, "model": {"path": str(MODEL_PATH)}}), {})
    plan = resolved.plan(None)
    job, units = resolved.job(plan.columns), list(plan.units)
    return lambda: sum(encode_unit(unit, resolved.encoder, job).num_rows for unit in units)


def main(
    rows: Annotated[int, typer.Option(help="rows of each stage and turn")] = 200,
    turns: Annotated[int, typer.Option(help="turns; the figure is their median")] = 3,
    out: Annotated[Path | None, typer.Option(help="a file for the figures")] = None,
) -> None:
    """Measure every stage in turn, and print one line of JSON."""
    torch.set_num_threads(1)
    stages = stages_of_text() | stages_of_pictures()
    rates: dict[str, list[float]] = {name: [] for name in (UNITS, *stages)}
    with tempfile.TemporaryDirectory() as folder:
        read = stage_of_units(Path(folder))
        for _ in range(turns):
            started = time.process_time()
            rates[UNITS].append(read() / (time.process_time() - started))
            for name, work in stages.items():
                rates[name].append(rate(work, rows))
    figures = {
        "rows_per_second": {name: round(statistics.median(turn), 1) for name, turn in rates.items()},
        "machine": platform.machine(),
        "cpu": torch.backends.cpu.get_cpu_capability(),
        "versions": {"torch": torch.__version__, "transformers": transformers.__version__},
    }
    if out is not None:
        out.write_text(json.dumps(figures, indent=1) + "\n")
    print(json.dumps(figures))


if __name__ == "__main__":
    typer.run(main)
