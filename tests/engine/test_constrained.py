"""Constrained text is what its constraint says, in both engines, any company and order; scores are the model's."""

from __future__ import annotations

import json
import re

import pytest
import torch
from jsonschema import Draft202012Validator

from relabel.engine import ContinuousEngine, Limits, Request, Sampling, StaticEngine, Thoughts
from relabel.engine.api.constraint import Constraint, check_constraint
from relabel.engine.sampling.grammar import NUM_KEPT, Grammars, Matcher, allowed
from relabel.errors import ArgumentRefused, ModelRefused
from tests.engine import models

SCHEMA = {
    "type": "object",
    "properties": {
        "name": {"type": "string", "maxLength": 8},
        "size": {"enum": ["small", "large"]},
        "count": {"type": "integer", "minimum": 0, "maximum": 99},
        "parts": {"type": "array", "items": {"type": "boolean"}, "maxItems": 3},
    },
    "required": ["name", "size", "count", "parts"],
    "additionalProperties": False,
}
CHOICES = ["red", "red car", "blue"]
JSON = Constraint(kind="json", value=json.dumps(SCHEMA))
REGEX = Constraint(kind="regex", value=r"[A-Z]{2,9}-\d{1,3}(/\d)?")
CHOICE = Constraint(kind="choice", value=json.dumps(CHOICES))
LONG = {"max_new_tokens": 120, "temperature": 1.0, "seed": 3}


def engine(batching: str, *, num_slots: int = 8, **sampling):
    """The tiny Llama speaks one character a token."""
    settings = Sampling(**{**LONG, **sampling})
    if batching == "static":
        return StaticEngine(models.llama(), models.tokenizer(), settings)
    limits = Limits(kv_tokens=4096, num_slots=num_slots, step_tokens=64 + num_slots)
    return ContinuousEngine(models.llama(), models.tokenizer(), settings, limits=limits)


def text_of(result) -> str:
    return models.tokenizer().decode(result.token_ids)


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
        for row, prompt in enumerate(models.prompts(24))
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
    results = engine("continuous", constraint=CHOICE).generate(models.text_requests())
    assert {text_of(result).strip() for result in results} == set(CHOICES)


@pytest.mark.parametrize("batching", ["static", "continuous"])
def test_thoughts_are_free_up_to_the_mark(batching):
    after = Constraint(kind="choice", value=CHOICE.value, thoughts=Thoughts(closings=("q",), is_open=True))
    texts = [text_of(result) for result in engine(batching, constraint=after).generate(models.text_requests())]
    ended = [text for text in texts if "q" in text]
    assert ended
    assert all(text.partition("q")[2].strip() in CHOICES for text in ended if len(text) < 120)


@pytest.mark.parametrize("batching", ["static", "continuous"])
def test_a_stop_token_of_the_rows_own_ends_a_constrained_text(batching):
    own = Sampling(**LONG, constraint=CHOICE, stop_token_ids=[98])
    results = engine(batching).generate([Request(id=row, prompt_ids=[5, row + 3], sampling=own) for row in range(6)])
    assert {result.finish_reason for result in results} == {"stop"}
    assert {text_of(result).strip() for result in results} <= set(CHOICES)


@pytest.mark.parametrize("batching", ["static", "continuous"])
@pytest.mark.parametrize("bound", [{}, {"constraint": CHOICE}, {"temperature": 0.0}])
def test_log_probabilities_are_those_of_the_model_alone(batching, bound):
    own, model = engine(batching, logprobs=True, **{"max_new_tokens": 12, **bound}), models.llama()
    for result, request in zip(own.generate(rows := models.text_requests()), rows, strict=True):
        chosen = [*result.token_ids, *([models.EOS] if result.finish_reason == "stop" else [])]
        ids = torch.tensor([[*request.prompt_ids, *chosen]])
        logits = model(ids).logits[0, len(request.prompt_ids) - 1 : -1]
        wanted = logits.log_softmax(-1).gather(1, torch.tensor(chosen)[:, None])[:, 0]
        torch.testing.assert_close(torch.tensor(result.logprobs), wanted, atol=1e-3, rtol=1e-4)


