import json

import pytest

from relabel.errors import SpecError
from relabel.spec import load_spec
from relabel.spec.words import load_yaml

MINIMAL = """
source: {path: data/*.parquet, format: parquet}
model: {path: some/model}
output: {path: out}
"""
PROMPT = "prompt: {user: '{{ alt }}'}\n"


def spec_of(tmp_path, text, *overrides):
    path = tmp_path / "spec.yaml"
    path.write_text(f"{MINIMAL}{text if 'prompt:' in text else PROMPT + text}", encoding="utf-8")
    return load_spec(path, overrides)


@pytest.mark.parametrize("words", ["[yes, no]", "[on, off]", "[YES, No]", "[y, n]", "['yes', 'no']"])
def test_yes_and_no_are_choices_as_they_are_spelled(tmp_path, words):
    spelled = [word.strip("' ") for word in words.strip("[]").split(",")]
    assert spec_of(tmp_path, f"label: {{parse: choice, choices: {words}}}").label.choices == spelled
    by_set = spec_of(tmp_path, "", "label.parse=choice", f"label.choices={words.replace(' ', '')}")
    assert by_set.label.choices == spelled
    several = spec_of(tmp_path, f"labels: [{{name: a, parse: choice, choices: {words}}}]")
    assert several.labels[0].choices == spelled


@pytest.mark.parametrize(
    ("word", "called"),
    [
        ("1", "a number"),
        ("0x1F", "a number"),
        ("1_000", "a number"),
        ("1.50", "a number"),
        ("null", "null"),
        ("~", "null"),
        ("True", "a boolean"),
        ("2021-01-01", "a date"),
    ],
)
def test_a_word_that_yaml_takes_for_something_else_is_named_as_it_is_written(tmp_path, word, called):
    sentence = f"{word} is {called} in YAML; put it in quotes: '{word}'"
    for text, overrides, place in (
        (f"label: {{parse: choice, choices: [a, {word}]}}", (), "label.choices.1"),
        (f"labels: [{{name: a, parse: choice, choices: [{word}]}}]", (), "labels.0.choices.0"),
        ("label: {choices: [1]}", ("label.parse=choice", f"label.choices=[{word}]"), "label.choices.0"),
        ("label: {choices: [1]}", ("label.choices=[2]", f"label.choices=[{word}]"), "label.choices.0"),
    ):
        with pytest.raises(SpecError) as refused:
            spec_of(tmp_path, text, *overrides)
        assert f"{place}: {sentence}" in str(refused.value)


@pytest.mark.parametrize("word", ["12:30", "08:00", "1:30.5", "01234", "0o17", "007"])
def test_a_time_and_a_code_are_texts_as_they_are_spelled(tmp_path, word):
    assert spec_of(tmp_path, f"label: {{parse: choice, choices: [{word}]}}").label.choices == [word]
    schema = f"label: {{parse: json, json_schema: {{enum: [{word}, b]}}}}"
    assert spec_of(tmp_path, schema).label.json_schema == {"enum": [word, "b"]}


@pytest.mark.parametrize("number", [0, 7, -1, 0.5, 1e3, 1e-07, 1.5e300, 1e16, -0.25])
def test_a_number_of_json_is_that_number(tmp_path, number):
    for text in (json.dumps(number), json.dumps(number).upper()):
        assert load_yaml(text) == number
        (tmp_path / "schema.json").write_text(f'{{"maximum": {text}}}')
        label = spec_of(tmp_path, f"label: {{parse: json, json_schema: {tmp_path}/schema.json}}").label
        assert label.json_schema == {"maximum": number}


def test_elsewhere_the_word_may_be_a_secret_and_is_not_quoted(tmp_path):
    with pytest.raises(SpecError) as refused:
        spec_of(tmp_path, "sampling: {stop: [4711]}")
    assert str(refused.value).endswith("it is a number in YAML, and a text here; put it in quotes")


def test_where_only_a_boolean_can_stand_yes_and_no_still_are_one(tmp_path):
    spec = spec_of(tmp_path, "label: {parse: choice, choices: [a, b], constrain: no, logprobs: on}")
    assert (spec.label.constrain, spec.label.logprobs) == (False, True)
    assert spec_of(tmp_path, "", "label.reasoning=yes").label.reasoning is True
    prompt = "prompt: {user: '{{ alt }}', chat_template_kwargs: {enable_thinking: no, tone: 'no', n: 1}}"
    assert spec_of(tmp_path, prompt).prompt.chat_template_kwargs == {"enable_thinking": False, "tone": "no", "n": 1}
    by_set = spec_of(tmp_path, "", "prompt.chat_template_kwargs.enable_thinking=off")
    assert by_set.prompt.chat_template_kwargs == {"enable_thinking": False}


SCHEMA = """
  type: object
  additionalProperties: no
  properties:
    answer: {enum: [YES, NO, true]}
    code: {const: no, default: off}
    no: {type: array, uniqueItems: yes, items: {enum: [on]}}
    any: yes
"""
MEANT = {
    "type": "object",
    "additionalProperties": False,
    "properties": {
        "answer": {"enum": ["YES", "NO", True]},
        "code": {"const": "no", "default": "off"},
        "no": {"type": "array", "uniqueItems": True, "items": {"enum": ["on"]}},
        "any": True,
    },
}


def test_the_data_of_a_schema_are_words_and_its_flags_booleans(tmp_path):
    inline = spec_of(tmp_path, f"label:\n parse: json\n json_schema:{SCHEMA}")
    assert json.dumps(inline.label.json_schema) == json.dumps(MEANT)
    (tmp_path / "schema.yaml").write_text(SCHEMA)
    in_a_file = spec_of(tmp_path, f"label: {{parse: json, json_schema: {tmp_path / 'schema.yaml'}}}")
    assert in_a_file.label.json_schema == MEANT


def test_a_date_in_a_schema_is_named_as_one(tmp_path):
    with pytest.raises(SpecError, match="2021-01-01 is a date in YAML; put it in quotes"):
        spec_of(tmp_path, "label: {parse: json, json_schema: {properties: {day: {enum: [2021-01-01]}}}}")
