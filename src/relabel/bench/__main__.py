"""`python -m relabel.bench`: the command `relabel bench` where neither Ray nor typer is installed.

Reads arguments and prints; knows nothing else.
"""

from __future__ import annotations

import argparse
import json
import logging
import sys
from pathlib import Path

import transformers
from rich.console import Console

from relabel.bench import run_bench, show_bench
from relabel.errors import RelabelError


def main(arguments: list[str] | None = None) -> int:
    """The exit code: 0, or 2 for what was refused."""
    parser = argparse.ArgumentParser(prog="python -m relabel.bench", description="The engines beside transformers.")
    parser.add_argument("--model", help="a folder; by default a model made for the purpose")
    parser.add_argument("--rows", type=int, default=256)
    parser.add_argument("--dtype", default="bfloat16")
    parser.add_argument("--device", help="by default cuda where there is one, else cpu")
    parser.add_argument("--turns", type=int, default=1)
    parser.add_argument("--workload", help="ragged, 300/50, 128/128, images or images/4")
    parser.add_argument("--engine", help="vllm: one more way beside the others")
    parser.add_argument("--out", type=Path, help="a file for the figures")
    given = vars(parser.parse_args(arguments))
    out = given.pop("out")
    logging.basicConfig(format="%(message)s")
    logging.getLogger("relabel").setLevel(logging.INFO)
    transformers.logging.set_verbosity_error()
    console = Console(stderr=True)
    try:
        figures = run_bench(**given)
    except RelabelError as error:
        console.print(f"relabel: {error}", markup=False, highlight=False, soft_wrap=True)
        return 2
    show_bench(figures, console)
    if out:
        out.write_text(json.dumps(figures.to_json(), indent=2) + "\n")
    print(json.dumps(figures.to_json()))
    return 0


if __name__ == "__main__":
    sys.exit(main())