@pytest.mark.parametrize("batching", ["static", "continuous"])
def test_a_text_that_is_given_is_scored(batching):
    """The model's own greedy text, forced upon it, has the same log-probabilities; another text has lower ones."""
    own = engine(batching, logprobs=True, temperature=0.0, max_new_tokens=8)
    prompts = models.prompts(5)
    free = own.generate([Request(id=row, prompt_ids=prompt) for row, prompt in enumerate(prompts)])
    rows = [(prompt, result.token_ids) for prompt, result in zip(prompts, free, strict=True) if result.token_ids]
    forced = own.generate([Request(id=0, prompt_ids=prompt, forced_ids=ids) for prompt, ids in rows])
    other = own.generate([Request(id=0, prompt_ids=prompt, forced_ids=ids[::-1]) for prompt, ids in rows])
    for (_, ids), result, worse in zip(rows, forced, other, strict=True):
        assert result.token_ids == ids
        assert len(result.logprobs) == len(ids)
        assert ids == ids[::-1] or sum(worse.logprobs) < sum(result.logprobs)
    assert [result.logprobs[0] for result in forced] == pytest.approx(
        [result.logprobs[0] for result in free if result.token_ids], abs=1e-4
    )


def test_nobody_asked_for_log_probabilities():
    assert engine("continuous").generate(models.text_requests(1))[0].logprobs is None


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


def test_a_mark_that_the_tokenizer_has_a_token_for_ends_the_thoughts_too():
    """Of an added token in angle brackets no text is a part: the mark has to be allowed as what it is."""
    tokenizer = models.tokenizer(("</think>",))
    grammars = Grammars(tokenizer, models.VOCAB_SIZE)
    bound = Constraint(kind="choice", value='["red"]', thoughts=Thoughts(closings=("</think>",), is_open=True))
    for spelled in ([tokenizer.convert_tokens_to_ids("</think>")], [ord(letter) - 30 for letter in "</think>"]):
        matcher = grammars.matcher(bound, [models.EOS])
        for token in [*(ord(letter) - 30 for letter in "hm"), *spelled]:
            matcher.consume(token)
        (mask_W,) = grammars.masks([matcher])
        may = allowed(torch.from_numpy(mask_W)[None], models.VOCAB_SIZE)[0].nonzero()[:, 0].tolist()
        assert "r" in tokenizer.decode(may)
        assert "x" not in tokenizer.decode(may)


class Worn:
    """A grammar that gives up in the middle of a text, as copies of one do whose lexer has all its 250,000 states."""

    def __init__(self, grammar):
        self._grammar, self._num_masks = grammar, 0

    def __getattr__(self, name):
        return getattr(self._grammar, name)

    def unsafe_compute_mask_ptr(self, *place):
        self._num_masks += 1
        self._grammar.unsafe_compute_mask_ptr(*place)

    def is_error(self):
        return self._num_masks > 4


def test_a_grammar_that_many_rows_have_worn_out_is_made_anew_in_the_middle_of_a_text():
    grammars = Grammars(models.tokenizer(), models.VOCAB_SIZE)
    fresh = grammars.matcher(REGEX, [models.EOS])
    renewed = []

    def renew(is_worn):
        renewed.append(is_worn)
        grammar = fresh._grammar.deep_copy()
        return grammar if is_worn else Worn(grammar)

    matcher, sound = Matcher(renew, (models.EOS,)), grammars.matcher(REGEX, [models.EOS])
    for letter in "ABCDE-123":
        masks_RW = grammars.masks([matcher, sound])
        assert (masks_RW[0] == masks_RW[1]).all()
        for one in (matcher, sound):
            one.consume(ord(letter) - 30)
    assert renewed == [False, True]


def test_what_a_column_cannot_hold_is_not_written():
    """Numbers without bounds stay within 64 bits, and an object has no keys that are not declared."""
    open_schema = {
        "type": "object",
        "properties": {"n": {"type": "integer"}, "up": {"type": "integer", "minimum": 5}, "x": {"multipleOf": 0.1}},
        "required": ["n", "up"],
    }
    bound = Constraint(kind="json", value=json.dumps(open_schema))
    check_constraint(bound)
    results = engine("continuous", constraint=bound, num_slots=16).generate(models.text_requests(60))
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
    rows = [Request(id=row, prompt_ids=prompt) for row, prompt in enumerate(models.prompts(1000))]
    results = engine("continuous", constraint=JSON, num_slots=64).generate(rows)
    finished = [text_of(result) for result in results if result.finish_reason == "stop"]
    assert len(finished) > 900
    assert all(holds(JSON, text) for text in finished)
