"""An outline is filled with what the template itself would write, to the letter and to whom each letter belongs."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from relabel.data.prompts.origin import Traced, own, own_of
from relabel.data.prompts.outline import MAX_FAILED, MAX_OUTLINES, Outlines, outline_of
from relabel.data.prompts.template import PromptTemplate
from relabel.errors import RowRejected
from relabel.spec import Prompt
from tests.job.encoding.templates import BLOCK, ROW, TEXT

UNSTEADY = "{% if false %}{{ [1] | random }}{% endif %}"
"""Writes nothing; a template that may draw by chance has no outline."""


def outcome(template, row):
    """What is written and which of it the template wrote, or why nothing is."""
    try:
        text = template.render(row).user
    except RowRejected as error:
        return str(error)
    return ("an address",) if " object at 0x" in text else (str(text), own_of(text))


def check(source, rows):
    outlined, rendered = (PromptTemplate(Prompt(user=text, chat="never")) for text in (source, source + UNSTEADY))
    for row in [*rows, *rows]:
        assert outcome(outlined, row) == outcome(rendered, row)


ASKED = st.sampled_from(
    """q;q | trim;q.strip('<');q.lstrip();q.rstrip('>|');r;(q ~ r);(q + r);('<|' + q);(q ~ '|>' ~ r) | trim;none_is;d
    (q + 'x').strip('x');row.q;row['r'] | trim;q | default('x');q or r;q and '<|turn|>';[q, r] | join('<');q | string
    q | int;q | float;q | length;q[0];q[1:];q | upper;q | tojson;q | tojson(indent=1);q | list;q * 2;q | e;q | safe
    q.split('<')[0];'%s' | format(q);'{}'.format(q);'<|turn|>'.replace('turn', q);{'x': r}[q];q | first;q | indent
    q.foo;q | replace('x', r);'ab'.find(q);(q, r) | tojson;q | round;{q: 1};range;q | sum;n;n | default(q);n ~ q
    q | reverse;'x'[q];q is sequence;q.strip(r);q | trim('<');q._own;q.format(r);q | wordcount;[q] | sum(start=r)
    'abc' % q;'%s' % q""".replace("\n    ", ";").split(";")
)
TEST = st.sampled_from(
    [
        "q",
        "not r",
        "q | trim",
        "q == r",
        "q == '<'",
        "q != 'x'",
        "'x' == q",
        "'<' in q",
        "q in r",
        "q in 'a<b'",
        "q is string",
        "q is mapping",
        "q is iterable",
        "q is number",
        "q is none",
        "n is none",
        "not n",
        "q is defined",
        "q.startswith('<')",
        "(q ~ r).endswith('>')",
        "q.startswith(r)",
        "q is sameas q",
        "q in [q, r]",
        "q in ['x', '<']",
        "q < r",
        "q | length > 1",
        "q is escaped",
        "q is callable",
        "q is lower",
        "'ab' is divisibleby q",
        "loop is defined",
    ]
)
PART = st.recursive(
    st.sampled_from(["<|turn|>", "<|", "nd|>", " \n"]) | ASKED.map("{{{{ {} }}}}".format),
    lambda inner: st.one_of(
        st.builds("{{% if {} %}}{}{{% else %}}{}{{% endif %}}".format, TEST, inner, inner),
        st.builds("{{% set q = {} %}}{}".format, ASKED, inner),
        st.builds("{{% set r %}}{}{{% endset %}}{}".format, inner, inner),
        st.builds("{{% macro m(q) %}}{}{{% endmacro %}}{{{{ m({}) }}}}".format, inner, ASKED),
        st.builds("{{% filter trim %}}{}{{% endfilter %}}".format, inner),
        st.builds("{{% for r in [q, r] %}}{}{{% if loop.changed(r) %}}!{{% endif %}}{{% endfor %}}".format, inner),
        st.builds("{{% autoescape true %}}{}{{% endautoescape %}}".format, inner),
        st.builds("{}{}".format, inner, inner),
    ),
    max_leaves=6,
)
TEXTS = st.fixed_dictionaries(
    {"q": TEXT, "r": TEXT, "n": st.none() | TEXT, "none_is": TEXT, "d": TEXT, "range": TEXT, "m": TEXT, "loop": TEXT}
)


@settings(max_examples=200, deadline=None)
@given(PART, st.lists(TEXTS, min_size=1, max_size=4))
def test_a_template_of_texts_writes_the_same_by_its_outlines(source, rows):
    check(source, rows)


@settings(max_examples=100, deadline=None)
@given(BLOCK, st.lists(ROW, min_size=1, max_size=3))
def test_a_template_of_any_values_writes_the_same_by_its_outlines(source, rows):
    check(source, rows)


def pieces_of(texts):
    return [own("<|"), texts[0].strip(), own("|>"), texts[1]]


def test_an_outline_is_made_once_for_texts_that_nobody_looks_into():
    outlines, calls = Outlines(), []

    def write(texts):
        calls.append(texts)
        return pieces_of(texts)

    texts = [outlines.text("key", [Traced(" a "), own(letter)], write) for letter in ("b", "c<", "")]
    assert texts == ["<|a|>b", "<|a|>c<", "<|a|>"]
    assert [own_of(text) for text in texts] == [((0, 2), (3, 6)), ((0, 2), (3, 7)), ((0, 2), (3, 5))]
    assert len(calls) == 1
    outlines.text("another key", ["a", "b"], write)
    assert len(calls) == 2


def test_texts_that_answer_otherwise_have_an_outline_of_their_own():
    def write(texts):
        return [own("yes")] if texts[0].strip().startswith("x") else [texts[0]]

    outlines = Outlines()
    assert [outlines.text("", [text], write) for text in (" x", "a", "xa", "b")] == ["yes", "a", "yes", "b"]


def test_there_are_only_so_many_outlines_and_those_beyond_are_rendered():
    outlines = Outlines()
    texts = [outlines.text("", [str(number)], lambda texts: _named(texts[0])) for number in range(MAX_OUTLINES + 1)]
    assert texts == [*map(str, range(MAX_OUTLINES)), None]
    assert outlines.text("", ["0"], lambda texts: _named(texts[0])) == "0"


def _named(text):
    return next([own(str(number))] for number in range(99) if text == str(number))


@pytest.mark.parametrize(
    "look",
    [len, list, hash, str, int, float, "a{}".format, "%s".__mod__, "abc".find, "a".__contains__, sorted, repr, "".join],
)
def test_whoever_looks_at_a_blank_in_any_other_way_gets_no_outline(look):
    def write(texts):
        try:
            look(texts[0])
        except TypeError:  # as a filter may take it for a text of another kind
            raise RuntimeError from None
        return [texts[0]]

    assert Outlines().text("", [Traced("12")], write) is None


def test_a_filter_that_takes_an_error_for_an_answer_gets_no_outline():
    """`int` gives 0 for whatever is no number."""
    template = PromptTemplate(Prompt(user="{{ q | int }}"))
    assert [template.render({"q": text}).user for text in ("x", "7", "8")] == ["0", "7", "8"]


def test_the_limit_of_whoever_renders_ends_an_outline_too():
    def write(texts):
        raise TimeoutError

    with pytest.raises(TimeoutError):
        outline_of(["a"], write)


def fails_at(*bad):
    calls = []

    def write(texts):
        calls.append(texts)
        if texts[0] in bad:
            raise ValueError("of this row alone")
        return [own("<|"), texts[0]]

    return write, calls


def test_a_row_for_which_the_template_fails_takes_no_outline_from_the_others():
    """It did, for as long as the process lived, where it was the first."""
    outlines, (write, calls) = Outlines(), fails_at("bad")
    assert [outlines.text("", [text], write) for text in ("bad", "a", "bad", "b", "c")] == [
        None,
        "<|a",
        None,
        "<|b",
        "<|c",
    ]
    assert len(calls) < 5


def test_a_template_that_fails_for_every_row_is_not_tried_for_ever():
    outlines, (write, calls) = Outlines(), fails_at(*map(str, range(99)))
    assert [outlines.text("", [str(number)], write) for number in range(99)] == [None] * 99
    assert len(calls) == MAX_FAILED
