"""How much a whole output may take before its runs end: hours of GPUs, money, a moment, rows. It decides no text.

Knows numbers and moments; nothing of what was spent, or of who ends a run.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime, time, timedelta, timezone, tzinfo
from typing import Annotated
from zoneinfo import ZoneInfo

from pydantic import Field, field_validator

from relabel.spec.section import Section

_SHAPE = "write 06:00Z, 06:00+01:00, 06:00 Europe/Berlin or 2026-11-29T06:00:00+01:00, always with its zone"
_TIME = re.compile(r"(\d{2}:\d{2}(?::\d{2})?)(?:(Z)|([+-]\d{2}):(\d{2})| ([A-Za-z][\w+-]*(?:/[\w+-]+)*))")


class Budget(Section):
    """How much may be spent on the whole output, by all its runs together. A run ends where one of them is reached,
    with exit code 1; what is begun then is finished, and the same command goes on once the budget is raised."""

    gpu_hours: Annotated[float, Field(gt=0, le=1e9, allow_inf_nan=False)] | None = None
    """Hours of generation on all GPUs, as `relabel plan --sample` counts them: an actor without a GPU counts as one."""
    dollars: Annotated[float, Field(gt=0, le=1e12, allow_inf_nan=False)] | None = None
    """The same as money: GPU hours times `resources.price.gpu_hour`."""
    until: str | None = None
    """The moment by which the run ends: a time of day, such as `06:00 Europe/Berlin` or `06:00+01:00`, of which the
    next one after its start counts, or a date and time such as `2026-11-29T06:00:00+01:00`. The zone is part of it."""
    rows: Annotated[int, Field(ge=1)] | None = None
    """The most rows that the output may come to hold. Units are done as a whole: it ends with the last that fits."""

    @field_validator("until", mode="before")
    @classmethod
    def _is_text(cls, until: object) -> object:
        return until.isoformat() if isinstance(until, datetime) else until  # what YAML takes an unquoted one for

    @field_validator("until")
    @classmethod
    def _is_a_moment(cls, until: str | None) -> str | None:
        if until is not None:
            _moment(until, datetime.now(UTC))
        return until

    @property
    def is_set(self) -> bool:
        """Whether there is any limit."""
        return any(getattr(self, name) is not None for name in Budget.model_fields)

    def ends_at(self, start: datetime) -> datetime | None:
        """When a run ends that began at `start`, which has a zone; None where no moment is named."""
        return None if self.until is None else _moment(self.until, start)


def _moment(text: str, start: datetime) -> datetime:
    found = _TIME.fullmatch(text.strip())
    try:
        if found is None:
            moment = datetime.fromisoformat(text.strip())
            if moment.tzinfo is None or "T" not in text.upper().replace(" ", "T"):
                raise ValueError(_SHAPE)
            return moment
        zone = _zone(found)
        here = start.astimezone(zone)
        at = time.fromisoformat(found[1])
        # by the wall clock of that zone: a day may have 23 hours
        today = datetime.combine(here.date(), at, zone)
        return today if today > start else datetime.combine(here.date() + timedelta(days=1), at, zone)
    except (ValueError, OverflowError):
        raise ValueError(f"it is no moment with a zone; {_SHAPE}") from None


def _zone(found: re.Match[str]) -> tzinfo:
    if found[2]:
        return UTC
    if found[3]:
        east = timedelta(hours=int(found[3][1:]), minutes=int(found[4]))
        return timezone(east if found[3][0] == "+" else -east)
    try:
        return ZoneInfo(found[5])
    except (OSError, ValueError, KeyError):  # KeyError: no such zone
        raise ValueError(_SHAPE) from None
