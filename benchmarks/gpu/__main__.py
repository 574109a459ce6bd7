"""All parts in order, within the time there is: `bash benchmarks/gpu.sh`. Measures nothing itself."""

from __future__ import annotations

import argparse
import signal
import sys

from benchmarks.gpu.plan import PARTS, START_LIMIT, START_SECONDS, Part, reserved
from benchmarks.gpu.report import Report, describe_machine
from benchmarks.gpu.session import Session
from benchmarks.gpu.table import table_of

SECONDS = 470.0
"""Of eight minutes, less what it takes to start and to end."""
DRY_SECONDS = 600.0
"""It takes one minute, on a busy machine more."""


def main() -> int:
    """The exit code: 0 where every item that was begun has figures."""
    parser = argparse.ArgumentParser(description="What relabel does on one GPU.")
    parser.add_argument("--dry", action="store_true", help="on a CPU, with tiny shapes")
    parser.add_argument("--seconds", type=float, help="what all of it may take")
    parser.add_argument("--only", help="parts by name, between commas")
    given = parser.parse_args()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))  # so that the process at work is ended, too
    budget = given.seconds or (DRY_SECONDS if given.dry else SECONDS)
    report = Report(describe_machine(given.dry), dry=given.dry)
    print(f"{report.figures['card']}: at most {budget:.0f} s, figures in {report.path}", flush=True)
    for part in PARTS:
        if given.only is None or part.module in given.only.split(","):
            _measure(part, report, budget, dry=given.dry, all_parts=given.only is None)
    print(table_of(report.parts), flush=True)
    every = [figures for items in report.parts.values() for figures in items.values()]
    failed = [figures for figures in every if "error" in figures]
    print(f"{len(every)} items, {len(failed)} failed, {sum('not_run' in one for one in every)} not run: {report.path}")
    return 1 if failed else 0


def _measure(part: Part, report: Report, budget: float, *, dry: bool, all_parts: bool) -> None:
    command = [sys.executable, "-m", f"benchmarks.gpu.{part.module}", *(["--dry"] if dry else [])]
    session = Session(command, start_limit=START_LIMIT)
    try:
        for item in part.items:
            left = budget - report.seconds - (0.0 if session.is_up else START_SECONDS)
            kept = reserved(part, item) if all_parts and not item.must else 0.0
            if left - kept < item.expected and not dry:
                why = f"{left:.0f} s were left, of which {kept:.0f} are for others, and it takes {item.expected:.0f}"
                report.add(part.module, item.name, {"not_run": why})
                continue
            limit = left if dry else min(item.limit, left)
            report.add(part.module, item.name, session.ask(item.name, limit, budget - report.seconds))
    finally:
        session.close()


if __name__ == "__main__":
    sys.exit(main())
