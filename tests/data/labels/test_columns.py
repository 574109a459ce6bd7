"""The output row: the columns of one label, of several, of samples, and their types."""

import pyarrow as pa

from relabel.data.labels.columns import labels_of, output_schema
from relabel.data.output.recipe import make_recipe
from relabel.spec import Label, make_spec

KEPT = pa.schema([pa.field("id", pa.int64(), nullable=False, metadata={"a": "b"})])
SCENE = {"type": "object", "properties": {"count": {"type": "integer"}, "tags": {"items": {"type": "string"}}}}


def types_of(label: Label, num_samples: int = 1, name: str = "") -> dict[str, pa.DataType]:
    schema = output_schema(pa.schema([]), {name: label}, num_samples)
    return dict(zip(schema.names, schema.types, strict=True))


def test_the_row_of_a_text_label():
    schema = output_schema(KEPT, {"": Label(column="caption")})
    assert schema.names == [
        *("source_file", "source_row", "id", "caption", "text", "reasoning", "status", "reason"),
        *("finish_reason", "prompt_tokens", "output_tokens", "attempts"),
    ]
    assert schema.field("id") == pa.field("id", pa.int64())
    assert [field.name for field in schema if not field.nullable] == ["source_file", "source_row", "status"]


def test_groups_and_properties_are_columns_of_their_own():
    assert {"year", "month"} < types_of(Label(parse="regex", pattern=r"(?P<year>\d+)-(?P<month>\d+)")).keys()
    types = types_of(Label(parse="json", json_schema=SCENE))
    assert types["count"] == pa.int64()
    assert "label" not in types


def test_samples_make_lists_of_a_label_and_of_its_texts_but_not_of_a_vote():
    types = types_of(Label(parse="json", json_schema=SCENE), num_samples=3)
    assert types["count"] == pa.list_(pa.int64())
    assert types["text"] == types["finish_reason"] == pa.list_(pa.string())
    assert types["output_tokens"] == pa.int32()
    types = types_of(Label(parse="json", json_schema=SCENE, vote=True), num_samples=3)
    assert (types["count"], types["agreement"]) == (pa.int64(), pa.float32())
    assert types["text"] == pa.list_(pa.string())


def test_log_probabilities_and_those_of_each_choice():
    assert types_of(Label(logprobs=True))["logprob"] == pa.float32()
    types = types_of(Label(parse="choice", choices=["a b", "c"], logprobs=True))
    assert types["probabilities"] == pa.struct([("a b", pa.float32()), ("c", pa.float32())])


def test_of_several_labels_each_stands_behind_its_name_and_the_row_has_a_status_of_its_own():
    kind = Label(parse="choice", choices=["a", "b"])
    names = output_schema(pa.schema([]), {"caption": Label(), "kind": kind, "scene": Label(column="it")}).names
    beside = ["text", "reasoning", "status", "reason", "finish_reason", "prompt_tokens", "output_tokens", "attempts"]
    assert names == [
        *("source_file", "source_row"),
        *("caption", *(f"caption_{key}" for key in beside)),
        *("kind", *(f"kind_{key}" for key in beside)),
        *("scene_it", *(f"scene_{key}" for key in beside)),
        *("status", "reason"),
    ]


def test_the_labels_of_a_recipe_are_those_of_its_spec():
    fields = {
        "source": {"path": "a", "format": "jsonl"},
        "prompt": {"user": "x"},
        "model": {"path": "m"},
        "output": {"path": "o"},
    }
    one = {"parse": "json", "json_schema": SCENE}
    for section in ({"label": one}, {"labels": [{"name": "b", **one}, {"name": "a"}]}):
        spec = make_spec({**fields, **section})
        schema = output_schema(KEPT, {query.name: query.label for query in spec.queries})
        assert output_schema(KEPT, labels_of(make_recipe(spec, {}))).equals(schema)


def test_a_recipe_from_before_there_were_rules_has_the_columns_that_it_had():
    declared = [{"properties": {"a": {"type": "integer"}}}, {"properties": {"b": {"type": "string"}}}]
    labels = [
        {"name": "text"},
        {"name": "joined", "parse": "json", "json_schema": {"type": "object", "allOf": declared}},
        {"name": "single", "parse": "json", "json_schema": {"type": "object", "allOf": declared[:1]}},
    ]
    before, after = labels_of({"labels": labels}), labels_of({"labels": labels, "rules": 1})
    assert [list(before[name].columns) for name in ("text", "joined", "single")] == [["label"], ["label"], ["a"]]
    assert list(after["joined"].columns) == ["a", "b"]
