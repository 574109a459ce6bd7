"""The ways that are compared, each as the command of one run. The same command again is what goes on after a death."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from pathlib import Path

import yaml

from benchmarks.peers.tasks import MARGIN, UNIT_ROWS, Task

ROOT = Path(__file__).parents[2]
Command = list[str]
Way = Callable[[Task, Path], Command]
"""The command of a task, whose output is the folder `out` below a folder of its own."""


def spec_of(task: Task, output: Path, engine: str) -> dict[str, object]:
    """A task as the fields of a spec of relabel."""
    return {
        "source": {"path": f"{task.data}/*.parquet", "format": "parquet", "unit_rows": UNIT_ROWS},
        "prompt": {"user": f"{task.before}{{{{ alt_text }}}}", "chat": "always" if task.chat else "never"},
        "model": {
            "path": task.model,
            "dtype": "float32",
            "engine": engine,
            "max_prompt_tokens": task.max_tokens - task.max_new_tokens - MARGIN,
        },
        "sampling": {
            "max_new_tokens": task.max_new_tokens,
            "temperature": 0.0,
            "stop_token_ids": task.stop_token_ids,
        },
        "label": {"column": "caption"},
        "output": {"path": str(output), "keep": ["id"]},
        "resources": {"actors": 1, "gpus_per_actor": 0, **({"kv_memory": 2**30} if engine == "vllm" else {})},
        **({"vllm": {"eager": True}} if engine == "vllm" else {}),
    }


def relabel(engine: str) -> Way:
    """A run of relabel with an engine."""

    def command(task: Task, folder: Path) -> Command:
        (spec := folder / "spec.yaml").write_text(yaml.safe_dump(spec_of(task, folder / "out", engine)))
        return [sys.executable, str(ROOT / "jobs/relabel.py"), str(spec)]

    return command


def ray_data_llm(*options: str) -> Way:
    """A run of Ray Data LLM."""

    def command(task: Task, folder: Path) -> Command:
        written = task.write(folder / "task.json")
        module = "benchmarks.peers.ray_data_llm"
        return [sys.executable, "-m", module, str(written), str(folder / "out"), str(folder / "checkpoint"), *options]

    return command


OWN, VLLM, PEER = "relabel", "relabel, engine: vllm", "Ray Data LLM"
WAYS: Mapping[str, Way] = {OWN: relabel("relabel"), VLLM: relabel("vllm"), PEER: ray_data_llm()}
BAD_WAYS: Mapping[str, Way] = {**WAYS, f"{PEER}, should_continue_on_error": ray_data_llm("--continue-on-error")}
