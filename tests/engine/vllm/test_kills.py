"""Kill any process of a run by vLLM at any moment: the same command ends exact, and nothing of what died is left."""

import json
import os
import signal
from pathlib import Path

import pytest
import yaml

from relabel import make_spec, run
from relabel.data.output.verify import verify
from relabel.data.store.store import Store
from relabel.job.local import InProcess
from tests.engine.vllm.watched import Family, Watched, assert_gone, seconds_of, with_all_below
from tests.faults.processes import command_line, descendants
from tests.reading import assert_every_row_once

pytestmark = [pytest.mark.vllm, pytest.mark.fault, pytest.mark.timeout(1800)]

NUM_UNITS, UNIT_ROWS = 12, 8
ROWS = {"a.jsonl": NUM_UNITS * UNIT_ROWS}
NUM_TOKENS, STEP_ROWS = 240, 4
"""Few rows a step, so that units take seconds in which they can be killed."""


def fields_of(folder: Path, model: Path, engine: str) -> dict:
    return {
        "source": {"path": str(folder / "a.jsonl"), "format": "jsonl", "unit_rows": UNIT_ROWS},
        "prompt": {"user": "{{ alt }}"},
        "model": {"path": str(model), "dtype": "float32", "max_prompt_tokens": 256, "engine": engine},
        "sampling": {"max_new_tokens": NUM_TOKENS, "min_new_tokens": NUM_TOKENS},
        "output": {"path": str(folder / "out")},
        "resources": {"gpus_per_actor": 0, **({"kv_memory": 2**28} if engine == "vllm" else {})},
        **({"vllm": {"eager": True, "max_rows": STEP_ROWS}} if engine == "vllm" else {}),
    }


def write_rows(folder: Path) -> None:
    rows = [{"alt": f"circle number {row}"} for row in range(ROWS["a.jsonl"])]
    (folder / "a.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))


def texts_of(folder: Path) -> list[str]:
    assert verify(Store(str(folder / "out"))).problems == ()
    rows = assert_every_row_once(folder / "out", ROWS)
    assert {row["status"] for row in rows} == {"ok"}
    return [row["text"] for row in rows]


@pytest.fixture(scope="module")
def own(folder, tmp_path_factory):
    """The texts of relabel's own engine."""
    place = tmp_path_factory.mktemp("own")
    write_rows(place)
    assert run(make_spec(fields_of(place, folder, "relabel")), execute=InProcess()).complete
    return texts_of(place)


@pytest.fixture
def spec(folder, tmp_path):
    write_rows(tmp_path)
    (tmp_path / "spec.yaml").write_text(yaml.safe_dump(fields_of(tmp_path, folder, "vllm")))
    return tmp_path / "spec.yaml"


@pytest.fixture
def begin(spec):
    begun = []

    def one() -> Watched:
        begun.append(Watched(spec))
        return begun[-1]

    yield one
    for one_run in begun:
        one_run.kill()


def while_loading(run: Watched) -> Family:
    return run.new_family()


def while_generating(run: Watched) -> Family:
    """It is up, most units are yet to come, and the worker computes."""
    family = run.new_family()
    run.wait_for(family.is_up)
    before = seconds_of(family.worker)
    run.wait_for(lambda: seconds_of(family.worker) > before + 0.3)
    return family


def while_publishing(run: Watched) -> Family:
    """Bytes of one more part are there or have just got their name, and most units are yet to come."""
    family = run.new_family()
    run.wait_for(family.is_up)  # while it loads, what the one before it generated may still be published
    before, staged = run.num_parts(), run.staged()
    run.wait_for(lambda: run.staged() - staged or run.num_parts() > before, every=0.001)
    return family


MOMENTS = {"loading": while_loading, "generating": while_generating, "publishing": while_publishing}


@pytest.mark.parametrize("victim", ["core", "worker", "actor"])
def test_a_run_goes_on_whatever_of_its_engine_is_killed(begin, own, tmp_path, victim):
    run = begin()
    for moment, come in MOMENTS.items():
        family = come(run)
        begins_another = moment == "loading" and victim != "actor"
        left = with_all_below(family.core if begins_another else family.actor)
        os.kill(getattr(family, victim), signal.SIGKILL)
        assert moment != "loading" or run.num_parts() == 0
        assert_gone(left)
    assert run.num_parts() < NUM_UNITS
    assert run.end()["complete"]
    assert texts_of(tmp_path) == own
    assert begin().end()["done_now"] == {}, "the same command has nothing left to do"
    assert texts_of(tmp_path) == own


def test_the_same_command_goes_on_where_its_driver_was_killed(begin, own, tmp_path):
    for moment, come in MOMENTS.items():
        run = begin()
        come(run)
        # two of Ray's ask after it for up to a minute; they hold nothing
        below = [pid for pid in descendants(run.process.pid) if "Agent" not in command_line(pid)]
        run.process.kill()
        run.process.wait()
        assert moment != "loading" or run.num_parts() == 0
        assert_gone(below)
    kept = run.num_parts()
    assert kept < NUM_UNITS
    figures = begin().end()
    assert figures["complete"]
    assert figures["done_now"]["units"] == NUM_UNITS - kept
    assert texts_of(tmp_path) == own
