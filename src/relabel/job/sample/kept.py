"""What was predicted of a run into this output, kept beside it as `_forecast.json`, and how the run came out.

Figures and names alone: no text of a row is in it. A prediction of another recipe says nothing and is passed over.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Annotated, Literal

from pydantic import Field, TypeAdapter, ValidationError

from relabel.data.store.store import Store
from relabel.errors import StoreFailed
from relabel.job.forecast.hours import gpu_hours

FORECAST = "_forecast.json"

_Number = Annotated[float, Field(ge=0, allow_inf_nan=False)]


@dataclass(frozen=True, slots=True, kw_only=True)
class Between:
    """A figure and between what it is likely to lie; null where nothing was predicted."""

    low: _Number | None
    mid: _Number | None
    high: _Number | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Forecast:
    """What a run was predicted to take."""

    fingerprint: str
    """Of the recipe that it is of."""
    version: str
    """Of relabel."""
    rows: Annotated[int, Field(ge=1)]
    """That the run had to do when it was made; the figures are of all of them."""
    sample: int
    """Rows that it was made from."""
    speed: Literal["measured", "rate", "roofline"] | None
    """Where the speed is from; null where none was known."""
    gpu: str | None
    gpu_hours: Between
    seconds: Between
    """Of generation, by the clock."""
    start_seconds: _Number | None
    output_tokens: Between
    rejected: _Number


_FORECAST = TypeAdapter(Forecast)


def write_forecast(store: Store, forecast: Forecast) -> None:
    """Keep it in place of an earlier one."""
    store.put_json(FORECAST, asdict(forecast))


def read_forecast(store: Store, fingerprint: str) -> Forecast | None:
    """What was predicted of this recipe; None where nothing was.

    Nor where what is there cannot be read: no run ends for that.
    """
    try:
        found = _FORECAST.validate_python(store.read_json(FORECAST))
    except (StoreFailed, ValidationError):
        return None
    return found if found.fingerprint == fingerprint else None


def compared(forecast: Forecast, done: Mapping[str, float], gpus: float) -> dict[str, object]:
    """What was predicted of so many rows as were done, beside what they took.

    `done` has rows, rejected, output_tokens, seconds by the clock, and engine_seconds in which engines worked, all of
    them together; `gpus` are those of one engine.
    """
    share = done["rows"] / forecast.rows
    actual = {
        "gpu_hours": gpu_hours(done["engine_seconds"], gpus),
        "output_tokens": done["output_tokens"],
    }
    pairs = {name: _pair(getattr(forecast, name), share, value) for name, value in actual.items()}
    start = {} if forecast.start_seconds is None else {"start_seconds": round(forecast.start_seconds, 1)}
    return {
        "sample": forecast.sample,
        "speed": forecast.speed,
        "rows": {"predicted": forecast.rows, "actual": int(done["rows"])},
        "rejected": {"predicted": round(forecast.rejected * share, 1), "actual": int(done["rejected"])},
        **pairs,
        "seconds": _pair(forecast.seconds, share, done["seconds"]) | start,
    }


def _pair(predicted: Between, share: float, actual: float) -> dict[str, object]:
    """`off_by` is the part of the actual figure that the prediction was above it; negative where it was below."""
    mid = None if predicted.mid is None else predicted.mid * share
    return {
        "predicted": {name: _short(value and value * share) for name, value in asdict(predicted).items()},
        "actual": _short(actual),
        "off_by": round(mid / actual - 1, 3) if mid is not None and actual > 0 else None,
    }


def _short(value: float | None) -> float | None:
    return None if value is None else float(f"{value:.4g}")
