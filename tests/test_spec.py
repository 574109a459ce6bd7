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
        make_spec({"source": {"path": "x", "format": "excel"}, "prompt": {}, "model": {"path": "m"}})
    assert {"source.format", "prompt.user is missing", "output is missing"} <= {
        word for line in str(refused.value).splitlines() for word in (line.split(": ", 1)[1], line.split(": ")[1])
    }


def test_a_label_column_that_relabel_writes_itself_is_refused():
    with pytest.raises(SpecError, match="choose another name"):
        make_spec({**MINIMAL, "label": {"column": "status"}})


def test_a_label_column_that_is_also_kept_is_refused():
    with pytest.raises(SpecError, match=r"also in output\.keep"):
        make_spec({**MINIMAL, "label": {"column": "alt"}, "output": {"path": "out", "keep": ["alt"]}})


@pytest.mark.parametrize("revision", ["main", "v1.0", "abc123"])
def test_a_revision_that_can_move_is_refused(revision):
    with pytest.raises(SpecError, match="commit"):
        make_spec({**MINIMAL, "model": {"path": "some/model", "revision": revision}})


def test_set_overrides_a_key_with_a_yaml_value(tmp_path):
    path = spec_file(tmp_path, json.dumps(MINIMAL))
    spec = load_spec(path, ["sampling.temperature=0.5", "output.keep=[id, alt]", "sampling.stop=['\\n']"])
    assert spec.sampling.temperature == 0.5
    assert spec.output.keep == ["id", "alt"]


@pytest.mark.parametrize("override", ["seed=3", "sampling.seed", "sampling.a.b=1", ".x=1", "sampling.=1"])
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
