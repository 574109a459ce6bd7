import pytest
from hypothesis import given
from hypothesis import strategies as st

from relabel.data.prompts.columns import check_columns
from relabel.data.prompts.template import MAX_PROMPT_CHARACTERS, PromptTemplate
from relabel.errors import RowRejected, SpecError
from relabel.spec import Prompt


def rendered(user, row, system=None):
    template = PromptTemplate(Prompt(user=user, system=system))
    return template.render(row)


def test_columns_are_rendered_into_both_texts():
    text = rendered("Alt: {{ alt }}", {"alt": "a dog", "tone": "plain", "other": None}, system="Be {{ tone }}.")
    assert (text.user, text.system) == ("Alt: a dog", "Be plain.")


def test_the_columns_a_template_reads_are_known_before_any_row():
    assert PromptTemplate(Prompt(user="{{ a }} {% for x in b %}{{ x }}{% endfor %}", system="{{ c.d }}")).columns() == {
        "a",
        "b",
        "c",
    }


def test_a_null_rejects_the_row_by_column():
    with pytest.raises(RowRejected, match="prompt: column 'alt' is null"):
        rendered("{{ alt }}", {"alt": None})


@pytest.mark.parametrize("value", [b"\xff\xfe", "\ud800"])
def test_text_that_is_not_utf8_rejects_the_row(value):
    with pytest.raises(RowRejected, match="not valid UTF-8"):
        rendered("{{ alt }}", {"alt": value})


def test_a_missing_field_inside_a_column_rejects_the_row():
    with pytest.raises(RowRejected, match="reads 'title' of column 'meta'"):
        rendered("{{ meta.title }}", {"meta": {"name": "x"}})


@pytest.mark.parametrize("number", [float("nan"), float("inf"), float("-inf")])
def test_a_number_that_json_does_not_have_is_a_null(number):
    row = {"n": number, "meta": {"n": number, "m": 1.5}}
    for template, text in [
        ("{{ n | default('none') }}", "none"),
        ("{% if n is none %}none{% endif %}", "none"),
        ("{{ meta | tojson }}", '{"n": null, "m": 1.5}'),
        ("{{ meta.m }}", "1.5"),
    ]:
        assert rendered(template, row).user == text
    for template, column in [("{{ n }}", "n"), ("{{ meta.n }}", "meta")]:
        with pytest.raises(RowRejected, match=f"a number of column '{column}' that is NaN or infinite"):
            rendered(template, row)


def test_bytes_inside_a_column_are_text_as_they_are_by_themselves():
    row = {"image": {"bytes": b"\xff\xd8", "path": "a.jpg", "caption": "süß".encode()}}
    assert rendered("{{ image.caption }} {{ image.path }}", row).user == "süß a.jpg"
    assert rendered("{{ image.bytes | length }}{% if image.bytes %} bytes{% endif %}", row).user == "2 bytes"
    for template in ("{{ image.bytes }}", "{{ image }}"):
        with pytest.raises(RowRejected, match="bytes of column 'image' that are not UTF-8"):
            rendered(template, row)


@pytest.mark.parametrize("tag", ["include 'x'", "import 'x' as y", "from 'x' import y", "extends 'x'"])
def test_a_template_that_asks_for_another_is_refused_before_any_row(tag):
    with pytest.raises(SpecError, match=r"prompt\.user, line 2: there is no other template"):
        PromptTemplate(Prompt(user=f"a\n{{% {tag} %}}"))


@pytest.mark.parametrize("template", ["{{ x.__class__.__mro__ }}", "{{ ''.__class__ }}", "{{ x.append(1) }}"])
def test_the_sandbox_refuses_to_reach_into_python(template):
    with pytest.raises(RowRejected, match="SecurityError"):
        rendered(template, {"x": []})


def test_a_reason_never_quotes_the_row():
    with pytest.raises(RowRejected) as rejected:
        rendered("{{ alt + 1 }}", {"alt": "the secret text"})
    assert "secret" not in str(rejected.value)


def test_a_text_without_end_is_rejected():
    with pytest.raises(RowRejected, match="prompt_too_long"):
        rendered("{{ x * 1000 }}", {"x": "y" * (MAX_PROMPT_CHARACTERS // 999)})


def test_a_broken_template_is_refused_with_its_line():
    with pytest.raises(SpecError, match=r"prompt\.user, line 2"):
        PromptTemplate(Prompt(user="fine\n{{ broken"))


def test_an_unknown_column_is_refused_with_the_known_ones():
    with pytest.raises(SpecError, match=r"prompt names column 'alt_txt' \(did you mean 'alt_text'\?\); the source has"):
        check_columns({"alt_txt": "prompt"}, ["id", "alt_text"])
    with pytest.raises(SpecError, match="not one row of the source can be read as an object"):
        check_columns({"alt_txt": "prompt"}, [])
    with pytest.raises(SpecError, match=r"the source has: id\^alt_text; .* set source\.delimiter"):
        check_columns({"alt_text": "prompt"}, ["id^alt_text"])

    with pytest.raises(SpecError, match=r"the source has: id; Jinja's own range\(\) is not there in prompts"):
        check_columns({"range": "prompt"}, ["id"])


@given(st.text(st.characters(exclude_categories=["Cs"])))
def test_row_text_is_a_value_and_never_a_template(text):
    assert rendered("<{{ alt }}>", {"alt": text}).user == f"<{text}>"
