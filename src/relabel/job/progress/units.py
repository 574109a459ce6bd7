"""What a person sees while units are done, on stderr: one live line on a terminal, now and then a line in a log."""

from __future__ import annotations

import logging
import time
from collections import Counter, deque

from rich.progress import BarColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn, TimeRemainingColumn

from relabel.data.runs.spans import step_of
from relabel.job.progress.console import console
from relabel.job.progress.engines import EnginesSeen
from relabel.job.progress.ticker import LOG_EVERY_SECONDS, Ticker
from relabel.job.receipt import EngineReport, Receipt

log = logging.getLogger("relabel")

ERRORS_KEPT = 5


def no_figures() -> dict[str, int]:
    """The figures of a run that has done nothing yet."""
    return {"units": 0, "rows": 0, "ok": 0, "rejected": 0, "failed": 0, "prompt_tokens": 0, "output_tokens": 0}


def add_receipt(figures: dict[str, int], receipt: Receipt) -> None:
    """Count one unit that ended."""
    if receipt.failure is not None:
        figures["failed"] += 1
        return
    figures["units"] += 1
    figures["rows"] += receipt.rows
    figures["ok"] += receipt.ok
    figures["rejected"] += receipt.rejected
    figures["prompt_tokens"] += receipt.prompt_tokens
    figures["output_tokens"] += receipt.output_tokens


class RunProgress:
    """Counts receipts and shows them. `figures` holds what this run itself did."""

    def __init__(self, *, num_units: int, num_rows: int, every: float = LOG_EVERY_SECONDS) -> None:
        """`every`: seconds between two lines of a log."""
        self.figures = no_figures()
        self.reasons = Counter[str]()
        """Rejected rows by code."""
        self.unit_seconds, self.row_seconds = Counter[str](), Counter[str]()
        """How long units were with an engine, and the share of each of their rows: see `spans`."""
        self.errors = deque[str](maxlen=ERRORS_KEPT)
        """The last sentences about units that failed, which quote no row."""
        self.engines = EnginesSeen()
        self._num_units, self._num_rows = num_units, num_rows
        self._first: float | None = None
        self._first_rows = self._first_tokens = 0
        self._started = time.monotonic()
        self._live = console.is_terminal
        self._ticker = Ticker(self._log, every=every)
        self._bar = Progress(
            SpinnerColumn(),
            TextColumn("{task.completed}/{task.total} rows"),
            BarColumn(bar_width=24),
            TextColumn("{task.fields[line]}"),
            TimeElapsedColumn(),
            TextColumn("left"),
            TimeRemainingColumn(elapsed_when_finished=False),
            console=console,
            disable=not self._live,
            transient=True,
        )
        self._task = self._bar.add_task("rows", total=num_rows, line=self._line())

    def __enter__(self) -> RunProgress:
        self._bar.start()
        if not self._live:
            self._ticker.__enter__()
        return self

    def __exit__(self, *_: object) -> None:
        self._ticker.__exit__()
        self._bar.stop()

    def add(self, receipt: Receipt) -> None:
        """Count one unit that ended."""
        now, figures = time.monotonic(), self.figures
        add_receipt(figures, receipt)
        self.reasons.update(receipt.reasons)
        if receipt.failure is not None:
            self.errors.append(f"{receipt.part}: {receipt.failure}")
            log.warning("%s: %s", receipt.part, receipt.failure)
        elif receipt.engine is not None:
            self._hear(receipt.engine, now)
            if (took := receipt.engine.unit_seconds) and receipt.rows:
                self.unit_seconds[step_of(took)] += 1
                self.row_seconds[step_of(took / receipt.rows)] += receipt.rows
        if self._first is None:
            self._first, self._first_rows, self._first_tokens = now, figures["rows"], figures["output_tokens"]
        self._bar.update(self._task, completed=figures["rows"], line=self._line())

    def totals(self) -> dict[str, object]:
        """What this run did. `rows_per_second` is over all of its time, loading the model included."""
        seconds = self.seconds
        rate = round(self.figures["rows"] / seconds, 2)
        return {
            **self.figures,
            "seconds": round(seconds, 1),
            "rows_per_second": rate,
            "goodput": self.engines.goodput.to_json(),
            "batching": self.engines.batching,
            "waited": self.engines.waited(time.monotonic()),
        }

    def rates(self) -> tuple[float, float] | None:
        """Rows and tokens a second since the first unit ended, so that starting Ray and loading the model do not count.

        None before the second.
        """
        figures = self.figures
        if self._first is None or not (rows := figures["rows"] - self._first_rows):
            return None
        passed = max(time.monotonic() - self._first, 1e-9)
        return rows / passed, (figures["output_tokens"] - self._first_tokens) / passed

    @property
    def seconds(self) -> float:
        """Since it began."""
        return time.monotonic() - self._started

    def _hear(self, report: EngineReport, now: float) -> None:
        """The first word of an engine is worth a line in the log."""
        if self.engines.hear(report, now):
            way = report.batching
            why = f" ({'; '.join(way['notes'])})" if way["notes"] else ""
            log.info("an engine is up: %s batching, %s attention%s", way["batching"], way["attention"], why)

    def _log(self) -> None:
        log.info("%d of %d rows, %s", self.figures["rows"], self._num_rows, self._line())

    def _line(self) -> str:
        if self._first is None:
            return "waiting for the first unit"
        figures, rates = self.figures, self.rates()
        rate = f"{rates[0]:.1f} rows/s, {rates[1]:.0f} tokens/s" if rates else "first unit done"
        goodput = self.engines.goodput
        return (
            f"units {figures['units']}/{self._num_units}, ok {figures['ok']}, rejected {figures['rejected']}, {rate}, "
            f"{goodput.useful:.0%} useful, {goodput.occupancy:.0%} of slots"
        )
