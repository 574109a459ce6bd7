"""Whole runs that tell somebody how they ended, and that no secret of that is anywhere."""

import json
import os
import signal
import subprocess
import sys
import time

import pytest
import yaml
from typer.testing import CliRunner

import relabel
from relabel import make_spec
from relabel.cli import app
from relabel.errors import RecipeChanged, RunFailed, SpecError
from tests.job.budget.paid import beats_of, execute

SECRET = "zqxsecretcanary"


@pytest.fixture
def told(fields, listener, monkeypatch):
    """Fields of a run that tells the listener, by an address and a key that are secrets."""
    monkeypatch.setenv("HOOK", f"{listener.url}/{SECRET}?signature={SECRET}")
    monkeypatch.setenv("HOOK_KEY", f"key-{SECRET}")
    return {**fields, "notify": [{"url_env": "HOOK", "bearer_env": "HOOK_KEY"}]}


def command(fields, folder, *sets):
    (folder / "spec.yaml").write_text(yaml.safe_dump(fields))
    return ["--debug", "run", str(folder / "spec.yaml"), "--no-ray", *(part for one in sets for part in ("--set", one))]


def leaks(folder):
    """Files of an output that hold a secret."""
    files = [path for path in folder.rglob("*") if path.is_file()]
    assert files
    return [path for path in files if SECRET.encode() in path.read_bytes()]


def test_the_line_of_stdout_is_told_and_no_secret_is_anywhere(told, tmp_path, listener, caplog):
    with caplog.at_level("DEBUG"):
        stopped = CliRunner().invoke(app, command(told, tmp_path, "resources.budget={rows: 45}"))
        listener.status = 500
        ended = CliRunner().invoke(app, command(told, tmp_path))
    assert (stopped.exit_code, ended.exit_code) == (1, 0), "whoever could not be told changes nothing"
    assert listener.bodies == [json.loads(one.stdout.splitlines()[-1]) for one in (stopped, ended)]
    assert listener.bodies[0]["budget"]["reached"] == "rows"
    assert listener.headers[0]["Authorization"] == f"Bearer key-{SECRET}"
    assert caplog.messages[-1] == "notify[0] of the spec was not told how the run ended: it answered with HTTP 500"
    assert not leaks(tmp_path / "out")
    for text in (stopped.output, ended.output, caplog.text):
        assert SECRET not in text


def test_a_run_that_is_refused_or_fails_is_told_with_its_sentence(told, listener):
    def fail(units, job, **how):
        raise RunFailed("Ray ended the run")

    with pytest.raises(RunFailed):
        relabel.run(make_spec(told), execute=fail)
    assert relabel.run(make_spec(told), execute=execute).complete
    without = {name: value for name, value in told.items() if name != "notify"}
    assert relabel.run(make_spec(without), execute=execute).done_now == {}, "it is no part of the recipe"
    with pytest.raises(RecipeChanged) as refused:
        relabel.run(make_spec({**told, "sampling": {"max_new_tokens": 9}}), execute=execute)
    assert listener.bodies[0] == {"complete": False, "failed": "Ray ended the run", "exit_code": 1}
    assert listener.bodies[1]["complete"]
    assert listener.bodies[2] == {"complete": False, "failed": str(refused.value), "exit_code": 2}


def test_a_run_that_could_tell_nobody_is_refused_before_anything_is_written(told, monkeypatch, tmp_path):
    monkeypatch.delenv("HOOK_KEY")
    with pytest.raises(SpecError, match="HOOK_KEY is not set"):
        relabel.run(make_spec(told), execute=execute)
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("hangs", [False, True])
@pytest.mark.fault
def test_a_run_that_is_told_to_stop_tells_with_its_figures_and_ends_in_time(told, tmp_path, listener, hangs):
    if hangs:
        listener.hangs.clear()
    told["sampling"] = {"max_new_tokens": 128, "min_new_tokens": 128}
    arguments = [sys.executable, "-c", "from relabel.cli import main; main()", *command(told, tmp_path)]
    process = subprocess.Popen(arguments, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    deadline = time.monotonic() + 200
    # of three units side by side the fourth is begun when the figures have the first
    while len(list((tmp_path / "out").glob("*.parquet"))) < 4 and time.monotonic() < deadline:
        assert process.poll() is None
        time.sleep(0.02)
    os.kill(process.pid, signal.SIGTERM)
    stdout, stderr = process.communicate(timeout=60)
    assert process.returncode == 1
    assert listener.bodies == [json.loads(stdout.splitlines()[-1])]
    assert (listener.bodies[0]["stopped"], listener.bodies[0]["done_now"]["failed"]) == (True, 0)
    assert listener.bodies[0]["done_now"]["units"] >= 1
    assert ("was not told how the run ended: no answer in time" in stderr) == hangs
    assert SECRET not in stdout + stderr
    assert not leaks(tmp_path / "out")
    assert [(beat["state"], beat["why"]) for beat in beats_of(tmp_path / "out")] == [("stopped", "it was told to stop")]
