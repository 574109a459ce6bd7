"""What is done with each way: a run as it should be, one whose driver is killed, one with bad rows, two at once.

Knows ways and how they are watched; nothing of how they work.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from benchmarks.peers.outcome import Outcome, read_outcome
from benchmarks.peers.tasks import BAD_ROWS, NULL, TOO_LONG, UNIT_ROWS, Task
from benchmarks.peers.watch import watch, watch_both
from benchmarks.peers.ways import OWN, Way

Figures = dict[str, object]


def whole(ways: Mapping[str, Way], task: Task, folder: Path) -> dict[str, Figures]:
    """Each way alone, to its end: how fast, and whether its texts are those of relabel's own engine."""
    found: dict[str, Figures] = {}
    outcomes: dict[str, Outcome] = {}
    for name, way in ways.items():
        place = _place(folder, task.name, name)
        run = watch(way(task, place), place / "out", place / "log")
        outcomes[name] = outcome = read_outcome(place / "out", task.num_rows)
        own = outcomes[OWN].texts
        found[name] = {
            "exit_code": run.exit_code,
            "seconds": round(run.seconds, 1),
            "start_up_seconds": run.first_seconds and round(run.first_seconds, 1),
            "rows_per_second": round(task.num_rows / run.seconds, 2),
            "rows_per_second_once_up": _rate(task.num_rows, run.first_seconds, run.last_seconds),
            "processor_seconds": round(run.processor_seconds, 1),
            "texts_unlike_relabels": sum(_differ(outcome.texts.get(row), own.get(row)) for row in range(task.num_rows)),
            **outcome.to_json(),
        }
        print(f"{task.name}: {name}: {found[name]}", flush=True)
    return found


def killed(ways: Mapping[str, Way], task: Task, folder: Path) -> dict[str, Figures]:
    """The driver is killed once a third of the files are there, and the same command is given again."""
    found: dict[str, Figures] = {}
    for name, way in ways.items():
        place = _place(folder, "killed", name)
        at = max(1, task.num_rows // UNIT_ROWS // 3)
        first = watch(way(task, place), place / "out", place / "log", kill_at=at)
        kept = read_outcome(place / "out", task.num_rows)
        again = watch(way(task, place), place / "out", place / "log")
        found[name] = {
            "killed": first.exit_code == -9,  # else it ended by itself, before that many files were there
            "rows_kept": kept.times.total(),
            "processes_left_after_5_s": first.left,
            "exit_code": again.exit_code,
            "seconds_of_the_second_run": round(again.seconds, 1),
            **read_outcome(place / "out", task.num_rows).to_json(),
        }
        print(f"killed: {name}: {found[name]}", flush=True)
    return found


def bad_rows(ways: Mapping[str, Way], task: Task, folder: Path) -> dict[str, Figures]:
    """One prompt is longer than the model's context, and one text is null."""
    found: dict[str, Figures] = {}
    for name, way in ways.items():
        place = _place(folder, "bad", name)
        run = watch(way(task, place), place / "out", place / "log")
        outcome = read_outcome(place / "out", task.num_rows)
        found[name] = {
            "exit_code": run.exit_code,
            "too_long": _fate(outcome, TOO_LONG),
            "null": _fate(outcome, NULL),
            "other_rows_labelled": sum(row not in BAD_ROWS for row in outcome.texts),
            **{key: value for key, value in outcome.to_json().items() if key != "labelled"},
        }
        print(f"bad rows: {name}: {found[name]}", flush=True)
    return found


def at_once(ways: Mapping[str, Way], task: Task, folder: Path) -> dict[str, Figures]:
    """Two runs begin at the same time and write into the same output."""
    found: dict[str, Figures] = {}
    for name, way in ways.items():
        place = _place(folder, "at-once", name)
        codes = watch_both([way(task, place)] * 2, [place / "log-1", place / "log-2"])
        found[name] = {"exit_codes": codes, **read_outcome(place / "out", task.num_rows).to_json()}
        print(f"two at once: {name}: {found[name]}", flush=True)
    return found


def _differ(text: str | None, other: str | None) -> bool:
    """Whether two texts differ in more than the space around them, which a label has not; none is empty."""
    return (text or "").strip() != (other or "").strip()


def _place(folder: Path, scenario: str, name: str) -> Path:
    place = folder / scenario / "".join(letter if letter.isalnum() else "-" for letter in name)
    place.mkdir(parents=True)
    return place


def _rate(num_rows: int, first: float | None, last: float | None) -> float | None:
    """Rows a second behind the first file; None where all came at once."""
    if first is None or last is None or last - first < 1:
        return None
    return round((num_rows - UNIT_ROWS) / (last - first), 2)


def _fate(outcome: Outcome, row: int) -> str:
    if row not in outcome.times:
        return "lost"
    return f"rejected: {outcome.rejects[row]}" if row in outcome.rejects else "labelled"
