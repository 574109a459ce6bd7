import json

import pytest

from relabel.errors import SpecError
from relabel.spec import Spec, load_spec, make_spec

MINIMAL = {
    "source": {"path": "data/*.parquet", "format": "parquet"},
    "prompt": {"user": "Describe {{ alt }}"},
    "model": {"path": "some/model"},
    "output": {"path": "out"},
}


def spec_file(tmp_path, text):
    path = tmp_path / "spec.yaml"
    path.write_text(text, encoding="utf-8")
    return path


def test_a_minimal_spec_has_greedy_sampling_and_a_text_label():
    spec = make_spec(MINIMAL)
    assert (spec.sampling.temperature, spec.label.parse, spec.label.column) == (0.0, "text", "label")


def test_a_spec_is_frozen():
    with pytest.raises(ValueError, match="frozen"):
        make_spec(MINIMAL).sampling.seed = 3


@pytest.mark.parametrize(
    ("section", "key", "near"),
    [("sampling", "temprature", "sampling.temprature; did you mean temperature"), ("source", "file", "source.file")],
)
def test_an_unknown_key_is_refused_with_the_nearest_known_one(section, key, near):
    fields = {**MINIMAL, section: {**MINIMAL.get(section, {}), key: 1}}
    with pytest.raises(SpecError, match=near):
        make_spec(fields)


def test_an_unknown_section_is_refused_with_the_nearest_known_one():
    with pytest.raises(SpecError, match="unknown key sample; did you mean sampling"):
        make_spec({**MINIMAL, "sample": {}})


def test_every_wrong_key_is_named_at_once():
    with pytest.raises(SpecError) as refused:
        make_spec({"source": {"path": "x", "format": "excel"}, "prompt": {"user": "x"}, "model": {}})
    assert {"source.format", "model.path is missing", "output is missing"} <= {
        word for line in str(refused.value).splitlines() for word in (line.split(": ", 1)[1], line.split(": ")[1])
    }


def test_a_label_column_that_relabel_writes_itself_is_refused():
    with pytest.raises(SpecError, match="choose another name"):
        make_spec({**MINIMAL, "label": {"column": "status"}})


def test_a_label_column_that_is_also_kept_is_refused():
    with pytest.raises(SpecError, match=r"column 'alt' twice.*output\.keep"):
        make_spec({**MINIMAL, "label": {"column": "alt"}, "output": {"path": "out", "keep": ["alt"]}})


def test_a_column_that_is_there_twice_is_refused_with_what_helps():
    def sentence(name, labels=(), keep=()):
        label = {"parse": "json", "json_schema": {"type": "object", "properties": {name: {"type": "integer"}}}}
        section = {"labels": [{"name": "x", **label}]} if labels else {"label": label}
        with pytest.raises(SpecError) as error:
            make_spec({**MINIMAL, **section, "output": {"path": "out", "keep": [*keep]}})
        return str(error.value).partition("twice; ")[2]

    named = "write labels: [{name: x, ...}] in place of label, whose columns then begin with x_"
    renamed = "rename it in the label, its pattern or its JSON schema"
    assert sentence("source_file") == f"{named}, or {renamed}"
    assert sentence("id", keep=["id"]) == f"drop it from output.keep, or {named}, or {renamed}"
    assert sentence("text") == renamed, "a named label has a column x_text beside it"
    assert sentence("text", labels=True) == renamed
    schema = {"type": "object", "properties": {"source_file": {}, "id": {}}}
    label = {"name": "x", "parse": "json", "json_schema": schema}
    make_spec({**MINIMAL, "labels": [label], "output": {"path": "out", "keep": ["id"]}})


@pytest.mark.parametrize("revision", ["main", "v1.0", "abc123"])
def test_a_revision_that_can_move_is_refused(revision):
    with pytest.raises(SpecError, match="commit"):
        make_spec({**MINIMAL, "model": {"path": "some/model", "revision": revision}})


def test_set_overrides_a_key_with_a_yaml_value(tmp_path):
    path = spec_file(tmp_path, json.dumps(MINIMAL))
    spec = load_spec(path, ["sampling.temperature=0.5", "output.keep=[id, alt]", "sampling.stop=['\\n']"])
    assert spec.sampling.temperature == 0.5
    assert spec.output.keep == ["id", "alt"]


@pytest.mark.parametrize("override", ["seed=3", "sampling.seed", ".x=1", "sampling.=1", "a..b=1"])
def test_a_malformed_override_is_refused_with_an_example(tmp_path, override):
    with pytest.raises(SpecError, match=r"sampling\.seed=7"):
        load_spec(spec_file(tmp_path, json.dumps(MINIMAL)), [override])


@pytest.mark.parametrize("text", ["a: [1", "just text", "", "- a\n- b"])
def test_a_file_that_is_no_spec_is_refused_by_name(tmp_path, text):
    with pytest.raises(SpecError, match=r"spec\.yaml"):
        load_spec(spec_file(tmp_path, text))


def test_a_missing_file_is_refused_by_name(tmp_path):
    with pytest.raises(SpecError, match="No such file"):
        load_spec(tmp_path / "absent.yaml")


def test_the_json_schema_describes_every_section():
    schema = Spec.model_json_schema()
    assert set(schema["properties"]) == set(Spec.model_fields)
    assert schema["additionalProperties"] is False


