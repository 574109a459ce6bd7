"""The same work for everyone, today and next year."""

from __future__ import annotations

import pytest

from relabel.bench.workload import NEVER, make_workload
from relabel.errors import SpecError


def test_the_ragged_workload_of_a_seed_never_changes():
    workload = make_workload("ragged", 256, vocab_size=8192)
    assert len(workload.prompts) == 256
    assert workload.prompts[0][:6] == [6213, 7296, 3449, 335, 2125, 7913]
    assert len(workload.prompts[0]) == 57
    assert workload.prompts[255][-1] == 496
    assert len(workload.stop) == 409
    assert workload.stop[:5] == [8, 9, 12, 47, 53]
    assert sum(map(len, workload.prompts)) == 12986
    assert workload.new_tokens == 64


def test_ragged_prompts_have_8_to_95_tokens_none_of_them_special():
    workload = make_workload("ragged", 500, vocab_size=8192, seed=3)
    assert {min(map(len, workload.prompts)), max(map(len, workload.prompts))} == {8, 95}
    assert min(token for prompt in workload.prompts for token in prompt) >= 4


@pytest.mark.parametrize(("name", "prompt_tokens", "new_tokens"), [("300/50", 300, 50), ("128/128", 128, 128)])
def test_fixed_workloads_have_one_shape_and_no_stop_token(name, prompt_tokens, new_tokens):
    workload = make_workload(name, 5, vocab_size=128256)
    assert [len(prompt) for prompt in workload.prompts] == [prompt_tokens] * 5
    assert workload.new_tokens == new_tokens
    assert workload.stop == [NEVER]
    assert NEVER > 128256


def test_an_unknown_workload_is_refused_with_the_known_ones():
    with pytest.raises(SpecError, match="use one of ragged, 300/50, 128/128"):
        make_workload("1000/1000", 5, vocab_size=100)
