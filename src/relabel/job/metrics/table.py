"""Every metric that a run on Ray exports: name, help, labels. The reference, the dashboard and the alerts go by it.

Names by the rules of Prometheus: base units, no unit of a label in them. Ray puts `ray_` before each name and `_total`
behind that of a counter. No label holds a name of a file, a row or a text, and each but the two ids is one of a few
words. Knows nothing of how figures are come by.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from itertools import product
from typing import Literal

from relabel.job.faults.deaths import CAUSES
from relabel.job.stream.whereabouts import PLACES, STAGES
from relabel.rejected import Code

RUN, ENGINE = "run", "engine"
IDS = {
    RUN: "the name of the run's own file in `_runs/` of the output, without its ending",
    ENGINE: "eight digits, others for each process that holds an engine",
    "command": "`run` or `retry`",
    "engine_kind": "as `model.engine` has it",
    "model": "the last part of `model.path`, at most 40 characters of it",
}
"""Labels whose values are no fixed words, and what they are."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Metric:
    """One metric."""

    name: str
    """As Ray is given it."""
    type: Literal["counter", "gauge"]
    help: str
    labels: Mapping[str, tuple[str, ...]] = field(default_factory=dict, hash=False)
    """Beside that of the run; with all values that each may have, none for one of `IDS`."""
    is_of_engine: bool = False
    """Whether the process of an engine says it, and not the driver."""

    @property
    def exported(self) -> str:
        """The name that Prometheus sees."""
        return f"ray_{self.name}_total" if self.type == "counter" else f"ray_{self.name}"

    def series(self) -> Iterator[tuple[str, ...]]:
        """Every combination of the labels' values."""
        return product(*self.labels.values())


def _counter(name: str, help: str, **labels: tuple[str, ...]) -> Metric:
    return Metric(name=name, type="counter", help=help, labels=labels)


def _gauge(name: str, help: str, **labels: tuple[str, ...]) -> Metric:
    return Metric(name=name, type="gauge", help=help, labels=labels)


def _of_engine(name: str, help: str) -> Metric:
    return Metric(name=name, type="gauge", help=help, labels={ENGINE: ()}, is_of_engine=True)


INFO = _gauge("relabel_run_info", "Always 1: what a run is.", command=(), engine_kind=(), model=())
ROWS_PLANNED = _gauge("relabel_rows_planned", "Rows that the run had to do when it began.")
ROWS_LEFT = _gauge("relabel_rows_left", "Rows of these that are not done.")
UNITS_LEFT = _gauge("relabel_units_left", "Units that neither have a part by now nor failed.")
LEFT_SECONDS = _gauge("relabel_run_left_seconds", "Time that the rest takes at this rate; absent before there is one.")
GPU_SECONDS = _gauge(
    "relabel_run_gpu_seconds",
    "GPU time that the run has taken: seconds that engines worked, times the GPUs of each, as in budgets.",
)
DOLLARS = _gauge("relabel_run_cost_dollars", "The same as money; absent without `resources.price`.")
ENGINES = _gauge(
    "relabel_engines", "Engines that were loaded so far, and those that are asked for.", state=("up", "planned")
)
UNITS_UNDER_WAY = _gauge(
    "relabel_units_under_way",
    "Units that a stage works on, and those that wait for it: to be read, before the engines, and to be published.",
    stage=STAGES,
    state=PLACES,
)
ROWS = _counter("relabel_rows", "Rows of parts that were published, by their status.", status=("ok", "rejected"))
REJECTED_ROWS = _counter(
    "relabel_rejected_rows", "Rejected rows by the code of their reason; none of a retry.", code=tuple(Code)
)
UNITS = _counter("relabel_units", "Units that ended: with a part, or without.", outcome=("done", "failed"))
ROW_TOKENS = _counter(
    "relabel_row_tokens",
    "Tokens of rows that are done: of each prompt that was asked, once, and all that were generated.",
    kind=("prompt", "output"),
)
COMPUTED_TOKENS = _counter(
    "relabel_computed_tokens",
    "Token positions that engines computed: for rows that ended, for none, and for rows that were begun again or given "
    "up.",
    kind=("useful", "padded", "wasted"),
)
SHARED_TOKENS = _counter(
    "relabel_shared_tokens", "Prompt positions that were not computed, as a shared prefix had them."
)
ENGINE_SECONDS = _counter(
    "relabel_engine_seconds",
    "Time of all engines together by their last words: at work, being loaded, without a unit that was read, and with "
    "one that was not handed over, as where publishing is behind.",
    state=("working", "loading", "reading", "publishing"),
)
OUT_OF_MEMORY = _counter("relabel_engine_out_of_memory", "Steps of engines that did not fit into memory.")
DEATHS = _counter(
    "relabel_unit_deaths",
    "Attempts at a unit that ended with their process, when the unit is tried again: by a lost device, after they had "
    "lasted for `resources.deadline`, or by anything else.",
    stage=STAGES,
    cause=CAUSES,
)
COPIES = _counter(
    "relabel_unit_copies",
    "Copies of units that another engine is slow with, by `resources.copies`: begun, and of them those that were "
    "published first.",
    outcome=("begun", "first"),
)
BUSY_RATIO = _of_engine("relabel_engine_busy_ratio", "Share of the last seconds in which the engine had a unit.")
ENGINE_UNITS = _of_engine("relabel_engine_units", "Units that the engine serves side by side.")
SLOTS = _of_engine(
    "relabel_engine_slots", "Rows that a step of the engine takes at most, in the mean of the last seconds."
)
SLOTS_HELD = _of_engine("relabel_engine_slots_held", "Rows that were in it, in the mean of the last seconds.")

METRICS = (
    *(INFO, ROWS_PLANNED, ROWS_LEFT, UNITS_LEFT, LEFT_SECONDS, GPU_SECONDS, DOLLARS, ENGINES, UNITS_UNDER_WAY),
    *(
        ROWS,
        REJECTED_ROWS,
        UNITS,
        ROW_TOKENS,
        COMPUTED_TOKENS,
        SHARED_TOKENS,
        ENGINE_SECONDS,
        OUT_OF_MEMORY,
        DEATHS,
        COPIES,
    ),
    *(BUSY_RATIO, ENGINE_UNITS, SLOTS, SLOTS_HELD),
)
