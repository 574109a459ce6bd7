"""What `relabel status` shows of runs that are at work elsewhere."""

import io
import json
import subprocess
import sys

import pytest
from rich.console import Console
from typer.testing import CliRunner

from relabel.cli import app
from relabel.data.runs.beat import Engines
from relabel.data.runs.heard import Heard, Hearing, Runs, say
from relabel.data.store.store import Store
from relabel.watching import GIVE_UP_SECONDS, NOTHING, lines, watch
from tests.data.runs.beats import beat


def heard(age=4.0, clocks_apart=0.1, **fields):
    return Heard(beat=beat(**fields), age=age, clocks_apart=clocks_apart)


AT_WORK = {
    "num_rows": 100_000,
    "rows": 12_345,
    "rejected": 120,
    "reasons": {"image": 20, "parse": 100},
    "failed": 2,
    "rows_per_second": 41.24,
    "tokens_per_second": 2103.4,
    "seconds_left": 2125.0,
    "engines": Engines(name="vllm", up=7, planned=8, gpus=4.0, batching=("continuous",)),
    "gpu_hours": 12.0,
    "price": 2.5,
    "budget": {"gpu_hours": 400.0, "until": "06:00Z"},
    "errors": ("b-00001.parquet: generating failed with ValueError",),
}


def test_a_run_at_work_is_shown_with_its_rate_rejects_engines_and_what_it_has_spent():
    runs = Runs(heard=[heard(run="1", state="ended", gpu_hours=8.0), heard(run="2", **AT_WORK)])
    assert list(lines(runs)) == [
        "run 2 on gpu-1: running, heard of 4 s ago",
        "  rows      12,345 of 100,000 (12.3%), 41.2 rows/s, 2,103 tokens/s, 35 min left, 2 units failed",
        "  rejected  120: parse 100, image 20",
        "  engines   7 of 8 up: vllm, continuous batching, 4 GPUs each",
        "  spent     12.08 GPU hours, $30.19; the budget: gpu_hours 400.0, until 06:00Z",
        "  error     b-00001.parquet: generating failed with ValueError",
        "all runs: 2, 20.08 GPU hours, $30.19",
    ]


def test_a_run_that_is_silent_is_said_to_be_and_so_are_clocks_that_differ():
    said = "\n".join(lines(Runs(heard=[heard(age=150.0, clocks_apart=-90.0)], unreadable=["_runs/x"])))
    assert "running, not heard of for 2 min: it was killed, or cannot reach the output" in said
    assert "the driver's is 90 s behind the store's" in said
    assert "1 documents of runs cannot be read, the first _runs/x" in said
    said = "\n".join(lines(Runs(heard=[heard(age=-30.0, state="failed", why="Ray ended the run")])))
    assert "failed, heard of 0 s ago\n  why       Ray ended the run" in said
    assert "this machine's is 30 s behind the store's" in said


def test_where_no_run_has_said_anything_that_is_said():
    assert list(lines(Runs(heard=[]))) == [NOTHING]


class Machine:
    """A clock that goes on while somebody sleeps, and what happens meanwhile."""

    def __init__(self, *happens):
        self.now, self._happens = 1000.0, iter(happens)

    def sleep(self, seconds):
        self.now += seconds
        next(self._happens, lambda: None)()


def watched(store, machine, **how):
    out = io.StringIO()
    watch(Hearing(store), Console(file=out, width=200, **how), sleep=machine.sleep, clock=lambda: machine.now)
    return out.getvalue()


def test_a_run_is_watched_until_it_has_ended(tmp_path):
    store = Store(str(tmp_path / "out"))
    say(store, beat(state="starting"))
    machine = Machine(
        lambda: say(store, beat(said=1110.0, rows=60)),
        lambda: say(store, beat(said=1120.0, rows=90)),
        lambda: say(store, beat(said=1130.0, rows=120, state="ended")),
    )
    said = watched(store, machine)
    assert [line.split(":")[1] for line in said.splitlines() if line.startswith("run ")] == [
        " starting, heard of 0 s ago",
        " running, heard of 0 s ago",
        " running, heard of 0 s ago",
        " ended, heard of 0 s ago",
    ]
    assert "120 of 120 (100.0%)" in said


def test_whoever_watches_needs_no_clock_but_his_own(tmp_path):
    """The store says a time of another year; nothing new is heard for a minute, then something is."""
    store = Store(str(tmp_path / "out"))
    say(store, beat())
    hearing = Hearing(store, now=lambda: 1e8)
    machine = Machine(
        lambda: None,
        lambda: None,
        lambda: say(store, beat(said=1130.0)),
        lambda: say(store, beat(said=1140.0, state="stopped")),
    )
    out = io.StringIO()
    watch(hearing, Console(file=out, width=200), sleep=machine.sleep, clock=lambda: machine.now)
    states = [line.split("gpu-1: ")[1] for line in out.getvalue().splitlines() if line.startswith("run ")]
    assert states[2] == "running, not heard of for 60 s: it was killed, or cannot reach the output"
    assert states[3] == "running, heard of 0 s ago"


@pytest.mark.parametrize("is_terminal", [False, True])
def test_nobody_waits_for_ever_for_a_run_that_was_killed(tmp_path, is_terminal):
    store, machine = Store(str(tmp_path / "out")), Machine()
    say(store, beat())
    said = watched(store, machine, force_terminal=is_terminal)
    assert "it was killed, or cannot reach the output" in said
    assert GIVE_UP_SECONDS - 1 < machine.now - 1000.0 < GIVE_UP_SECONDS + 60


def test_the_last_word_of_a_run_that_has_ended_is_read_once(tmp_path):
    store = Store(str(tmp_path / "out"))
    say(store, beat("1", state="ended"))
    hearing = Hearing(store)
    first = hearing().heard[0].beat
    assert hearing().heard[0].beat is first
    say(store, beat("1", state="failed"))
    assert hearing().heard[0].beat.state == "failed"


@pytest.mark.parametrize("arguments", [[], ["--watch"]])
def test_the_command_prints_one_line_and_ends_with_the_code_of_the_output(finished, tmp_path, arguments):
    result = CliRunner().invoke(app, ["status", str(tmp_path / "out"), *arguments])
    assert result.exit_code == 0
    (line,) = result.stdout.splitlines()
    figures = json.loads(line)
    assert (figures["success"], figures["runs"][0]["state"], figures["runs"][0]["rows"]) == (True, "ended", 120)
    assert figures["spent"]["gpu_hours"] == pytest.approx(figures["runs"][0]["gpu_hours"], abs=1e-6)
    (tmp_path / "out/a-00000.parquet").unlink()
    assert CliRunner().invoke(app, ["status", str(tmp_path / "out"), *arguments]).exit_code == 1


def test_it_imports_nothing_that_takes_seconds(finished, tmp_path):
    code = "import sys; from relabel.cli import app; app(standalone_mode=False); "
    code = f"import sys, atexit; atexit.register(lambda: print(sorted(sys.modules), file=sys.stderr)); {code}"
    ended = subprocess.run(
        [sys.executable, "-c", code, "status", str(tmp_path / "out")], capture_output=True, text=True, check=False
    )
    assert json.loads(ended.stdout)["success"]
    modules = ended.stderr.splitlines()[-1]
    assert "'relabel.watching'" in modules
    assert not [name for name in ("torch", "transformers", "ray") if f"'{name}'" in modules]
