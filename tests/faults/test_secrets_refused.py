"""Specs and rows that are refused are never quoted: they may hold a key."""

import pytest
import yaml

from relabel.demo import MODEL_PATH
from relabel.errors import RowRejected, SpecError
from relabel.job.encoding.row import RowEncoder
from relabel.spec import load_spec, make_spec
from tests.encoding import encode

ROW, SECRET = "zqxrowcanary", "zqxsecretcanary"
MINIMAL = {
    "source": {"path": "x", "format": "jsonl"},
    "prompt": {"user": "x"},
    "model": {"path": "some/model"},
    "output": {"path": "out"},
}

pytestmark = pytest.mark.fault


def fails(template, row):
    fields = {"source": {"path": "x", "format": "jsonl"}, "output": {"path": "out"}}
    spec = make_spec({**fields, "prompt": {"user": template}, "model": {"path": str(MODEL_PATH)}})
    with pytest.raises(RowRejected) as rejected:
        encode(RowEncoder(spec, None), row)
    return str(rejected.value)


@pytest.mark.parametrize(
    "template",
    [
        "{{ meta[alt] }}",
        "{{ alt + 1 }}",
        "{{ alt.nothing }}",
        "{{ alt | round }}",
        "{{ '%d' | format(alt) }}",
        "{{ alt.format(alt.__class__) }}",
        "{{ alt() }}",
        "{{ alt | map('nothing') | list }}",
    ],
)
def test_a_template_that_fails_on_a_row_does_not_quote_it(template):
    reason = fails(template, {"alt": f"{{{ROW}}}", "meta": {}})
    assert reason.startswith("prompt: prompt.user")
    assert ROW not in reason


@pytest.mark.parametrize(
    "fields",
    [
        {**MINIMAL, "api_key": SECRET},
        {**MINIMAL, "model": {"path": "some/model", "token": SECRET}},
        {**MINIMAL, "model": {"path": "some/model", "headers": {"Authorization": SECRET}}},
        {**MINIMAL, "model": SECRET},
        {**MINIMAL, "sampling": {"seed": SECRET}},
        {**MINIMAL, "source": {"path": "x", "format": SECRET}},
        {**MINIMAL, "output": {"path": "out", "keep": SECRET}},
        {**MINIMAL, "resources": {"kv_memory": SECRET}},
    ],
)
def test_a_key_in_a_spec_is_refused_and_not_repeated(fields):
    with pytest.raises(SpecError) as refused:
        make_spec(fields)
    assert SECRET not in f"{refused.value}{refused.value.__cause__}"


@pytest.mark.parametrize(
    "text",
    [
        f"api_key: [{SECRET}",
        f"model: {{path: a, token: {SECRET}\nx",
        f'token: "{SECRET}\\q"',
        f"token: {SECRET}: b",
        f"token: !{SECRET} x",
        f"a: b\n\t{SECRET}",
        f"a: b\x07{SECRET}",
        f"token: {SECRET}\nday: 2026-02-30",
        f"token: {SECRET}\ndeep: {'[' * 3000}",
    ],
)
def test_a_spec_that_is_no_yaml_is_named_by_line_and_not_quoted(tmp_path, text):
    (tmp_path / "spec.yaml").write_text(text)
    with pytest.raises(SpecError, match="is not valid YAML") as refused:
        load_spec(tmp_path / "spec.yaml")
    assert SECRET not in f"{refused.value}{refused.value.__cause__}"


@pytest.mark.parametrize("override", [SECRET, f"api_key={SECRET}", f"model.token=[{SECRET}", f"model.token={SECRET}"])
def test_an_override_that_is_refused_is_not_repeated(tmp_path, override):
    (tmp_path / "spec.yaml").write_text(yaml.safe_dump(MINIMAL))
    with pytest.raises(SpecError) as refused:
        load_spec(tmp_path / "spec.yaml", [override])
    assert SECRET not in f"{refused.value}{refused.value.__cause__}"
