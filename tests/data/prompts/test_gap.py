"""What a template reads and a row does not have: the sentence says what, of which column, and what to do."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from relabel.data.prompts.template import PromptTemplate
from relabel.errors import RowRejected
from relabel.spec import Prompt

ROW = {"q": ["a", "b"], "meta": {"name": "x", "all": [{"id": 1}]}, "text": "some words", "at": 7}


def reason(template, row=ROW):
    with pytest.raises(RowRejected) as rejected:
        PromptTemplate(Prompt(user=template)).render(row)
    return str(rejected.value)


READ = {
    "{{ q[3] }}": "line 1, reads an element of column 'q' beyond its end",
    "{{ q[at] }}": "line 1, reads an element of column 'q' beyond its end",
    "a\n\n{{ meta.title }}": "line 3, reads 'title' of column 'meta'",
    "{{ meta['title'] }}": "line 1, reads 'title' of column 'meta'",
    "{{ meta['all'][0].name }}": "line 1, reads 'name' of column 'meta'",
    "{{ meta['all'][1].id }}": "line 1, reads an element of column 'meta' beyond its end",
    "{{ meta[text] }}": "line 1, reads a key of column 'meta'",
    "{{ text.title_ }}": "line 1, reads 'title_' of column 'text'",
    "{{ text[99] }}": "line 1, reads an element of column 'text' beyond its end",
    "{% for x in meta.tags %}{{ x }}{% endfor %}": "line 1, reads 'tags' of column 'meta'",
    "{% if meta.title %}x{% endif %}": "line 1, reads 'title' of column 'meta'",
    "{{ (q + q)[9] }}": "line 1, reads an element of a value beyond its end",
    "{% for x in q %}{{ loop.previtem }}{% endfor %}": "line 1, reads something",
}


@pytest.mark.parametrize("template", READ)
def test_what_is_not_there_is_named_with_its_column_and_line(template):
    end = "which is not there in this row; | default('') puts another in its place"
    assert reason(template) == f"prompt: prompt.user, {READ[template]}, {end}"


@pytest.mark.parametrize("template", ["{{ q[3] | default('') }}", "{{ meta.title | default('') }}"])
def test_the_remedy_works(template):
    assert PromptTemplate(Prompt(user=template)).render(ROW).user == ""


@given(st.text("xz<>0", min_size=1, max_size=9))
def test_a_key_that_a_row_spells_is_never_shown(key):
    for template in ("{{ meta[k] }}", "{{ meta[k ~ ''] }}", "{{ meta[k | upper] }}", "{{ (k ~ 'own').split('o')[k] }}"):
        assert key not in reason(template, {"meta": {}, "k": key}).lower()


def test_nulls_are_named_beside_another_error():
    told = reason("a\n{{ n + 1 }}{{ m }}", {"n": None, "m": None})
    assert told == "prompt: prompt.user cannot be rendered (TypeError in line 2); null in this row: 'm', 'n'"