def test_a_text_cannot_have_to_be_longer_than_it_may():
    with pytest.raises(SpecError, match="min_new_tokens is larger than max_new_tokens"):
        make_spec({**MINIMAL, "sampling": {"min_new_tokens": 9, "max_new_tokens": 8}})


def test_memory_is_given_in_units_that_people_use():
    assert make_spec({**MINIMAL, "resources": {"kv_memory": "20GiB"}}).resources.kv_memory == 20 * 2**30
    with pytest.raises(SpecError, match=r"resources\.kv_memory"):
        make_spec({**MINIMAL, "resources": {"kv_memory": "plenty"}})


@pytest.mark.parametrize("seconds", [0, -1, float("inf"), 1e10])
def test_a_deadline_that_no_clock_can_wait_for_is_refused(seconds):
    with pytest.raises(SpecError, match=r"resources\.deadline"):
        make_spec({**MINIMAL, "resources": {"deadline": seconds}})


def test_a_prompt_has_to_come_from_somewhere():
    with pytest.raises(SpecError, match=r"prompt\.user is missing"):
        make_spec({**MINIMAL, "prompt": {}})
    with pytest.raises(SpecError, match="leave out user"):
        make_spec({**MINIMAL, "prompt": {"user": "x", "messages": "chat"}})


def test_set_reaches_into_a_section_of_a_section(tmp_path):
    spec = load_spec(spec_file(tmp_path, json.dumps(MINIMAL)), ["label.gate.max_rejected=0.02"])
    assert spec.label.gate.max_rejected == 0.02
    with pytest.raises(SpecError, match=r"unknown key label\.gate\.max_rejectd; did you mean max_rejected\?"):
        load_spec(spec_file(tmp_path, json.dumps(MINIMAL)), ["label.gate.max_rejectd=0.02"])


SAMPLED = {"temperature": 0.7}
JSON = {"parse": "json", "json_schema": {"type": "object", "properties": {"count": {"type": "integer"}}}}
CHOICE = {"parse": "choice", "choices": ["a", "b"]}


@pytest.mark.parametrize(
    ("label", "sampling", "sentence"),
    [
        ({"parse": "choice"}, {}, "choice needs choices"),
        ({"choices": ["a"]}, {}, "choices goes with parse: choice"),
        ({"parse": "choice", "choices": ["a", "a"]}, {}, "named twice"),
        ({"parse": "choice", "choices": [" a"]}, {}, "spaces around"),
        ({"parse": "regex", "pattern": "("}, {}, "not a regular expression"),
        ({"parse": "regex", "pattern": "[a-z]*"}, {}, "also takes an empty text"),
        ({"attempts": 3, "retry_temperatures": [0.0]}, {}, "greater than 0"),
        ({"parse": "regex", "pattern": "(?P<text>a)"}, {}, "column 'text' twice"),
        (JSON, {"stop": ["x"]}, r"leave out sampling\.stop"),
        (CHOICE, {"min_new_tokens": 2}, r"leave out sampling\.min_new_tokens"),
        ({"vote": True}, {"num_samples": 3, **SAMPLED}, "parse: choice or json"),
        ({**CHOICE, "vote": True}, SAMPLED, "num_samples above 1"),
        ({}, {"num_samples": 3}, "temperature above 0"),
        ({"attempts": 3}, {}, r"retry_temperatures, for example \[0\.7\]"),
        ({"max_new_tokens_on_retry": 9}, {"max_new_tokens": 9}, "must be above"),
        ({"gate": {"max_changed": 0.1}}, {}, "compare_to"),
    ],
)
def test_a_label_that_makes_no_sense_is_refused_with_what_to_do(label, sampling, sentence):
    with pytest.raises(SpecError, match=sentence):
        make_spec({**MINIMAL, "label": label, "sampling": sampling})


def test_unconstrained_labels_may_be_stopped_and_retries_may_have_temperatures_of_their_own():
    make_spec({**MINIMAL, "label": {**JSON, "constrain": False}, "sampling": {"stop": ["x"]}})
    make_spec({**MINIMAL, "label": {**CHOICE, "attempts": 3, "retry_temperatures": [0.7]}})


def test_several_labels_have_prompts_and_lengths_of_their_own():
    spec = make_spec(
        {**MINIMAL, "labels": [{"name": "caption"}, {"name": "kind", "user": "Which?", "max_new_tokens": 4, **CHOICE}]}
    )
    caption, kind = spec.queries
    assert (caption.prompt.user, kind.prompt.user) == ("Describe {{ alt }}", "Which?")
    assert (caption.sampling.max_new_tokens, kind.sampling.max_new_tokens) == (256, 4)


@pytest.mark.parametrize(
    ("sections", "sentence"),
    [
        ({"labels": [{"name": "a"}], "label": {}}, "one of the two"),
        ({"labels": [{"name": "a"}, {"name": "a"}]}, "'a' is named twice"),
        ({"labels": [{"name": "a b"}]}, r"labels\.0\.name"),
        ({"labels": [{"name": "a", "colum": "x"}]}, r"unknown key labels\.0\.colum; did you mean column\?"),
        ({"labels": [{"name": "a"}, {"name": "a_text"}]}, "column 'a_text' twice"),
        ({"labels": [{"name": "status"}]}, "column 'status' twice"),
        ({"labels": [{"name": "a", "attempts": 2}]}, r"labels a: label\.attempts"),
    ],
)
def test_several_labels_that_clash_are_refused(sections, sentence):
    with pytest.raises(SpecError, match=sentence):
        make_spec({**MINIMAL, **sections})
