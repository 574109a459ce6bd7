"""The demo: draw a dataset, run the ordinary job over it with the shipped model, compare every label with the truth."""

from __future__ import annotations

from pathlib import Path

import pyarrow.parquet as pq

from relabel.demo import MODEL_PATH
from relabel.demo.check import check_labels
from relabel.demo.dataset import write_dataset
from relabel.demo.report import Figures
from relabel.demo.task import Task
from relabel.errors import SpecError
from relabel.job.executor import Executor
from relabel.job.run import run
from relabel.spec import Spec, load_spec


def demo_spec(task: Task, folder: Path, *, constrain: bool = True) -> Spec:
    """The shipped spec of a task, with its data and labels under `folder`."""
    spec = load_spec(MODEL_PATH.parent / f"{task}.yaml")
    output = str(folder / ("labels" if constrain else "labels-unconstrained"))
    return spec.model_copy(
        update={
            "source": spec.source.model_copy(update={"path": f"{folder / 'data'}/*.parquet"}),
            "model": spec.model.model_copy(update={"path": str(MODEL_PATH)}),
            "label": spec.label.model_copy(update={"constrain": constrain}),
            "output": spec.output.model_copy(update={"path": output}),
        }
    )


def run_demo(
    task: Task, num_rows: int, folder: Path, *, compare: bool = False, execute: Executor | None = None
) -> Figures:
    """Label `num_rows` drawn rows under `folder` by `execute`, else on a Ray of this machine; the figures of the demo,
    `complete` where all is as it should be.

    With `compare` the rows are labelled once more without holding the model to the schema: `unconstrained` has those
    figures. A second call goes on with the dataset that is there.
    """
    if compare and task is not Task.json:
        raise SpecError("--no-constrain goes with --task json: the labels of the other tasks are not constrained")
    _draw(folder / "data", num_rows)
    figures = _label(demo_spec(task, folder), task, folder, execute)
    figures["complete"] &= figures["parse_rejected"] == 0
    if compare:
        figures["unconstrained"] = _label(demo_spec(task, folder, constrain=False), task, folder, execute)
    return figures


def _label(spec: Spec, task: Task, folder: Path, execute: Executor | None) -> Figures:
    report = run(spec, execute=execute)
    labels = check_labels(folder / "data", spec.output.path, task.value)
    is_sound = report.complete and labels.every_row_once and not labels.broken_labelled and not labels.sound_rejected
    rate = report.done_now.get("rows_per_second", 0.0)
    return {**labels.as_dict(), "rows_per_second": rate, "labels": spec.output.path, "complete": is_sound}


def _draw(folder: Path, num_rows: int) -> None:
    if not folder.exists():
        drawing = folder.with_name("_drawing")
        write_dataset(drawing, num_rows)
        drawing.rename(folder)  # a dataset is there whole or not at all
    there = sum(pq.read_metadata(path).num_rows for path in folder.glob("*.parquet"))
    if there != num_rows:
        raise SpecError(
            f"{folder} holds a dataset of {there} rows, not {num_rows}: name another --out, or --rows {there}"
        )
