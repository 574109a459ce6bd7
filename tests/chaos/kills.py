"""Random kills, until every row is counted.

No test of the gate: it takes an hour. For each output: `python jobs/relabel.py spec.yaml` over units of one row, which
travel in handfuls, with two engines and `resources.copies`, and `kill -9` of a random process of it at random moments
once its first part is there: the driver, an actor that generates, the publisher, an actor that reads. After a driver's
death its Ray processes end by themselves; then the same command is started again. Into a fifth of the outputs two runs
go at once. In half of the runs one engine is held up nine tenths of the time, so that the other makes copies at the
end. After the output's share of kills the last run ends by itself, and every row is counted.

    OMP_NUM_THREADS=1 python -m tests.chaos.kills [--kills 200] [--outputs 25] [--seed 0] [--out FILE]

More outputs are made where runs ended before their kills. The figures so far are written after each output; the last
line on stdout is their JSON. Exit code 0: no row doubled, missing or rejected, no part unreadable or replaced, and no
run ended by itself with another exit code than 0.

  duplicates, missing  rows, by pyarrow alone
  unreadable           problems that `verify` names: checksums, stamps, schema
  replaced             parts that were there at a kill and are another file at the end
  rejected             rows; the model writes what any row can be labelled with, so only a kill can reject one
  ended_by_themselves  how often a run ended by itself with another exit code than 0, by the last line that it said
  delivered_twice      units brought to an end by more than one run: what all runs delivered minus the units. Of a run
                       that ended: the figure in its JSON line; of one that was killed: the parts that appeared in its
                       time. Not countable, and left out, where one of two runs at once was killed (`uncounted` outputs)
  at_risk              the units of UNITS_AT_ONCE handfuls for each engine that was killed, alone or with its driver:
                       how many may be generated again after the kills, but for those that were waiting for the
                       publisher of a killed driver. How many really were cannot be seen from outside
"""

import importlib.metadata
import json
import os
import platform
import random
import signal
import sys
import tempfile
import threading
import time
from collections import Counter
from pathlib import Path

import pyarrow.parquet as pq
import typer
import yaml

import relabel
from relabel.data.output.verify import verify
from relabel.data.store.store import Store
from relabel.job.stream.handful import units_together
from relabel.job.worker import UNITS_AT_ONCE
from tests.chaos.runs import NUM_ENGINES, Run, hold_up_an_engine_of, parts_of, processes_of
from tests.faults.processes import command_line, descendants

RESULTS = Path(__file__).with_name("results")
MODEL = Path(relabel.__file__).parent / "demo/model"
PACKAGES = ("ray", "torch", "transformers", "pyarrow", "obstore")
FILES = {"a.jsonl": 400, "b.jsonl": 240}
EXPECTED = {(file, row) for file, rows in FILES.items() for row in range(rows)}
NUM_UNITS = len(EXPECTED)
WEIGHTS = {"driver": 1, "generator": 3, "publisher": 2, "reader": 3}
"""How often each is chosen of those that are alive."""
LONGEST_PAUSE = 6.0
SHARE_OF_PAIRS, SHARE_HELD_UP = 0.2, 0.5
MOST_KILLS, MOST_RUNS = 8, 20
PATIENCE = 1200.0
BAD = ("duplicates", "missing", "strange", "unreadable", "replaced", "rejected")


