"""A cluster of Ray that lets nobody in without its token."""

import os
import socket
import subprocess
import sys
import time

import pytest
import yaml

from tests.faults.processes import PATIENCE, start

pytestmark = pytest.mark.fault
TOKEN = "0123456789abcdef" * 4


@pytest.fixture
def guarded(tmp_path, monkeypatch):
    """The address of such a cluster; whoever runs here has no token."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
    ray = [os.path.join(os.path.dirname(sys.executable), "ray"), "start", "--head", "--block", f"--port={port}"]
    options = ["--include-dashboard=false", "--num-cpus=1", "--dashboard-agent-listen-port=0"]
    own = {**os.environ, "RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN": TOKEN, "RAY_TMPDIR": "/tmp/relabel-token"}
    cluster = subprocess.Popen([*ray, *options], env=own, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    monkeypatch.setenv("HOME", str(tmp_path))
    deadline = time.monotonic() + PATIENCE
    while True:
        try:
            socket.create_connection(("127.0.0.1", port), timeout=1).close()
            break
        except OSError:
            assert time.monotonic() < deadline
            time.sleep(0.1)
    yield f"127.0.0.1:{port}"
    cluster.terminate()
    cluster.wait(PATIENCE)


def test_who_has_no_token_is_told_how_to_give_it_and_the_output_stays_free(guarded, fields, tmp_path):
    (tmp_path / "spec.yaml").write_text(yaml.safe_dump(fields))
    process = start(tmp_path / "spec.yaml", "--address", guarded)
    _, stderr = process.communicate(timeout=PATIENCE)
    assert process.returncode == 2, stderr
    assert "RAY_AUTH_MODE=token" in stderr
    assert "~/.ray/auth_token" in stderr
    assert not list((tmp_path / "out").glob("*.parquet"))
