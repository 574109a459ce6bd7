"""The tests marked `gpu`, a file at a time. In a dry run a CPU takes the place of the device, where one can."""

from __future__ import annotations

import os
from functools import partial
from pathlib import Path

import pytest

from benchmarks.gpu.answer import answer, is_dry
from benchmarks.gpu.plan import CHECKS

FOLDER = Path("tests/engine/cuda")
TIMEOUT = 50


class Outcomes:
    """What became of each test."""

    def __init__(self) -> None:
        self.passed: list[str] = []
        self.skipped: dict[str, str] = {}
        self.failed: dict[str, str] = {}

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        name = report.nodeid.rpartition("::")[2]
        if report.failed:
            self.failed[name] = _last(report.longreprtext)
        elif report.skipped:
            self.skipped[name] = _last(report.longreprtext)
        elif report.when == "call":
            self.passed.append(name)

    def pytest_collectreport(self, report: pytest.CollectReport) -> None:
        if report.failed:
            self.failed[report.nodeid] = _last(report.longreprtext)


def check(name: str) -> dict[str, object]:
    """The tests of one file."""
    outcomes = Outcomes()
    arguments = [str(FOLDER / f"test_{name}.py"), "-m", "gpu", "-p", "no:cacheprovider"]
    code = pytest.main([*arguments, f"--timeout={TIMEOUT}", "-q", "--tb=short"], plugins=[outcomes])
    if not (outcomes.passed or outcomes.failed or outcomes.skipped):
        raise RuntimeError(f"pytest found no test and ended with {code}")
    figures: dict[str, object] = {"passed": len(outcomes.passed), "skipped": outcomes.skipped}
    if outcomes.failed:
        figures |= {"failed": outcomes.failed, "error": "; ".join(outcomes.failed)[:500]}
        figures["device_lost"] = any("CUDA error" in why for why in outcomes.failed.values())
    return figures


def _last(text: str) -> str:
    return " ".join(text.split())[-600:]


def main() -> None:
    if is_dry():
        os.environ["RELABEL_GPU_TESTS_ON"] = "cpu"
    answer({name: partial(check, name) for name in CHECKS})


if __name__ == "__main__":
    main()
