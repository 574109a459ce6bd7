"""What a run that its budget has ended says: what is spent, what is left, and what that would cost at its rate.

Figures in, figures and a sentence out; knows neither stores nor clocks.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import cast

from relabel.data.runs.beat import Limit
from relabel.job.budget.guard import Guard
from relabel.job.forecast.hours import gpu_hours


def left_by(guard: Guard, figures: Mapping[str, object], *, units: int, rows: int) -> Left | None:
    """What stands at the end of a run with these figures, which leaves so much; None where no budget ended it."""
    done = int(cast(int, figures.get("units", 0))) + int(cast(int, figures.get("failed", 0)))
    reached = None if "stopped" in figures else guard.ended_by(done)
    if reached is None:
        return None
    goodput = cast(Mapping[str, float], figures.get("goodput", {}))
    before = guard.before
    return Left(
        reached=reached,
        limits=guard.limits,
        price=guard.price,
        hours=gpu_hours(goodput.get("seconds", 0.0), guard.gpus),
        rows=cast(int, figures.get("rows", 0)),
        seconds=cast(float, figures.get("seconds", 0.0)),
        hours_before=before.gpu_hours,
        dollars_before=before.dollars(guard.price),
        rows_before=before.rows,
        units_left=units,
        rows_left=rows,
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Left:
    """What stands at the end of such a run."""

    reached: Limit
    limits: Mapping[Limit, float | str]
    """The budget as the spec has it."""
    price: float | None
    """Of a GPU hour."""
    hours: float
    """GPU hours that this run took."""
    rows: int
    """That it did."""
    seconds: float
    """That it lasted."""
    hours_before: float
    dollars_before: float | None
    rows_before: int
    """What all earlier runs into the output took and did."""
    units_left: int
    rows_left: int

    @property
    def hours_left(self) -> float | None:
        """What the rest would take, at the rate of this run, else of those before; None where none did anything."""
        if self.rows and self.hours:
            return self.rows_left * self.hours / self.rows
        if self.rows_before and self.hours_before:
            return self.rows_left * self.hours_before / self.rows_before
        return None

    def to_json(self) -> dict[str, object]:
        """The figures."""
        hours, price = self.hours_left, self.price
        own = None if price is None else self.hours * price
        return {
            "reached": self.reached,
            "limits": dict(self.limits),
            "spent": {
                "gpu_hours": _short(self.hours_before + self.hours),
                "dollars": None if own is None else _short((self.dollars_before or 0.0) + own),
                "this_run_gpu_hours": _short(self.hours),
            },
            "left": {
                "units": self.units_left,
                "rows": self.rows_left,
                "gpu_hours": _short(hours),
                "dollars": _short(None if hours is None or price is None else hours * price),
                "seconds": _short(self.seconds * self.rows_left / self.rows if self.rows else None),
            },
        }

    def sentence(self) -> str:
        """The same for a person."""
        hours, price = self.hours_left, self.price
        spent = self.hours_before + self.hours
        took = f"{spent:.4g} GPU hours are spent on this output"
        if price is not None:
            took += f" (${(self.dollars_before or 0.0) + self.hours * price:,.2f})"
        if hours is None:
            would = "what they take is not known: no run has done any"
        else:
            rate = "this run's rate" if self.rows and self.hours else "the rate of earlier runs"
            would = f"they take about {hours:.4g} GPU hours"
            would += f" (${hours * price:,.2f})" if price is not None else ""
            would += f" at {rate}"
        is_daily = self.reached == "until" and str(self.limits["until"])[2:3] == ":"  # then the next one counts
        goes_on = "the same command goes on" if is_daily else "raise it, and the same command goes on"
        return (
            f"stopped by resources.budget.{self.reached} ({self.limits[self.reached]}): {took}; "
            f"{self.rows_left:,} rows in {self.units_left:,} units are left, {would}; {goes_on}"
        )


def _short(value: float | None) -> float | None:
    return None if value is None else float(f"{value:.6g}")
