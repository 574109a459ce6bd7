"""The one JSON of a run: the machine, and the figures of every item, written anew after each. Measures nothing."""

from __future__ import annotations

import importlib.metadata
import json
import os
import platform
import re
import subprocess
import sys
import tempfile
import time
from pathlib import Path

RESULTS = Path(__file__).parents[1] / "results"
PACKAGES = ("torch", "transformers", "triton", "numpy", "llguidance")


def describe_machine(dry: bool) -> dict[str, object]:
    """The card by nvidia-smi, its state, cores and versions."""
    asked = "name,driver_version,memory.total,clocks.sm,clocks.mem,temperature.gpu,power.draw"
    card = _said(["nvidia-smi", f"--query-gpu={asked}", "--format=csv,noheader"])
    if card is None and not dry:  # it may not be on the path
        card = _said([sys.executable, "-c", "import torch; print(torch.cuda.get_device_name(0))"])
    return {
        "card": "dry" if dry else (card or "none").split(",")[0].strip(),
        "nvidia_smi": {"asked": asked, "said": card},
        "cores": len(os.sched_getaffinity(0)),
        "versions": {name: _version(name) for name in PACKAGES} | {"python": platform.python_version()},
        "commit": _said(["git", "rev-parse", "HEAD"]),
        "began": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
    }


class Report:
    """Where the figures go: `$OUT` where that is set, else benchmarks/results/, in a dry run a new folder."""

    def __init__(self, machine: dict[str, object], *, dry: bool) -> None:
        folder = os.environ.get("OUT") or (tempfile.mkdtemp(prefix="relabel-gpu-") if dry else str(RESULTS))
        card = re.sub(r"[^a-z0-9]+", "_", str(machine["card"]).lower().removeprefix("nvidia ")).strip("_")
        self.path = Path(folder) / f"gpu_{card}.json"
        self.path.parent.mkdir(parents=True, exist_ok=True)
        self.figures: dict[str, object] = dict(machine)
        self.parts: dict[str, dict[str, dict[str, object]]] = {}
        self._started = time.monotonic()

    @property
    def seconds(self) -> float:
        """Since the report was begun."""
        return time.monotonic() - self._started

    def add(self, part: str, item: str, figures: dict[str, object]) -> None:
        """Print an item, and write all that is known so far."""
        self.parts.setdefault(part, {})[item] = figures
        shown = ", ".join(f"{name} {_short(value)}" for name, value in figures.items() if _is_plain(value))
        print(f"[{self.seconds:5.0f} s] {part} / {item}: {shown}", flush=True)
        whole = {**self.figures, "seconds": round(self.seconds, 1), "parts": self.parts}
        draft = self.path.with_suffix(".draft")
        draft.write_text(json.dumps(whole, indent=1) + "\n", encoding="utf-8")
        draft.replace(self.path)


def _is_plain(value: object) -> bool:
    return isinstance(value, bool | int | float | str)


def _short(value: object) -> str:
    return f"{value:,.4g}" if isinstance(value, float) else f"{value:,}" if type(value) is int else str(value)


def _version(name: str) -> str | None:
    try:
        return importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        return None


def _said(command: list[str]) -> str | None:
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=True)
    except (OSError, subprocess.SubprocessError):
        return None
    return done.stdout.strip().splitlines()[0] if done.stdout.strip() else None
