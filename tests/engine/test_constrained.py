"""Constrained text is what its constraint says, in both engines, any company and order."""

from __future__ import annotations

import json
import re

import pytest
from jsonschema import Draft202012Validator

from relabel.engine import ContinuousEngine, Limits, Request, Sampling, Thoughts
from relabel.engine.api.constraint import Constraint, check_constraint
from relabel.engine.sampling.grammar import NUM_KEPT
from relabel.errors import ArgumentRefused, ModelRefused
from tests.engine import inputs, models
from tests.engine.bound import CHOICE, CHOICES, JSON, LONG, REGEX, SCHEMA, engine, text_of


def holds(constraint: Constraint | None, text: str) -> bool:
    if constraint is JSON:
        return Draft202012Validator(SCHEMA).is_valid(json.loads(text))
    if constraint is REGEX:
        return re.fullmatch(REGEX.value, text.strip()) is not None
    return constraint is None or text.strip() in CHOICES


def mixed_requests() -> list[Request]:
    """Rows with and without constraints side by side, greedy and sampled, as many as there are kinds of both."""
    kinds = [JSON, None, REGEX, CHOICE]
    return [
        Request(
            id=row,
            prompt_ids=prompt,
            sampling=Sampling(**{**LONG, "temperature": float(row % 3)}, constraint=kinds[row % 4]),
        )
        for row, prompt in enumerate(inputs.prompts(24))
    ]


@pytest.mark.parametrize("batching", ["static", "continuous"])
def test_every_finished_text_is_what_its_constraint_says(batching):
    requests = mixed_requests()
    results = engine(batching).generate(requests)
    finished = [
        (request.sampling.constraint, text_of(result))
        for request, result in zip(requests, results, strict=True)
        if result.finish_reason == "stop"
    ]
    assert {constraint for constraint, _ in finished} >= {JSON, REGEX, CHOICE}
    assert all(holds(constraint, text) for constraint, text in finished)
    assert len({text for constraint, text in finished if constraint is JSON}) > 3


def test_constrained_text_does_not_depend_on_engine_company_or_order():
    requests = mixed_requests()
    together = engine("continuous").generate(requests)
    assert engine("static").generate(requests) == together
    assert engine("continuous", num_slots=3).generate(requests[::-1]) == together[::-1]
    alone = engine("continuous")
    assert [alone.generate([request])[0] for request in requests] == together


def test_the_constraint_of_the_engine_holds_for_rows_that_name_none():
    results = engine("continuous", constraint=CHOICE).generate(inputs.text_requests())
    assert {text_of(result).strip() for result in results} == set(CHOICES)


@pytest.mark.parametrize("batching", ["static", "continuous"])
def test_thoughts_are_free_up_to_the_mark(batching):
    after = Constraint(kind="choice", value=CHOICE.value, thoughts=Thoughts(closings=("q",), is_open=True))
    texts = [text_of(result) for result in engine(batching, constraint=after).generate(inputs.text_requests())]
    ended = [text for text in texts if "q" in text]
    assert ended
    assert all(text.partition("q")[2].strip() in CHOICES for text in ended if len(text) < 120)


@pytest.mark.parametrize("batching", ["static", "continuous"])
def test_a_stop_token_of_the_rows_own_ends_a_constrained_text(batching):
    own = Sampling(**LONG, constraint=CHOICE, stop_token_ids=[98])
    results = engine(batching).generate([Request(id=row, prompt_ids=[5, row + 3], sampling=own) for row in range(6)])
    assert {result.finish_reason for result in results} == {"stop"}
    assert {text_of(result).strip() for result in results} <= set(CHOICES)


def test_what_cannot_be_compiled_is_refused_with_the_remedy():
    for constraint in (
        Constraint(kind="regex", value=r"(?=x)y"),
        Constraint(kind="regex", value="(unclosed"),
        Constraint(kind="json", value='{"type": "array", "uniqueItems": true}'),
    ):
        with pytest.raises(ArgumentRefused, match="constraint=None"):
            check_constraint(constraint)
    check_constraint(JSON)


def test_a_constraint_without_a_tokenizer_refuses_the_engine_or_rejects_the_row():
    limits = Limits(kv_tokens=512, num_slots=2, step_tokens=32)
    with pytest.raises(ModelRefused, match="tokenizer"):
        ContinuousEngine(models.llama(), None, Sampling(constraint=JSON), limits=limits)
    own = ContinuousEngine(models.llama(), None, Sampling(max_new_tokens=4), limits=limits)
    bound, free = own.generate(
        [Request(id=0, prompt_ids=[5], sampling=Sampling(constraint=JSON)), Request(id=1, prompt_ids=[5])]
    )
    assert str(bound.error).startswith("sampling: constrained decoding needs")
    assert free.error is None


def test_what_a_column_cannot_hold_is_not_written():
    """Numbers without bounds stay within 64 bits, and an object has no keys that are not declared."""
    open_schema = {
        "type": "object",
        "properties": {"n": {"type": "integer"}, "up": {"type": "integer", "minimum": 5}, "x": {"multipleOf": 0.1}},
        "required": ["n", "up"],
    }
    bound = Constraint(kind="json", value=json.dumps(open_schema))
    check_constraint(bound)
    results = engine("continuous", constraint=bound, num_slots=16).generate(inputs.text_requests(60))
    found = [json.loads(text_of(result)) for result in results if result.finish_reason == "stop"]
    assert len(found) > 40
    assert all(value.keys() <= {"n", "up", "x"} for value in found)
    assert max(abs(value["n"]) for value in found) > 10**9
    assert all(abs(value["n"]) < 2**63 and 5 <= value["up"] < 2**63 for value in found)


def test_a_range_that_takes_for_ever_to_compile_is_refused():
    with pytest.raises(ArgumentRefused, match="multipleOf above 1000"):
        check_constraint(Constraint(kind="json", value='{"type": "integer", "multipleOf": 1000003}'))


def test_more_constraints_than_are_kept_compiled_all_hold():
    own = [Constraint(kind="choice", value=json.dumps([f"a{row}", f"b{row}"])) for row in range(NUM_KEPT + 20)]
    rows = [
        Request(id=row, prompt_ids=[5, 6, 7 + row], sampling=Sampling(**LONG, constraint=constraint))
        for row, constraint in enumerate(own)
    ]
    texts = [text_of(result).strip() for result in engine("continuous").generate(rows)]
    assert all(text in (f"a{row}", f"b{row}") for row, text in enumerate(texts))


@pytest.mark.slow
def test_a_thousand_rows_of_random_weights_all_hold():
    rows = [Request(id=row, prompt_ids=prompt) for row, prompt in enumerate(inputs.prompts(1000))]
    results = engine("continuous", constraint=JSON, num_slots=64).generate(rows)
    finished = [text_of(result) for result in results if result.finish_reason == "stop"]
    assert len(finished) > 900
    assert all(holds(JSON, text) for text in finished)
