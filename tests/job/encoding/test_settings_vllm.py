"""Settings of a row in the words of vLLM's batch runner."""

import json

import pytest

from relabel import make_spec
from relabel.errors import RowRejected
from relabel.job.encoding.settings import check_settings, read_settings
from relabel.job.engine import sampling_of

SCHEMA = {"type": "object", "properties": {"b": {"type": "integer"}, "a": {"type": "string"}}, "required": ["b"]}


def query(sampling=None, label=None):
    fields = {"source": {"path": "x", "format": "openai"}, "model": {"path": "m"}, "output": {"path": "o"}}
    return make_spec({**fields, "sampling": sampling or {}, "label": label or {}}).queries[0]


def merged(settings, **sections):
    return read_settings(json.dumps(settings)).over(query(**sections))


def check(query, settings):
    check_settings(read_settings(settings), query)


def reason(settings, **sections):
    with pytest.raises(RowRejected) as rejected:
        check(query(**sections), settings if isinstance(settings, str) else json.dumps(settings))
    return str(rejected.value)


def schema_of(schema):
    return {"response_format": {"type": "json_schema", "json_schema": {"name": "x", "strict": True, "schema": schema}}}


def test_what_vllm_takes_beside_the_fields_of_the_api_is_obeyed():
    given = {"top_k": 5, "min_p": 0.1, "repetition_penalty": 1.2, "min_tokens": 2, "stop_token_ids": [7, 8]}
    sampling = merged(given, sampling={"top_k": 9, "stop_token_ids": [1]})
    assert (sampling.top_k, sampling.min_p, sampling.repetition_penalty) == (5, 0.1, 1.2)
    assert (sampling.min_new_tokens, sampling.stop_token_ids) == (2, (7, 8))
    assert merged({"top_k": -1}, sampling={"top_k": 9}).top_k == 0


@pytest.mark.parametrize(
    "given", [{"guided_json": SCHEMA}, {"guided_json": json.dumps(SCHEMA)}, {"structured_outputs": {"json": SCHEMA}}]
)
def test_the_json_schema_of_vllm_is_that_of_the_api(given):
    assert merged(given) == merged(schema_of(SCHEMA))
    assert reason(given | {"response_format": {"type": "json_object"}}) == (
        f"settings: {next(iter(given))} does not go with another format of the text"
    )


@pytest.mark.parametrize(
    ("given", "why"),
    [
        ({"guided_choice": ["a"]}, "guided_choice is not supported: set label.choices in the spec"),
        ({"guided_regex": "a"}, "guided_regex is not supported: set label.pattern in the spec"),
        ({"guided_grammar": "a"}, "guided_grammar is not supported"),
        ({"structured_outputs": {"regex": "a"}}, "structured_outputs is not supported but for json: set label.parse"),
        ({"guided_json": "{"}, "guided_json has no JSON schema"),
        (
            {"continue_final_message": True},
            "continue_final_message is not supported: set prompt.continue_final_message",
        ),
        ({"ignore_eos": True}, "ignore_eos is not supported"),
        ({"top_k": 1.5}, "top_k is out of range"),
        ({"min_tokens": 9, "max_tokens": 8}, "max_tokens is under min_tokens"),
        ({"min_tokens": 9, "guided_json": SCHEMA}, "min_tokens does not go with response_format"),
        ({"chat_template_kwargs": {"tools": []}}, "chat_template_kwargs: tools is no option of a chat template"),
    ],
)
def test_what_of_vllm_cannot_be_obeyed_is_named(given, why):
    assert reason(given).startswith(f"settings: {why}")


def test_defaults_of_vllm_are_passed_over():
    said = {"ignore_eos": False, "skip_special_tokens": True, "add_generation_prompt": True, "use_beam_search": False}
    assert merged(said) == sampling_of(query())


def test_the_variables_of_a_chat_template_are_kept_for_the_prompt():
    assert read_settings('{"chat_template_kwargs": {"enable_thinking": false}}').template_variables == {
        "enable_thinking": False
    }
