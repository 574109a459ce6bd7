import os
import subprocess
import sys

import pytest

from relabel.data.output.recipe import changed_fields, fingerprint, make_recipe
from relabel.spec import Resources, Spec, make_spec

FIELDS = {
    "source": {"path": "data/*.parquet", "format": "parquet"},
    "prompt": {"user": "Rewrite: {{ alt }}"},
    "model": {"path": "models/llama"},
    "output": {"path": "out"},
}
IDENTITY = {"weights": "abc", "config": "def"}
CHANGES = {
    "source.path": "data/a.parquet",
    "source.format": "jsonl",
    "source.unit_rows": 7,
    "source.image_root": "images",
    "source.delimiter": ";",
    "source.encoding": "cp1252",
    "source.quote": "none",
    "source.escape": "\\",
    "prompt.user": "Describe: {{ alt }}",
    "prompt.messages": "chat",
    "prompt.system": "Be brief.",
    "prompt.image": "image",
    "prompt.chat": "never",
    "prompt.truncate": "alt",
    "prompt.continue_final_message": True,
    "prompt.date": "2026-11-28",
    "prompt.chat_template_kwargs": {"enable_thinking": False},
    "prompt.max_image_bytes": 5,
    "prompt.max_image_pixels": 5,
    "model.dtype": "float32",
    "model.max_prompt_tokens": 9,
    "model.image_pixels": 9,
    "sampling.max_new_tokens": 9,
    "sampling.temperature": 0.6,
    "sampling.top_p": 0.9,
    "sampling.top_k": 9,
    "sampling.min_p": 0.1,
    "sampling.repetition_penalty": 1.2,
    "sampling.min_new_tokens": 2,
    "sampling.stop_token_ids": [5],
    "sampling.seed": 9,
    "sampling.num_samples": 3,
    "sampling.stop": ["\n"],
    "label.parse": "last_line",
    "label.column": "caption",
    "label.pattern": "a+",
    "label.choices": ["a", "b"],
    "label.json_schema": {"type": "object"},
    "label.constrain": False,
    "label.reasoning": True,
    "label.attempts": 2,
    "label.retry_temperatures": [0.5],
    "label.max_new_tokens_on_retry": 999,
    "label.logprobs": True,
    "label.vote": True,
    "label.compare_to": "alt",
    "output.keep": ["id"],
}
SPEED = {
    "actors": 8,
    "gpus_per_actor": 0.5,
    "batching": "static",
    "batch_tokens": 64,
    "kv_memory": "20GiB",
    "deadline": 60,
    "copies": True,
    "price": {"gpu_hour": 2.5},
    "budget": {"gpu_hours": 5, "until": "06:00Z"},
}
NEEDED = {
    **{f"source.{key}": {"source.format": "csv"} for key in ("delimiter", "encoding", "quote", "escape")},
    "prompt.messages": {"prompt.user": None},
    "prompt.continue_final_message": {"prompt.user": None, "prompt.messages": "chat"},
    "label.pattern": {"label.parse": "regex"},
    "label.choices": {"label.parse": "choice"},
    "label.json_schema": {"label.parse": "json"},
    "label.attempts": {"sampling.temperature": 0.5},
    "label.vote": {"label.parse": "choice", "label.choices": ["a"], "sampling.num_samples": 2},
    "sampling.num_samples": {"sampling.temperature": 0.5},
}
"""What else has to be said so that a field may be."""


def recipe_of(changed: str | None = None, value: object = None) -> dict:
    return make_recipe(make_spec(fields_of({changed: value, **NEEDED.get(changed, {})} if changed else {})), IDENTITY)


def fields_of(changes: dict[str, object]) -> dict:
    fields = {section: dict(values) for section, values in FIELDS.items()}
    for place, new in changes.items():
        section, _, field = place.partition(".")
        fields.setdefault(section, {})[field] = new
    if fields.get("label", {}).get("vote"):
        fields["sampling"]["temperature"] = 0.5
    return fields


def test_the_table_above_has_every_field_that_decides_the_result():
    others = {"resources", "notify", "labels", "vllm", "server"}
    sections = {name: field.annotation for name, field in Spec.model_fields.items() if name not in others}
    every = {f"{name}.{field}" for name, section in sections.items() for field in section.model_fields}
    elsewhere = {"source.removed", "output.path", "output.table", "label.gate"}
    elsewhere |= {f"model.{key}" for key in ("path", "revision", "adapter", "engine")}  # see test_recipe_of_engines.py
    assert CHANGES.keys() == every - elsewhere
    assert SPEED.keys() == Resources.model_fields.keys()


@pytest.mark.parametrize("field", CHANGES)
def test_a_field_that_decides_the_result_changes_the_fingerprint_and_is_named(field):
    old, new = recipe_of(), recipe_of(field, CHANGES[field])
    assert fingerprint(old) != fingerprint(new)
    changes = changed_fields(old, new)
    assert f"{field}: " in [change[: len(field) + 2] for change in changes]
    assert len(changes) == 1 + sum(need in CHANGES for need in NEEDED.get(field, {})) + (field == "label.vote")


def test_the_recipe_of_a_version_that_knew_one_kind_of_reasoning_is_still_the_same():
    assert recipe_of()["label"]["reasoning"] is False
    assert recipe_of("label.reasoning", True)["label"]["reasoning"] is True
    assert recipe_of("label.reasoning", "none") != recipe_of()


