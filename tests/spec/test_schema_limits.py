"""What of a schema or a spec is refused by its name and place: formats that nobody checks, endless depth, many keys."""

import pytest

from relabel.errors import SpecError
from relabel.spec import make_spec
from relabel.spec.load import MAX_TOLD
from relabel.spec.schemas.formats import unchecked_format
from relabel.spec.schemas.json_schema import load_schema, rules_of
from relabel.spec.schemas.places import MAX_LEVELS

SPEC = {
    "source": {"path": "a.jsonl", "format": "jsonl"},
    "prompt": {"user": "x"},
    "model": {"path": "m"},
    "output": {"path": "o"},
}


@pytest.mark.parametrize(
    ("schema", "place"),
    [
        ({"format": "whatever"}, "#/format"),
        ({"properties": {"a/b": {"items": {"type": "string", "format": "color"}}}}, "#/properties/a~1b/items/format"),
        ({"$defs": {"n": {"type": "integer", "format": "int32"}}}, "#/$defs/n/format"),
    ],
)
def test_a_format_that_is_not_checked_is_refused_where_it_stands(schema, place):
    assert f"at {place}, which is not checked" in (unchecked_format(schema) or "")
    with pytest.raises(SpecError, match="which is not checked"):
        make_spec({**SPEC, "label": {"parse": "json", "json_schema": schema, "constrain": False}})


def test_a_name_of_the_users_is_no_format():
    assert unchecked_format({"properties": {"format": {"const": {"format": "x"}}, "n": {"type": "integer"}}}) is None
    assert unchecked_format({"type": "integer", "format": "int64"}) is None


@pytest.mark.parametrize("key", ["schema", "json_schema", "parameters", "input_schema"])
def test_an_object_around_a_schema_is_none(key):
    inside = {"type": "object", "properties": {"a": {"type": "integer"}}}
    with pytest.raises(ValueError, match=f"no JSON schema but an object around one: give what stands under '{key}'"):
        load_schema({"name": "scene", "strict": True, key: inside})
    assert load_schema({"type": "object", "properties": {key: inside}})


def chain(length):
    defs = {f"d{at}": {"$ref": f"#/$defs/d{at + 1}"} for at in range(length)}
    return {"$ref": "#/$defs/d0", "$defs": {**defs, f"d{length}": {"type": "integer"}}}


@pytest.mark.parametrize("length", [MAX_LEVELS, 30_000])
def test_a_chain_of_references_is_refused_before_it_ends_the_process(length):
    with pytest.raises(ValueError, match="levels of schemas in one another"):
        load_schema(chain(length))


def test_a_chain_of_references_within_the_limit_is_taken():
    assert load_schema(chain(500))


def test_of_very_many_unknown_keys_the_first_are_told_and_the_others_counted():
    with pytest.raises(SpecError) as told:
        make_spec({**SPEC, **{f"key{number}": 1 for number in range(10_000)}})
    lines = str(told.value).splitlines()
    assert len(lines) == MAX_TOLD + 1
    assert lines[-1] == f"spec: and {10_000 - MAX_TOLD:,} more"


@pytest.mark.parametrize(
    ("schema", "rules"),
    [
        ({"type": "object", "properties": {"format": {"type": "string"}, "pattern": {}}}, None),
        ({"properties": {"a": {"format": "date"}}}, 2),
        ({"patternProperties": {"^a": {}}}, 2),
        ({"$schema": "http://json-schema.org/draft-07/schema#"}, 2),
        ({"$schema": "https://json-schema.org/draft/2020-12/schema"}, None),
        ({"allOf": [{}, {}]}, 2),
        ({"allOf": [{}]}, None),
    ],
)
def test_a_schema_that_versions_judge_alike_has_no_version_of_rules(schema, rules):
    assert rules_of(schema) == rules