def main(kills: int = 200, outputs: int = 25, seed: int = 0, out: Path = RESULTS / "kills.json") -> None:
    rng, started = random.Random(seed), time.monotonic()
    counts, killed, said = Counter[str](), Counter[str](), Counter[str]()
    at_once = UNITS_AT_ONCE * units_together(NUM_UNITS, NUM_UNITS)
    with tempfile.TemporaryDirectory(prefix="kills-", ignore_cleanup_errors=True) as scratch:
        while counts["outputs"] < outputs or killed.total() < kills:
            share = -(-(kills - killed.total()) // max(outputs - counts["outputs"], 1))
            trial = Trial(Path(scratch) / f"{counts['outputs']:04}", rng)
            trial.run(min(share, MOST_KILLS))
            trial.judge()
            counts += Counter({"outputs": 1}) + trial.counts
            killed += trial.killed
            said += trial.said
            figures = {
                "finished": counts["outputs"] >= outputs and killed.total() >= kills,
                "seed": seed,
                "kills": killed.total(),
                "kills_by_kind": {kind: killed[kind] for kind in WEIGHTS},
                **{name: counts[name] for name in ("outputs", "pairs", "runs", "held_up", "rows", *BAD)},
                "ended_by_themselves": dict(said),
                "units": counts["outputs"] * NUM_UNITS,
                **{name: counts[name] for name in ("delivered_twice", "uncounted")},
                "at_risk": at_once * (killed["generator"] + NUM_ENGINES * killed["driver"]),
                "seconds": round(time.monotonic() - started),
                "cores": os.cpu_count(),
                "versions": {"python": platform.python_version(), "relabel": relabel.__version__}
                | {name: importlib.metadata.version(name) for name in PACKAGES},
            }
            out.write_text(json.dumps(figures, indent=2) + "\n")
            print(trial.folder.name, dict(trial.killed), dict(trial.counts), file=sys.stderr, flush=True)
    print(json.dumps(figures))
    raise SystemExit(1 if said or any(counts[name] for name in BAD) else 0)


class Trial:
    """One output: its runs, their kills, and what was found at the end."""

    def __init__(self, folder: Path, rng: random.Random) -> None:
        self.folder, self._rng = folder, rng
        self.counts, self.killed, self.said = Counter[str](), Counter[str](), Counter[str]()
        self._seen: dict[str, tuple[int, int]] = {}
        self._delivered = 0
        folder.mkdir()
        for name, rows in FILES.items():
            (folder / name).write_text("".join(json.dumps({"alt": f"{row} red circles"}) + "\n" for row in range(rows)))
        fields = {
            "source": {"path": str(folder / "*.jsonl"), "format": "jsonl", "unit_rows": 1},
            "prompt": {"user": "{{ alt }}"},
            "model": {"path": str(MODEL), "dtype": "float32"},
            "sampling": {"max_new_tokens": 100, "min_new_tokens": 80, "temperature": 1.0, "seed": 3},
            "output": {"path": str(folder / "out")},
            "resources": {"actors": NUM_ENGINES, "gpus_per_actor": 0, "copies": True},
        }
        (folder / "spec.yaml").write_text(yaml.safe_dump(fields))

    def run(self, kills: int) -> None:
        """Start, kill and start again, until nothing is left to do."""
        is_pair = self._rng.random() < SHARE_OF_PAIRS
        self.counts["pairs"] += is_pair
        living = [self._start() for _ in range(1 + is_pair)]
        while living:
            run = self._rng.choice(living)
            if self.killed.total() < kills:
                self._kill_one(run, of_several=len(living) > 1)
            else:
                run.process.wait(PATIENCE)
            for ended in [run for run in living if run.process.poll() is not None]:
                living.remove(ended)
                self._count(ended)
                if ended.process.returncode != 0:
                    living.append(self._start())

    def _start(self) -> Run:
        self.counts["runs"] += 1
        if self.counts["runs"] > MOST_RUNS:
            raise SystemExit(f"{self.folder.name}: {MOST_RUNS} runs and no end")
        run = Run(self.folder, f"run{self.counts['runs']}")
        if self._rng.random() < SHARE_HELD_UP:
            self.counts["held_up"] += 1
            threading.Thread(target=hold_up_an_engine_of, args=(run.process,), daemon=True).start()
        return run

    def _kill_one(self, run: Run, *, of_several: bool) -> None:
        """A random process of the run after a random pause with the run at work; nothing where the run ends before."""
        pause, deadline, due = self._rng.uniform(0, LONGEST_PAUSE), time.monotonic() + PATIENCE, None
        while run.process.poll() is None:
            if time.monotonic() > deadline:
                raise SystemExit(f"{self.folder.name}: a run hung: {run.last_words()}")
            found = processes_of(run.process.pid)
            if due is None and len(found) > 1 and parts_of(self.folder):
                due = time.monotonic() + pause
            if due is not None and time.monotonic() >= due and found:
                (kind,) = self._rng.choices([*found], [WEIGHTS[kind] for kind in found])
                workers = descendants(run.process.pid)
                try:
                    os.kill(self._rng.choice(found[kind]), signal.SIGKILL)
                except ProcessLookupError:  # a worker that ended meanwhile
                    continue
                self._seen = parts_of(self.folder) | self._seen
                self.killed[kind] += 1
                if kind == "driver":
                    run.is_killed = True
                    run.process.wait()
                    self.counts["uncounted"] |= of_several
                    self._wait_for_end_of(workers)
                return
            time.sleep(0.02)

    def _wait_for_end_of(self, pids: list[int]) -> None:
        """Of the workers; what Ray calls agents looks only now and then whether it is still needed."""
        deadline = time.monotonic() + 300
        while any(title.startswith("ray::") and "Agent" not in title for title in map(command_line, pids)):
            if time.monotonic() > deadline:
                raise SystemExit(f"{self.folder.name}: workers outlive their driver by five minutes")
            time.sleep(0.05)

    def _count(self, ended: Run) -> None:
        if not ended.is_killed and ended.process.returncode != 0:
            self.said[f"exit code {ended.process.returncode}: {ended.last_words()}"] += 1
        delivered = ended.num_delivered()
        self._delivered += len(parts_of(self.folder).keys() - ended.before) if delivered is None else delivered

    def judge(self) -> None:
        """Count every row."""
        rows = Counter[tuple[str, int]]()
        for path in (self.folder / "out").glob("*.parquet"):
            table = pq.read_table(path, page_checksum_verification=True)
            rows.update(zip(table["source_file"].to_pylist(), table["source_row"].to_pylist(), strict=True))
        found, parts = verify(Store(str(self.folder / "out"))), parts_of(self.folder)
        self.counts["rows"] = rows.total()
        self.counts["duplicates"] = rows.total() - len(rows)
        self.counts["missing"] = len(EXPECTED - rows.keys())
        self.counts["strange"] = len(rows.keys() - EXPECTED)
        self.counts["rejected"] = found.rejected
        self.counts["unreadable"] = len(found.problems)
        self.counts["replaced"] = sum(parts.get(name) != file for name, file in self._seen.items())
        self.counts["delivered_twice"] = 0 if self.counts["uncounted"] else self._delivered - NUM_UNITS


if __name__ == "__main__":
    typer.run(main)
