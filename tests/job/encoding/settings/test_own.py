import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from relabel.engine import Constraint
from relabel.errors import RowRejected
from relabel.job.encoding.settings.own import OwnSettings, read_settings
from relabel.job.engine import sampling_of
from tests.job.encoding.settings.asked import SCHEMA, check, merged, query, reason


def schema_of(schema):
    return {"response_format": {"type": "json_schema", "json_schema": {"name": "x", "strict": True, "schema": schema}}}


def test_a_row_without_settings_has_those_of_the_spec():
    own = query(sampling={"temperature": 0.3, "stop": ["\n"], "top_k": 7})
    assert read_settings("{}") == OwnSettings()
    assert OwnSettings().over(own) == sampling_of(own)


def test_settings_of_a_row_go_over_those_of_the_spec():
    given = {"max_tokens": 5, "temperature": 0, "top_p": 0.5, "seed": 3, "stop": "END"}
    sampling = merged(given, sampling={"max_new_tokens": 100, "temperature": 1.0, "seed": 9, "top_k": 7})
    assert (sampling.max_new_tokens, sampling.temperature, sampling.top_p) == (5, 0.0, 0.5)
    assert (sampling.seed, sampling.stop_strings, sampling.top_k) == (3, ("END",), 7)


def test_the_newer_name_of_max_tokens():
    assert merged({"max_completion_tokens": 7}).max_new_tokens == 7
    assert merged({"max_completion_tokens": 7, "max_tokens": 7}).max_new_tokens == 7
    assert reason({"max_completion_tokens": 7, "max_tokens": 8}) == (
        "settings: max_tokens and max_completion_tokens differ"
    )


def test_every_seed_of_the_api_is_one_of_the_engines():
    assert merged({"seed": -1}).seed == 2**64 - 1
    assert merged({"seed": -(2**63)}).seed == 2**63


def test_null_is_as_good_as_nothing():
    assert merged({"temperature": None, "tools": None, "stop": None, "anything": None}) == sampling_of(query())


@pytest.mark.parametrize("format", [{"type": "text"}, None])
def test_free_text(format):
    assert merged({"response_format": format}).constraint is None


def test_any_json_object():
    sampling = merged({"response_format": {"type": "json_object"}}, sampling={"stop": ["\n\n"], "min_new_tokens": 2})
    assert sampling.constraint == Constraint(kind="json", value='{"type": "object"}')
    assert (sampling.stop_strings, sampling.min_new_tokens) == ((), 0), "JSON ends by itself"


def test_a_json_schema_keeps_the_order_of_its_properties():
    constraint = merged(schema_of(SCHEMA)).constraint
    assert constraint is not None
    assert constraint.value == json.dumps(SCHEMA)
    check(query(), json.dumps(schema_of(SCHEMA)))


def test_a_model_that_thinks_first_writes_its_json_after_that():
    constraint = merged(schema_of(SCHEMA), label={"reasoning": True}).constraint
    assert constraint is not None
    assert constraint.thoughts is not None
    assert constraint.thoughts.closings == ("</think>",)


@pytest.mark.parametrize(
    "settings",
    [
        {
            "n": 1,
            "vllm_xargs": {},
            "logits_processors": [],
            "logprobs": False,
            "top_logprobs": 0,
            "frequency_penalty": 0.0,
            "logit_bias": {},
        },
        {
            "presence_penalty": 0,
            "tools": [],
            "tool_choice": "none",
            "modalities": ["text"],
            "parallel_tool_calls": True,
        },
    ],
)
def test_values_that_ask_for_nothing_are_passed_over(settings):
    assert merged(settings) == sampling_of(query())


@pytest.mark.parametrize(
    "name", ["echo", "logprobs", "top_logprobs", "frequency_penalty", "presence_penalty", "logit_bias", "tools"]
)
def test_what_cannot_be_obeyed_is_not_passed_over(name):
    value = {"tools": [{"type": "function"}], "logit_bias": {"50256": -100}}.get(name, 2)
    assert reason({name: value}) == f"settings: {name} is not supported"


def test_a_whole_number_may_be_written_as_tables_with_gaps_have_it():
    settings = merged({"max_tokens": 5.0, "seed": 7.0, "top_k": 3.0, "stop_token_ids": [9.0]})
    assert settings == merged({"max_tokens": 5, "seed": 7, "top_k": 3, "stop_token_ids": [9]})


def test_several_answers_are_a_matter_of_the_spec():
    assert reason({"n": 2}) == "settings: n is not supported: set sampling.num_samples in the spec"


