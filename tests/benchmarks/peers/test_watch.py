"""A run is watched from outside: what it took, and what it leaves when its driver is killed."""

import json
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[3]
DRIVER = """
import pathlib, subprocess, sys, time
child = subprocess.Popen([sys.executable, "-c", "import time; sum(range(10**8)); time.sleep(600)"])
time.sleep(2)
output = pathlib.Path(sys.argv[1])
output.mkdir()
(output / "a.parquet").touch()
time.sleep(600)
"""
WATCHING = """
import dataclasses, json, pathlib, sys
from benchmarks.peers.watch import adopt_orphans, watch
adopt_orphans()
folder = pathlib.Path(sys.argv[1])
command = [sys.executable, str(folder / "driver.py"), str(folder / "out")]
print(json.dumps(dataclasses.asdict(watch(command, folder / "out", folder / "log", kill_at=1))))
"""


def test_a_process_that_outlives_its_driver_is_named_and_ended(tmp_path):
    (tmp_path / "driver.py").write_text(DRIVER)
    told = subprocess.run([sys.executable, "-c", WATCHING, str(tmp_path)], cwd=ROOT, capture_output=True, check=True)
    found = json.loads(told.stdout)
    assert found["exit_code"] == -9
    assert len(found["left"]) == 1
    assert found["left"][0].startswith("python")
    assert found["processor_seconds"] > 0.1, "that of the child counts, too"
    assert 2 <= found["first_seconds"] <= found["seconds"]
