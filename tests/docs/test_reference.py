"""The reference is made from the code, and the committed pages are the ones that are made."""

import pytest

from tests.docs.pages import ROOT
from tools.reference import pages


@pytest.mark.parametrize(("path", "text"), pages().items(), ids=list(pages()))
def test_a_generated_page_is_committed_as_it_is_made(path, text):
    assert (ROOT / path).read_text(encoding="utf-8") == text, "run `python tools/reference.py`"


def test_no_other_page_stands_among_the_generated_ones():
    committed = {path.relative_to(ROOT).as_posix() for path in (ROOT / "docs" / "reference").iterdir()}
    assert committed == {path for path in pages() if path.startswith("docs/")}
