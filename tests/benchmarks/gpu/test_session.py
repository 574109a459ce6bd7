"""An item that hangs, or that takes its process with it, costs itself: the next one is asked of a new process."""

from __future__ import annotations

import sys
from collections.abc import Iterator

import pytest

from benchmarks.gpu.session import Session

PARROT = """
import json, os, sys, time
print("what a library prints first", file=sys.stderr)
for number, line in enumerate(sys.stdin):
    name = line.strip()
    if name == "hang":
        time.sleep(600)
    if name == "die":
        os._exit(9)
    print(json.dumps({"name": name, "number": number, "device_lost": name == "lose"}), flush=True)
"""


@pytest.fixture
def session() -> Iterator[Session]:
    one = Session([sys.executable, "-c", PARROT], start_limit=60)
    yield one
    one.close()


def test_items_are_asked_of_one_process(session: Session) -> None:
    assert not session.is_up
    assert session.ask("a", 0)["number"] == 0, "a process that starts has its own time"
    assert session.is_up
    assert session.ask("b", 60) == {"name": "b", "number": 1, "device_lost": False}


def test_one_that_hangs_is_ended(session: Session) -> None:
    assert session.ask("a", 60)["number"] == 0
    assert session.ask("hang", 0.2) == {"error": "no answer within 0 s: the process was ended"}
    assert session.ask("b", 60)["number"] == 0, "a new process"


def test_one_that_dies_is_told_from_one_that_hangs(session: Session) -> None:
    assert session.ask("die", 60) == {"error": "the process died with exit code 9"}
    assert session.ask("b", 60)["number"] == 0


def test_a_process_that_lost_its_device_is_asked_nothing_more(session: Session) -> None:
    assert session.ask("lose", 60)["number"] == 0
    assert session.ask("b", 60)["number"] == 0
