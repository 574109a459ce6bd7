"""Chromium as people have it, driven by its own driver: one for all tests of a process."""

import os
import shutil

import pytest

from relabel import make_spec
from tests.report.browsing import Browser
from tests.report.outputs import FIELDS


@pytest.fixture(scope="session")
def chromium(tmp_path_factory):
    """A browser without a window. Where there is none, tests are skipped, unless RELABEL_BROWSER says `required`."""
    binary, driver = shutil.which("chromium"), shutil.which("chromedriver")
    if not (binary and driver):
        why = "no chromium and chromedriver on PATH: `apt-get install chromium chromium-driver`"
        (pytest.fail if os.environ.get("RELABEL_BROWSER") == "required" else pytest.skip)(why)
    browser = Browser(binary, driver, tmp_path_factory.mktemp("chromium"))
    yield browser
    browser.close()


@pytest.fixture
def browser(chromium):
    """The browser, in a window of one size, in the light, with nothing to tell yet."""
    chromium.reset()
    return chromium


@pytest.fixture
def spec():
    """A spec that a page can show."""
    fields = {"source": {"path": "rows.jsonl", "format": "jsonl"}, "output": {"path": "out"}}
    return make_spec({**fields, **FIELDS})