def test_a_key_that_earlier_versions_did_not_have_is_left_out_where_it_says_nothing_new():
    assert not {"continue_final_message", "date"} & recipe_of()["prompt"].keys()
    assert not {"delimiter", "encoding", "quote", "escape"} & recipe_of()["source"].keys()
    assert recipe_of("prompt.date", "2026-11-28")["prompt"]["date"] == "2026-11-28"


def test_a_field_of_one_of_several_labels_is_named_too():
    old, new = (
        make_recipe(make_spec({**FIELDS, "labels": [{"name": "a", "user": "x"}, {"name": "b", **own}]}), IDENTITY)
        for own in ({}, {"parse": "last_line"})
    )
    (change,) = changed_fields(old, new)
    assert change.startswith("labels.1: ")
    assert "last_line" in change


def test_the_limits_of_the_gate_may_change_between_runs():
    gated = make_spec(fields_of({"label.gate": {"max_rejected": 0.1}}))
    assert make_recipe(gated, IDENTITY) == recipe_of()


@pytest.mark.parametrize("field", SPEED)
def test_speed_does_not_change_the_fingerprint(field):
    assert recipe_of(f"resources.{field}", SPEED[field]) == recipe_of()


def test_where_the_parts_go_does_not_change_the_fingerprint():
    assert recipe_of("output.path", "elsewhere") == recipe_of()


@pytest.mark.parametrize(
    ("field", "value"),
    [("model.path", "models/other"), ("model.revision", "0" * 40), ("model.adapter", "adapters/other")],
)
def test_where_the_model_is_counts_for_nothing_beside_what_it_is_and_is_there_to_be_read(field, value):
    moved = recipe_of(field, value)
    assert fingerprint(moved) == fingerprint(recipe_of())
    assert changed_fields(recipe_of(), moved) == []
    assert moved["model"][field.removeprefix("model.")] == value


def test_where_a_model_is_that_nobody_looked_at_tells_it_from_others():
    one, other = (make_recipe(make_spec(fields_of({"model.path": path})), {}) for path in ("a", "b"))
    assert fingerprint(one) != fingerprint(other)


def test_another_commit_of_a_model_of_the_hub_changes_the_fingerprint():
    one, other = ({**recipe_of(), "model_identity": {"name": "org/name", "revision": digit * 40}} for digit in "ab")
    assert fingerprint(one) != fingerprint(other)


def test_other_weights_under_the_same_path_change_the_fingerprint():
    changed = {**recipe_of(), "model_identity": IDENTITY | {"weights": "xyz"}}
    assert fingerprint(changed) != fingerprint(recipe_of())
    assert changed_fields(recipe_of(), changed) == ['model_identity.weights: "abc" -> "xyz"']


def test_one_path_and_a_list_of_one_path_are_the_same_recipe():
    assert recipe_of("source.path", ["data/*.parquet"]) == recipe_of()
    assert recipe_of("prompt.image", ["image"]) == recipe_of("prompt.image", "image")


def test_the_order_of_keys_does_not_matter_and_that_of_lists_does():
    assert fingerprint({"a": 1, "b": 2}) == fingerprint({"b": 2, "a": 1})
    assert fingerprint({"stop": ["a", "b"]}) != fingerprint({"stop": ["b", "a"]})


def test_the_fingerprint_is_the_same_in_every_process():
    program = (
        "from tests.data.output.test_recipe import *\n"
        "print(fingerprint(recipe_of('sampling.stop', ['ü', '\\n'])), fingerprint({'t': 0.1, 'x': {'b': 1, 'a': 2}}))"
    )
    runs = [
        subprocess.run(
            [sys.executable, "-c", program],
            env=os.environ | {"PYTHONHASHSEED": seed, "PYTHONPATH": os.pathsep.join(sys.path)},
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        for seed in ("1", "2")
    ]
    here = (
        f"{fingerprint(recipe_of('sampling.stop', ['ü', chr(10)]))} {fingerprint({'t': 0.1, 'x': {'a': 2, 'b': 1}})}\n"
    )
    assert runs == [here, here]


@pytest.mark.parametrize("value", [object(), {"a"}, b"x", {"a": {1: 2}}, float("nan"), float("inf")])
def test_what_has_no_stable_text_has_no_fingerprint(value):
    with pytest.raises((TypeError, ValueError)):
        fingerprint({"section": {"field": value}})


def test_a_difference_is_told_as_old_and_new():
    old = {"sampling": {"temperature": 0.0, "stop": []}, "gone": {"y": 1}}
    new = {"sampling": {"temperature": 0.6, "stop": []}, "added": {"x": None}}
    assert changed_fields(old, new) == [
        "added.x: (absent) -> null",
        "gone.y: 1 -> (absent)",
        "sampling.temperature: 0.0 -> 0.6",
    ]
    assert changed_fields(old, old) == []


def test_of_a_long_text_the_place_that_differs_is_shown():
    before, after = "x" * 500 + "a cat" + "y" * 500, "x" * 500 + "a dog" + "y" * 500
    (change,) = changed_fields({"prompt": {"user": before}}, {"prompt": {"user": after}})
    assert all(text in change for text in ("a cat", "a dog"))
    assert len(change) < 200


def test_a_schema_that_versions_judge_differently_has_its_rules_in_the_recipe():
    def recipe(schema):
        return recipe_of("label.json_schema", schema)

    assert "rules" not in recipe({"type": "object"})
    assert "rules" not in recipe_of()
    new = recipe({"type": "string", "format": "date"})
    old = {key: value for key, value in new.items() if key != "rules"}
    assert changed_fields(old, new) == ["rules.json_schema: (absent) -> 2"]
