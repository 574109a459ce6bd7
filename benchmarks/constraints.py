"""Which library should hold a model's text to a JSON schema, a regex or a choice: llguidance or xgrammar.

    python benchmarks/constraints.py [--out benchmarks/results/constraints.json] [--no-speed] [--no-coverage]

Speed, on the demo's tokenizer, on a byte-level one of 32,000 tokens trained here on the standard library's sources, and
on that one under logits of 128,256: valid texts are walked token by token, and each mask is timed. Every mask is also
checked to allow the next token of the text.

Coverage, on the demo's tokenizer: seeded random walks under the mask of each schema in constraint_schemas.py, and valid
instances walked as they are.
  refused     the library says that it cannot hold to the schema
  sound       every text that a walk finished is valid, and every valid instance was let through
  too_strict  every text was valid, but some valid instance was not let through
  unsound     some finished text is not valid: the feature, or a part of it, was ignored
  stuck       no walk finished

The last line on stdout is one line of JSON; a table goes to stderr.
"""

import importlib.metadata
import json
import os
import random
import time
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import torch
import typer
import xgrammar
from constraint_libraries import LIBRARIES, Llguidance, Xgrammar
from constraint_schemas import CASES, Fresh, Matcher, allowed, outcome_of
from label_texts import LABEL, labels, trained_tokenizer
from rich.console import Console
from rich.table import Table
from transformers import AutoTokenizer, PreTrainedTokenizerFast

from relabel.demo import MODEL_PATH

PACKAGES = ("llguidance", "xgrammar", "tokenizers", "transformers")
COLUMNS = ("library", "of", "compile ms", "mask µs", "p99", "CPU", "1st text", "accept", "new", "64 rows ms", "threads")
ROWS, STEPS = 64, 60
REGEX = r"[0-9]{4}-(0[1-9]|1[0-2])-[0-3][0-9]: [0-9]{1,6}\.[0-9]{2} (EUR|USD|JPY)"


def amounts(number: int) -> list[str]:
    draw = random.Random(2)
    return [
        f"{draw.randint(1900, 2099)}-{draw.randint(1, 12):02}-{draw.randint(1, 28):02}: "
        f"{draw.randint(0, 999_999)}.{draw.randint(0, 99):02} {draw.choice(['EUR', 'USD', 'JPY'])}"
        for _ in range(number)
    ]


def choices(number: int) -> list[str]:
    draw = random.Random(3)
    parts = ("home", "garden", "sports", "outdoor", "kids", "pet", "office", "auto", "music", "health")
    return sorted({f"{draw.choice(parts)}/{draw.choice(parts)} {k}" for k in range(number)})


def microseconds(times: Sequence[float], quantile: float | None = None) -> float:
    return round(float(np.mean(times) if quantile is None else np.quantile(times, quantile)) * 1e6, 2)


def time_walks(compile_: Callable[[], Fresh], walks: list[list[int]], masks: torch.Tensor) -> dict[str, float]:
    """Compilation, one mask of one row, and one accepted token, over texts that end with EOS."""
    compiling = []
    for _ in range(5):
        wall, cpu = time.perf_counter(), time.process_time()
        fresh = compile_()
        compiling.append((time.perf_counter() - wall, time.process_time() - cpu))
    made, filled, accepted, cpu_filled = [], [], [], 0.0
    for walk in walks:
        started = time.perf_counter()
        matcher = fresh()
        made.append(time.perf_counter() - started)
        for token in walk:
            cpu, start = time.process_time(), time.perf_counter()
            matcher.fill(masks, 0)
            end = time.perf_counter()
            cpu_filled += time.process_time() - cpu
            filled.append(end - start)
            assert allowed(masks)[token], (walk, token)
            start = time.perf_counter()
            assert matcher.accept(token)
            accepted.append(time.perf_counter() - start)
    return {
        "compile_ms": round(float(np.median([wall for wall, _ in compiling])) * 1e3, 3),
        "compile_cpu_ms": round(float(np.median([cpu for _, cpu in compiling])) * 1e3, 3),
        "mask_us": microseconds(filled),
        "mask_p99_us": microseconds(filled, 0.99),
        "mask_cpu_us": round(cpu_filled / len(filled) * 1e6, 2),
        "mask_of_first_text_us": microseconds(filled[: len(walks[0])]),
        "accept_us": microseconds(accepted),
        "new_matcher_us": microseconds(made, 0.5),
    }


