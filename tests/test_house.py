"""Rules of the house for the tests themselves."""

import os
import re
from pathlib import Path

import pytest

TESTS = Path(__file__).parent
FILES = [path for path in sorted(TESTS.rglob("*.py")) if "chaos" not in path.parts and path != Path(__file__)]
TIMED = re.compile(r"perf_counter|process_time|(monotonic|time)\(\) *-|timeit")
"""A deadline for what may hang is none: it adds. What chaos runs time is no test."""

PATCHED = re.compile(
    r"mock\.patch|patch\.object|(?:monkeypatch|patch)\.setattr\((?!torch\.(?:cuda|cuda\.memory|_C),|huggingface_hub\.constants,)"
)
"""What a test exchanges stands behind a seam that ships; what is exchanged of libraries has none."""


@pytest.mark.parametrize("path", sorted(TESTS.rglob("*.py")), ids=lambda path: path.relative_to(TESTS).as_posix())
def test_a_file_of_tests_is_short(path):
    assert len(path.read_text(encoding="utf-8").splitlines()) <= 250, "its nouns belong into files of their own"


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.relative_to(TESTS).as_posix())
def test_nothing_is_timed_in_a_test(path):
    assert not TIMED.search(path.read_text(encoding="utf-8")), "a busy machine is no failure"


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.relative_to(TESTS).as_posix())
def test_no_module_of_ours_is_patched_in_a_test(path):
    assert not PATCHED.search(path.read_text(encoding="utf-8"))


@pytest.mark.skipif("PYTEST_XDIST_WORKER" not in os.environ, reason="one process runs all tests")
def test_the_tests_of_a_group_go_to_one_process(request):
    """A pytest that pytest-xdist does not know ran two Rays side by side on two cores, and said nothing."""
    assert request.node.nodeid.endswith("@tests/test_house.py")
