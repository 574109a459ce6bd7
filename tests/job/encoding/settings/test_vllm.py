"""Settings of a row in the words of vLLM's batch runner."""

import pytest

from relabel.job.encoding.settings.own import read_settings
from relabel.job.engine import sampling_of
from tests.job.encoding.settings.asked import SCHEMA, merged, query, reason


def test_what_vllm_takes_beside_the_fields_of_the_api_is_obeyed():
    given = {"top_k": 5, "min_p": 0.1, "repetition_penalty": 1.2, "min_tokens": 2, "stop_token_ids": [7, 8]}
    sampling = merged(given, sampling={"top_k": 9, "stop_token_ids": [1]})
    assert (sampling.top_k, sampling.min_p, sampling.repetition_penalty) == (5, 0.1, 1.2)
    assert (sampling.min_new_tokens, sampling.stop_token_ids) == (2, (7, 8))
    assert merged({"top_k": -1}, sampling={"top_k": 9}).top_k == 0


@pytest.mark.parametrize(
    ("given", "why"),
    [
        ({"guided_grammar": "a"}, "guided_grammar is not supported"),
        ({"guided_whitespace_pattern": "a"}, "guided_whitespace_pattern is not supported"),
        ({"guided_decoding_backend": "outlines"}, "guided_decoding_backend is not supported"),
        ({"guided_decoding_disable_fallback": True}, "guided_decoding_disable_fallback is not supported"),
        (
            {"continue_final_message": True},
            "continue_final_message is not supported: set prompt.continue_final_message",
        ),
        ({"ignore_eos": True}, "ignore_eos is not supported"),
        ({"top_k": 1.5}, "top_k is out of range"),
        ({"min_tokens": 9, "max_tokens": 8}, "max_tokens is under min_tokens"),
        ({"min_tokens": 9, "guided_json": SCHEMA}, "min_tokens does not go with guided_json"),
        ({"chat_template_kwargs": {"tools": []}}, "chat_template_kwargs: tools is no option of a chat template"),
    ],
)
def test_what_of_vllm_cannot_be_obeyed_is_named(given, why):
    assert reason(given).startswith(f"settings: {why}")


def test_defaults_of_vllm_are_passed_over():
    said = {"guided_decoding_backend": "auto", "structured_outputs": None, "extra_body": {}}
    assert merged(said) == sampling_of(query())
    said = {"ignore_eos": False, "skip_special_tokens": True, "add_generation_prompt": True, "use_beam_search": False}
    assert merged(said) == sampling_of(query())


def test_the_variables_of_a_chat_template_are_kept_for_the_prompt():
    for text in ('{"chat_template_kwargs": %s}', '{"extra_body": {"chat_template_kwargs": %s}}'):
        assert read_settings(text % '{"enable_thinking": false}').template_variables == {"enable_thinking": False}


def test_what_stands_in_an_extra_body_counts_as_if_it_stood_in_the_body():
    given = {"top_k": 5, "guided_choice": ["yes", "no"], "seed": None}
    without_say = {"user": "a", "priority": 3}
    assert merged({"temperature": 0, "extra_body": given | without_say}) == merged({"temperature": 0, **given})
    assert merged({"top_k": 5, "extra_body": {"top_k": 5}}).top_k == 5
    assert merged({"top_k": None, "extra_body": {"top_k": 5}}).top_k == 5


@pytest.mark.parametrize(
    ("given", "why"),
    [
        ({"extra_body": {"guided_grammar": "a"}}, "guided_grammar is not supported"),
        ({"extra_body": {"top_k": 1.5}}, "top_k is out of range"),
        ({"extra_body": {"messages": ["x"]}}, "messages is not supported"),
        ({"extra_body": {"extra_body": {"top_k": 5}}}, "extra_body is not supported"),
        ({"extra_body": "top_k=5"}, "extra_body is not supported"),
        ({"extra_headers": {"a": "b"}}, "extra_headers is not supported"),
        ({"top_k": 4, "extra_body": {"top_k": 5}}, "top_k differs between the body and extra_body"),
    ],
)
def test_what_of_an_extra_body_cannot_be_obeyed_is_named(given, why):
    assert reason(given).startswith(f"settings: {why}")
