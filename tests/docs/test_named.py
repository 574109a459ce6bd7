"""Names of tests, rooms and files on the pages: what they name is there."""

import re
import tomllib

import pytest

from tests.docs.pages import PAGES, ROOT, below
from tests.test_architecture import ROOMS

GUARANTEES = ROOT / "docs/explanation/guarantees.md"
FAULTS = ROOT / "docs/explanation/faults-and-threats.md"
ARCHITECTURE = ROOT / "docs/explanation/architecture.md"


def named_tests(path):
    """Files below tests/ and perhaps a test in them, from the rows of tables."""
    rows = [line for line in path.read_text(encoding="utf-8").splitlines() if line.startswith("|")]
    return re.findall(r"`(?:tests/)?([\w/]+\.py)(?:::(\w+))?`", "\n".join(rows))


@pytest.mark.parametrize(("page", "least"), [(GUARANTEES, 30), (FAULTS, 80)], ids=["guarantees", "faults"])
def test_the_tests_that_a_page_names_are_there(page, least):
    named = named_tests(page)
    assert len(named) > least
    for path, test in named:
        text = (ROOT / "tests" / path).read_text(encoding="utf-8")
        if path.startswith("chaos/"):
            continue  # chaos runs are no tests of the gate
        assert f"def {test}(" in text if test else "def test_" in text or "TestCase" in text, f"{path}::{test}"


def test_every_promise_and_every_fault_but_one_threat_has_a_test():
    for page, without in ((GUARANTEES, set()), (FAULTS, {"S10"})):
        rows = [line for line in page.read_text(encoding="utf-8").splitlines() if line.startswith("|")]
        bare = {row.split("|")[1].strip() for row in rows if ".py" not in row and not row.startswith(("|---", "| |"))}
        assert bare - {"promise"} == without


def test_the_architecture_page_has_a_row_for_each_room():
    text = ARCHITECTURE.read_text(encoding="utf-8").partition("## The rooms")[2].partition("\n## ")[0]
    rooms = {name.removesuffix("/") for name in re.findall(r"^\| `([\w/.]+)`", text, flags=re.MULTILINE)}
    assert rooms == {room or "." for room in ROOMS}


@pytest.mark.parametrize("page", [ARCHITECTURE, ROOT / "CONTRIBUTING.md", ROOT / "docs/glossary.md"], ids=below)
def test_the_files_that_a_page_names_are_there(page):
    for name in re.findall(r"`([a-z_/]+(?:\.py|/))`", page.read_text(encoding="utf-8")):
        assert any((ROOT / folder / name).exists() for folder in ("", "src/relabel", "tests")), name


def test_the_extras_that_pages_install_are_declared():
    declared = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]["optional-dependencies"]
    named = {
        extra
        for page in (*PAGES, ROOT / "cluster.yaml")
        for extras in re.findall(r"'\.\[([\w,]+)\]'", page.read_text(encoding="utf-8"))
        for extra in extras.split(",")
    }
    assert {"test"} <= named <= declared.keys()
