"""How soon SIGTERM and SIGINT end a run, at moments from its first second to the middle of its work.

No test of the gate: nothing is timed there.

    OMP_NUM_THREADS=1 python -m tests.chaos.stops [--times 3] [--out FILE]

Each time: `python jobs/relabel.py spec.yaml` in a session of its own, one signal to its driver so many seconds after
the start, and the time until that process has ended. The figures are the median and the slowest seconds by moment, and
the exit codes; before its second or so the interpreter is still importing, and ends as Python does.
"""

import json
import os
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import typer
import yaml

import relabel

ROOT, RESULTS = Path(__file__).parents[2], Path(__file__).with_name("results")
MODEL = Path(relabel.__file__).parent / "demo/model"
MOMENTS = (1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 8.0, 10.0, 14.0, 18.0, 25.0)
"""Seconds: the spec, the plan, Ray's start from the second or third to the eighth, the model, then generation."""
NUM_ROWS = 20_000


def main(times: int = 3, out: Path = RESULTS / "stops.json") -> None:
    seconds: dict[float, list[float]] = {moment: [] for moment in MOMENTS}
    codes: list[int] = []
    signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell has background commands ignore it, and their own
    with tempfile.TemporaryDirectory(prefix="stops-", ignore_cleanup_errors=True) as scratch:
        spec = write_spec(Path(scratch))
        for turn in range(times):
            for moment in MOMENTS:
                code, took = stopped(spec, moment, (signal.SIGTERM, signal.SIGINT)[turn % 2])
                seconds[moment].append(took)
                codes.append(code)
    figures = {
        "cores": os.cpu_count(),
        "exit_codes": {code: codes.count(code) for code in sorted(set(codes))},
        "slowest": round(max(max(took) for took in seconds.values()), 2),
        "by_moment": {
            moment: {"median": round(statistics.median(took), 2), "slowest": round(max(took), 2)}
            for moment, took in seconds.items()
        },
    }
    out.write_text(json.dumps(figures, indent=2) + "\n")
    print(json.dumps(figures))


def write_spec(folder: Path) -> Path:
    (folder / "a.jsonl").write_text(
        "".join(json.dumps({"alt": f"{row} red circles"}) + "\n" for row in range(NUM_ROWS))
    )
    fields = {
        "source": {"path": str(folder / "a.jsonl"), "format": "jsonl", "unit_rows": 64},
        "prompt": {"user": "{{ alt }}"},
        "model": {"path": str(MODEL), "dtype": "float32"},
        "sampling": {"max_new_tokens": 64, "min_new_tokens": 64},
        "output": {"path": str(folder / "out")},
        "resources": {"actors": 1, "gpus_per_actor": 0},
    }
    (folder / "spec.yaml").write_text(yaml.safe_dump(fields))
    return folder / "spec.yaml"


def stopped(spec: Path, moment: float, number: signal.Signals) -> tuple[int, float]:
    """The exit code, and the seconds from the signal to the end."""
    process = subprocess.Popen(
        [sys.executable, str(ROOT / "jobs/relabel.py"), str(spec)],
        env={name: value for name, value in os.environ.items() if name != "RAY_ADDRESS"},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    time.sleep(moment)
    sent = time.monotonic()
    process.send_signal(number)
    code = process.wait()
    took = time.monotonic() - sent
    time.sleep(5)  # its workers end meanwhile
    return code, took


if __name__ == "__main__":
    typer.run(main)
