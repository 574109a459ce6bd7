"""Which format a model is of, by its tokens and its template."""

from typing import get_args

import pytest

from relabel.data.labels.reasoning_formats import FORMATS, find_format, format_of, unknown_marks
from relabel.spec.label import ReasoningName


def test_the_names_of_the_table_are_those_of_the_spec():
    assert {"none", *FORMATS} == set(get_args(ReasoningName))


@pytest.mark.parametrize(
    ("tokens", "template", "name"),
    [
        (["<|im_end|>", "<think>", "</think>"], "", "think"),  # Qwen3
        ([], "{{ content.split('</think>')[-1] }}", "think"),  # a distilled R1
        (["<|start|>", "<|channel|>", "<|message|>", "<|return|>"], "", "harmony"),
        (["[THINK]", "[/THINK]"], "", "mistral"),
        (["[THINK]", "[/THINK]"], "first draft your thinking in <think></think>", "think"),
        (["<|channel>", "<channel|>", "<|think|>"], "", "gemma4"),
        (["<|START_THINKING|>", "<|END_THINKING|>"], "", "cohere"),
        ([], "between <think></think> and <response></response>", "granite33"),
        ([], "<response> </think> {{ thinking }} </response>", "granite33"),  # ERNIE 4.5
        (["<|think|>", "<|content|>", "<|begin|>", "<|end|>"], "", "solar"),
        (["<longcat_think>", "</longcat_think>"], "", "longcat"),
        (["<mm:think>", "</mm:think>"], "", "minimax_m3"),
        (["<think>", "</think>", "<|begin_of_box|>", "<|end_of_box|>"], "", "glm_v"),
        ([], "{{ text.split('[BEGIN FINAL RESPONSE]')[-1] }}", "apriel"),
        (["<|im_end|>"], "", None),
    ],
)
def test_a_model_shows_its_format(tokens, template, name):
    assert find_format(tokens, template) == name


def test_a_key_of_the_spec_decides_over_what_is_found():
    assert format_of(False, "harmony") is format_of(True, "harmony") is FORMATS["harmony"]
    assert format_of("mistral", "harmony") is FORMATS["mistral"]
    assert format_of("none", "harmony") is None
    assert format_of(True, None) is FORMATS["think"], "as it was before there were others"


def test_marks_that_are_in_no_format_are_named():
    tokens = ["<|deep_think|>", "<think>", "<|im_end|>", "<|reason_end|>"]
    assert unknown_marks(tokens) == ["<|deep_think|>", "<|reason_end|>"]