def test_a_field_that_nobody_knows_is_named_where_it_has_a_name():
    assert reason({"mirostat": 1}) == "settings: mirostat is not supported"
    assert reason({"a secret sentence": 1}) == "settings: a field is not supported"


@pytest.mark.parametrize(
    ("name", "values"),
    {
        "max_tokens": [0, -1, 2**31, True, 5.5, "5", 10**4000, float("inf"), 1e300],
        "temperature": [-0.1, 11, float("nan"), float("inf"), True, "1", 10**400],
        "top_p": [0, 1.1, float("nan"), []],
        "seed": [2**63, 1.5, "x"],
        "stop": ["", [""], ["x"] * 5, "x" * 257, 5, {"a": 1}, [5]],
        "response_format": ["json_object", []],
    }.items(),
)
def test_values_out_of_range(name, values):
    for value in values:
        assert reason({name: value}) == f"settings: {name} is out of range, or of another kind than the API's"


@pytest.mark.parametrize(
    "format",
    [{}, {"type": "secret"}, {"type": "json_schema"}, {"type": "regex"}, {"type": "json_schema", "json_schema": 5}],
)
def test_a_format_that_is_none(format):
    assert reason({"response_format": format}) == (
        "settings: response_format is neither text, json_object, json_schema with its schema nor regex with its pattern"
    )


@pytest.mark.parametrize(
    "schema",
    [
        {"type": "secret"},
        {"$ref": "http://example.com/secret"},
        {"$ref": "#/secret"},
        {"type": "string", "pattern": "(?<=secret)"},
        {"properties": ["secret"]},
        {"enum": ["\ud800"]},
    ],
)
def test_a_schema_that_cannot_be_compiled_costs_its_row_and_is_not_quoted(schema):
    assert reason(schema_of(schema)) == "settings: response_format has a JSON schema that texts cannot be held to"


def test_a_schema_of_any_size_is_not_compiled():
    large = {"enum": ["x" * 50_000]}
    assert reason(schema_of(large)).endswith("characters, limit 50000")


def test_a_schema_nested_too_deeply():
    deep = '{"items":' * 300 + "{}" + "}" * 300
    text = '{"response_format":{"type":"json_schema","json_schema":{"schema":' + deep + "}}}"
    assert reason(text).startswith("settings: ")


def test_json_needs_no_stop_text():
    stop = {"stop": "x", "response_format": {"type": "json_object"}}
    assert reason(stop) == "settings: stop does not go with response_format, whose texts end by themselves"


@pytest.mark.parametrize("settings", [{"stop": "x"}, {"response_format": {"type": "json_object"}}])
def test_a_label_with_a_format_of_its_own_takes_no_other(settings):
    label = {"parse": "choice", "choices": ["yes", "no"]}
    assert reason(settings, label=label) == (
        f"settings: {next(iter(settings))} does not go with a label that is held to its own format"
    )
    assert merged(settings, label=label | {"constrain": False})
    assert merged({"temperature": 0.5}, label=label).constraint == sampling_of(query(label=label)).constraint


def test_fewer_tokens_than_the_spec_demands():
    assert reason({"max_tokens": 3}, sampling={"min_new_tokens": 4}) == (
        "settings: max_tokens is under the sampling.min_new_tokens of the spec"
    )


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(["type", "schema", "json_schema", "$ref", "enum", "x"]), inner, max_size=3)
    ),
    max_leaves=12,
)
FORMAT = st.fixed_dictionaries(
    {"type": st.sampled_from(["text", "json_object", "json_schema"]) | JSON},
    optional={"json_schema": st.fixed_dictionaries({"schema": JSON}) | JSON},
)
NAMES = [
    "max_tokens",
    "max_completion_tokens",
    "temperature",
    "top_p",
    "seed",
    "stop",
    "n",
    "tools",
    "logprobs",
    "other",
]


@given(
    st.dictionaries(st.sampled_from(NAMES), JSON, max_size=4).flatmap(
        lambda fields: st.just(fields) | FORMAT.map(lambda format: fields | {"response_format": format})
    )
    | JSON
)
def test_any_json_is_settings_or_a_reject(value):
    text = json.dumps(value)
    if not is_refused(text):
        assert read_settings(text).over(query()).max_new_tokens > 0


@given(st.text())
def test_any_text_is_settings_or_a_reject(text):
    is_refused(text)


def is_refused(text):
    """Whether settings are rejected with a reason; anything else that is raised fails the test."""
    try:
        check(query(), text)
    except RowRejected as error:
        return str(error).startswith("settings: ") or pytest.fail(str(error))
    return False
