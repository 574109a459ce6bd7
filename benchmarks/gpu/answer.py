"""The side of a process that measures: names come in by stdin, and for each one line of JSON goes out by stdout.

Knows how to answer; nothing of what is measured.
"""

from __future__ import annotations

import argparse
import gc
import json
import os
import sys
import time
import traceback
from collections.abc import Callable, Mapping

import torch

from relabel.engine.model.faults import is_device_fault

Measure = Callable[[], Mapping[str, object]]


def is_dry() -> bool:
    """Whether this process was started with --dry: a CPU and tiny shapes."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--dry", action="store_true")
    return parser.parse_args().dry


def device_of(dry: bool) -> torch.device:
    """What is measured on; one thread of a CPU in a dry run."""
    if dry:
        torch.set_num_threads(1)
        return torch.device("cpu")
    return torch.device("cuda", 0)


def answer(measures: Mapping[str, Measure]) -> None:
    """Until stdin ends. What anything else prints goes to stderr."""
    out = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    for line in sys.stdin:
        started = time.perf_counter()
        try:
            figures = dict(measures[line.strip()]())
        except Exception as error:  # noqa: BLE001  what a device may raise is not known, and the next item may go
            traceback.print_exc()
            figures = {"error": f"{type(error).__name__}: {' '.join(str(error).split())[:500]}"}
            figures["device_lost"] = is_device_fault(error)
        figures["took_seconds"] = round(time.perf_counter() - started, 2)
        out.write(json.dumps(figures) + "\n")
        out.flush()
        if figures.get("device_lost"):
            os._exit(3)  # no later call on this device can succeed in this process
        gc.collect()
        if torch.cuda.is_available():
            torch.cuda.empty_cache()
