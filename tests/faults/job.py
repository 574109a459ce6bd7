"""Whole runs, and retries of their rejects, by the shipped driver in this process around an engine without a model.

A process of its own is forked from one that has imported all of it, so that it is up in milliseconds.
"""

from __future__ import annotations

import json
import multiprocessing
import os
import sys
import threading
from collections.abc import Callable, Mapping
from multiprocessing.connection import wait
from pathlib import Path
from typing import Any

from relabel import make_spec
from relabel.data.output.report import Report
from relabel.data.output.verify import verify
from relabel.data.store.failpoints import Failpoint, OnFailpoint, listening
from relabel.data.store.store import Store
from relabel.demo import MODEL_PATH
from relabel.engine import Request, Result
from relabel.engine.scripted import ScriptedEngine
from relabel.job.local import InProcess
from relabel.job.retry import retry as retry_rejects
from relabel.job.run import run
from relabel.job.stages.completions import row_id
from relabel.spec import Spec

UNIT_ROWS = 3
NO_LABEL_AT_FIRST = {row_id(f"{name}.jsonl\0{1}") for name in "abc"}
"""The second row of each file: its first draw holds no label."""
PROCESSES = multiprocessing.get_context("forkserver")
PROCESSES.set_forkserver_preload(["__main__", "tests.faults.warm"])


class Child:
    """A process of its own, forked from one that has imported this and done nothing: it is up in milliseconds."""

    _one_at_a_time = threading.Lock()
    """Whoever starts a process asks all others how they ended, and the answer can be read but once."""

    def __init__(self, target: Callable[..., Any], *arguments: Any) -> None:
        store = {name: value for name, value in os.environ.items() if name.startswith("AWS_")}
        self._process = PROCESSES.Process(target=_in_process, args=(store, target, arguments))
        with self._one_at_a_time:
            self._process.start()

    def exitcode(self, timeout: float | None = None) -> int | None:
        """Once it ended, the negative signal where it was killed; None where it has not."""
        if not wait([self._process.sentinel], timeout):
            return None
        with self._one_at_a_time:
            self._process.join()
            return self._process.exitcode


def _in_process(store: Mapping[str, str], target: Callable[..., Any], arguments: tuple[Any, ...]) -> None:
    os.environ.update(store)
    target(*arguments)
    assert "ray" not in sys.modules


def write_source(folder: Path, **files: int) -> None:
    """Files of so many rows each."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, num_rows in files.items():
        rows = [json.dumps({"id": f"{name}{row}", "alt": f"text {row} of {name}"}) for row in range(num_rows)]
        (folder / f"{name}.jsonl").write_text("".join(f"{row}\n" for row in rows))


def spec_of(output: str, source: Path) -> Spec:
    return make_spec(
        {
            "source": {"path": str(source / "*.jsonl"), "format": "jsonl", "unit_rows": UNIT_ROWS},
            "prompt": {"user": "{{ alt }}"},
            "model": {"path": str(MODEL_PATH)},
            "sampling": {"temperature": 1.0},
            "label": {"column": "caption"},
            "output": {"path": output, "keep": ["id"]},
        }
    )


def script(request: Request) -> Result:
    if request.id in NO_LABEL_AT_FIRST:
        return Result(id=0, text="", token_ids=[], finish_reason="stop")
    return Result(id=0, text="qr", token_ids=[80, 81], num_tokens=2, finish_reason="stop")


# one thread: the failpoints of an undisturbed run are then passed in the same order in every one
execute = InProcess(load=lambda _: ScriptedEngine(script), max_threads=1)


def hear_nothing(failpoint: Failpoint, name: str) -> None:
    pass


def to_the_end(output: str, source: Path, on_failpoint: OnFailpoint = hear_nothing, *, retry: bool = False) -> Report:
    """A whole run, and a retry of its rejects after it."""
    with listening(on_failpoint):
        report = run(spec_of(output, source), execute=execute, redo_changed=True).audit
        return retry_rejects(output, execute=execute).audit if retry and report.complete else report


def assert_exact(output: str, source: Path, sizes: Mapping[str, int]) -> None:
    """The same command again ends, and then everything is there once and nothing else."""
    assert to_the_end(output, source, retry=True).complete
    store = Store(output)
    parts = [f"{name}-{unit:05d}.parquet" for name, size in sizes.items() for unit in range(-(-size // UNIT_ROWS))]
    assert list(store.names()) == parts
    assert verify(store).problems == ()
    rows = [row for part in parts for row in store.read(part).rows.to_pylist()]
    assert [(row["source_file"], row["source_row"], row["id"]) for row in rows] == [
        (f"{name}.jsonl", row, f"{name}{row}") for name, size in sizes.items() for row in range(size)
    ]
    assert {row["status"] for row in rows} == {"ok"}
    assert store.read_json("_SUCCESS") is not None