def time_batch(library: Llguidance | Xgrammar, fresh: Fresh, walks: list[list[int]], width: int) -> dict[str, float]:
    """One step of 64 rows, each at another text: masks one after the other, and by the library's own threads."""
    masks = xgrammar.allocate_token_bitmask(ROWS, width)
    times: dict[str, list[float]] = {}

    def one_by_one(matchers: Sequence[Matcher], masks: torch.Tensor) -> None:
        for row, matcher in enumerate(matchers):
            matcher.fill(masks, row)

    for name, fill in {"serial": one_by_one, "threads": library.fill_all}.items():
        queues = [[token for k in range(len(walks)) for token in walks[(row + k) % len(walks)]] for row in range(ROWS)]
        ends, matchers = {walk[-1] for walk in walks}, [fresh() for _ in range(ROWS)]
        for step in range(STEPS):
            wall, cpu = time.perf_counter(), time.process_time()
            fill(matchers, masks)
            times.setdefault(f"{name}_ms", []).append(time.perf_counter() - wall)
            times.setdefault(f"{name}_cpu_ms", []).append(time.process_time() - cpu)
            for row, (matcher, queue) in enumerate(zip(matchers, queues, strict=True)):
                assert matcher.accept(queue[step])
                if queue[step] in ends:
                    matchers[row] = fresh()
    return {name: round(float(np.mean(values)) * 1e3, 3) for name, values in times.items()}


def speed(tokenizers: dict[str, tuple[PreTrainedTokenizerFast, int]]) -> dict[str, Any]:
    texts = {"schema": labels(50), "regex": amounts(50), "choice": choices(50)}
    found: dict[str, Any] = {}
    for setting, (tokenizer, width) in tokenizers.items():
        walks = {
            kind: [[*tokenizer.encode(text, add_special_tokens=False), tokenizer.eos_token_id] for text in some]
            for kind, some in texts.items()
        }
        for name, make in LIBRARIES.items():
            started = time.perf_counter()
            library = make(tokenizer, width)
            figures: dict[str, Any] = {"tokenizer_s": round(time.perf_counter() - started, 3)}
            compiles = {
                "schema": lambda library=library: library.schema(LABEL),
                "regex": lambda library=library: library.regex(REGEX),
                "choice": lambda library=library: library.choice(texts["choice"]),
            }
            masks = xgrammar.allocate_token_bitmask(1, width)
            for kind, compile_ in compiles.items():
                figures[kind] = time_walks(compile_, walks[kind], masks)
                figures[f"{kind}_{ROWS}_rows"] = time_batch(library, compile_(), walks[kind], width)
            found.setdefault(setting, {})[name] = figures
    return found


def coverage(tokenizer: PreTrainedTokenizerFast) -> dict[str, Any]:
    libraries = {
        "llguidance": Llguidance(tokenizer, len(tokenizer)),
        "llguidance, any whitespace": Llguidance(tokenizer, len(tokenizer), whitespace_flexible=True),
        "xgrammar": Xgrammar(tokenizer, len(tokenizer)),
        "xgrammar, strict_mode": Xgrammar(tokenizer, len(tokenizer), strict_mode=True),
    }
    cases = {
        case.name: {name: outcome_of(case, library.schema, tokenizer) for name, library in libraries.items()}
        for case in CASES
    }
    counts = {name: dict(Counter(found[name]["outcome"] for found in cases.values())) for name in libraries}
    return {"counts": counts, "cases": cases}


def show(figures: dict[str, Any], console: Console) -> None:
    for setting, libraries in figures.get("speed", {}).items():
        table = Table(title=f"speed: {setting}")
        for column in COLUMNS:
            table.add_column(column, justify="left" if column in COLUMNS[:2] else "right")
        for name, found in libraries.items():
            for kind in ("schema", "regex", "choice"):
                one, many = found[kind], found[f"{kind}_{ROWS}_rows"]
                keys = ("compile_ms", "mask_us", "mask_p99_us", "mask_cpu_us", "mask_of_first_text_us", "accept_us")
                cells = [*(one[key] for key in keys), one["new_matcher_us"], many["serial_ms"], many["threads_ms"]]
                table.add_row(name, kind, *map(str, cells))
        console.print(table)
    if found := figures.get("coverage"):
        table = Table("schema", *found["counts"], title="coverage")
        for case, outcomes in found["cases"].items():
            table.add_row(case, *(outcome["outcome"] for outcome in outcomes.values()))
        table.add_section()
        for outcome in ("sound", "too_strict", "refused", "unsound", "stuck"):
            table.add_row(outcome, *(str(counts.get(outcome, 0)) for counts in found["counts"].values()))
        console.print(table)


def main(
    out: Annotated[Path | None, typer.Option()] = None,
    with_speed: Annotated[bool, typer.Option("--speed/--no-speed")] = True,
    with_coverage: Annotated[bool, typer.Option("--coverage/--no-coverage")] = True,
) -> None:
    torch.set_num_threads(1)
    figures: dict[str, Any] = {
        "versions": {name: importlib.metadata.version(name) for name in PACKAGES},
        "cores": os.cpu_count(),
    }
    demo = AutoTokenizer.from_pretrained(MODEL_PATH)
    if with_speed:
        trained = trained_tokenizer()
        settings = {"512 tokens": (demo, len(demo)), "32,000 tokens": (trained, len(trained))}
        figures["speed"] = speed({**settings, "32,000 tokens, 128,256 logits": (trained, 128_256)})
    if with_coverage:
        figures["coverage"] = coverage(demo)
    show(figures, Console(stderr=True, width=120))
    if out:
        out.write_text(json.dumps(figures, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
    print(json.dumps(figures, ensure_ascii=False))


if __name__ == "__main__":
    typer.run(main)
