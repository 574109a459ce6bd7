"""What a person sees of runs that are at work somewhere: their last words, from any machine that reads the output.

Reads what `data/runs` hears. While it is watched, whether a run is silent is told by this machine's clock alone: by how
long nothing new has been heard; before, by the time that the store has of its last word.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator

from rich.console import Console
from rich.live import Live
from rich.text import Text

from relabel.data.runs.heard import CLOCKS_APART, SILENT_PERIODS, Heard, Hearing, Runs

LOOK_SECONDS = 2.0
SAY_SECONDS = 30.0
"""Between two looks in a log."""
GIVE_UP_SECONDS = 600.0
"""Without a word from any run that has not ended: then nobody waits any more."""
NOTHING = "no run has said how far it is: all was done already, or an earlier version did it"


def lines(runs: Runs, unheard: Callable[[Heard], float] = lambda one: one.age) -> Iterator[str]:
    """What is to be said of the runs, line by line; `unheard` has the seconds since a run was heard of."""
    if not runs.heard:
        yield NOTHING
    for one in runs.shown:
        yield from _of_run(one, unheard(one))
    if runs.heard:
        yield f"all runs: {len(runs.heard):,}, {_spent(runs.gpu_hours, runs.dollars())}"
    if runs.unreadable:
        yield f"{len(runs.unreadable)} documents of runs cannot be read, the first {runs.unreadable[0]}"


def watch(
    hearing: Hearing,
    console: Console,
    *,
    sleep: Callable[[float], object] = time.sleep,
    clock: Callable[[], float] = time.monotonic,
) -> None:
    """Show what is heard until every run has ended, or nothing has been heard for ten minutes.

    Raises StoreFailed where the output cannot be listed. `sleep` and `clock` are those of the machine.
    """
    ears = _Ears()
    live = Live(console=console, auto_refresh=False) if console.is_terminal else None
    if live is not None:
        live.start()
    try:
        while True:
            runs = hearing()
            ears.listen(runs, clock())
            said = Text("\n".join(lines(runs, ears.unheard)))
            if live is None:
                console.print(said, soft_wrap=True)
            else:
                live.update(said, refresh=True)
            if all(ears.unheard(one) > GIVE_UP_SECONDS for one in runs.live):
                return
            sleep(SAY_SECONDS if live is None else LOOK_SECONDS)
    finally:
        if live is not None:
            live.stop()


class _Ears:
    """When each run was last heard to say something new."""

    def __init__(self) -> None:
        self._last: dict[str, tuple[float, float]] = {}
        """What a run said the time to be, and when that was new here, as far as the store can tell at first."""
        self._now = 0.0

    def listen(self, runs: Runs, now: float) -> None:
        self._now = now
        for one in runs.heard:
            before = self._last.get(one.beat.run)
            if before is None:
                self._last[one.beat.run] = one.beat.said, now - max(0.0, one.age)
            elif before[0] != one.beat.said:
                self._last[one.beat.run] = one.beat.said, now

    def unheard(self, one: Heard) -> float:
        return self._now - self._last[one.beat.run][1]


def _of_run(one: Heard, unheard: float) -> Iterator[str]:
    beat = one.beat
    is_silent = not beat.is_over and unheard > SILENT_PERIODS * beat.period
    heard = (
        f"not heard of for {_long(unheard)}: it was killed, or cannot reach the output"
        if is_silent
        else f"heard of {_long(max(0.0, unheard))} ago"
    )
    yield f"{beat.command} {beat.run} on {beat.host}: {beat.state}, {heard}"
    if beat.why is not None:
        yield f"  why       {beat.why}"
    share = f" ({beat.rows / beat.num_rows:.1%})" if beat.num_rows else ""
    rates = "" if beat.rows_per_second is None else f", {beat.rows_per_second:,.1f} rows/s"
    rates += "" if beat.tokens_per_second is None else f", {beat.tokens_per_second:,.0f} tokens/s"
    left = "" if beat.is_over or beat.seconds_left is None else f", {_long(beat.seconds_left)} left"
    failed = f", {beat.failed:,} units failed" if beat.failed else ""
    yield f"  rows      {beat.rows:,} of {beat.num_rows:,}{share}{rates}{left}{failed}"
    reasons = sorted(beat.reasons.items(), key=lambda reason: (-reason[1], reason[0]))
    named = ": " + ", ".join(f"{code} {number:,}" for code, number in reasons) if reasons else ""
    yield f"  rejected  {beat.rejected:,}{named}"
    engines = beat.engines
    batching = f", {', '.join(engines.batching)} batching" if engines.batching else ""
    gpus = f"{engines.gpus:g} GPUs each" if engines.gpus else "without GPUs: each counts like one"
    yield f"  engines   {engines.up} of {engines.planned} up: {engines.name}{batching}, {gpus}"
    yield f"  spent     {_spent(beat.spent_hours, beat.spent_dollars())}{_of_budget(one)}"
    for error in beat.errors:
        yield f"  error     {error}"
    if one.age < -CLOCKS_APART:
        yield f"  clock     this machine's is {_long(-one.age)} behind the store's"
    if abs(one.clocks_apart) > CLOCKS_APART:
        where = "ahead of" if one.clocks_apart > 0 else "behind"
        yield f"  clock     the driver's is {_long(abs(one.clocks_apart))} {where} the store's"


def _of_budget(one: Heard) -> str:
    limits = [f"{name} {value}" for name, value in one.beat.budget.items()]
    return f"; the budget: {', '.join(limits)}" if limits else ""


def _spent(hours: float, dollars: float | None) -> str:
    return f"{hours:.4g} GPU hours" + ("" if dollars is None else f", ${dollars:,.2f}")


def _long(seconds: float) -> str:
    """A time for a person."""
    if seconds < 120:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 7200 else f"{seconds / 3600:.1f} h"
