"""What is generated and how often: attempts, longer caps, samples, equal prompts, probabilities."""

import math
from dataclasses import replace

import numpy as np

from relabel.engine import Request, Result, Sampling
from relabel.job.stages.completions import Ask, ask, probabilities, row_id
from relabel.rejected import Code, Rejected
from relabel.spec import Label

GREEDY, SAMPLED = Sampling(max_new_tokens=4), Sampling(max_new_tokens=4, temperature=0.5)
GOOD = [1]


class Scripted:
    """An engine that answers with `answer(request)`, and remembers what it was asked."""

    def __init__(self, answer, sampling=SAMPLED):
        self.sampling, self._answer = sampling, answer
        self.calls: list[list[Request]] = []

    def generate(self, requests):
        self.calls.append(list(requests))
        return [self._answer(request) for request in requests]

    @property
    def num_generated(self):
        return sum(map(len, self.calls))


def text(request, ids, reason="stop"):
    return Result(id=request.id, token_ids=ids, finish_reason=reason)


def make_ask(row=0, sample=0, *, sampling=SAMPLED, prompt=(5, 6), tensors=None, **label):
    request = Request(id=0, prompt_ids=list(prompt), tensors=tensors or {}, sampling=sampling)
    return Ask(
        row=row, sample=sample, key=f"a.jsonl\0{row}", request=request, label=Label(**label), holds_label=GOOD.__eq__
    )


def test_each_text_is_drawn_by_its_row_and_sample_and_the_first_by_the_row_alone():
    engine = Scripted(lambda request: text(request, GOOD))
    ask(engine, [make_ask(row, sample) for row in range(2) for sample in range(2)])
    ids = [request.id for request in engine.calls[0]]
    assert len(set(ids)) == 4
    assert ids[0] == row_id("a.jsonl\x000")
    assert ids[3] == row_id("a.jsonl\x001", 1)


def test_a_text_that_is_no_label_is_generated_again_with_another_draw_and_no_other_text_is():
    good_at_third = row_id("a.jsonl\x000", 0, 2)
    engine = Scripted(lambda request: text(request, GOOD if request.id == good_at_third else [9, 9]))
    bad, lost = ask(engine, [make_ask(0, attempts=3), make_ask(1, attempts=2)])
    assert (bad.token_ids, bad.attempts, bad.num_tokens) == (GOOD, 3, 5)
    assert (lost.token_ids, lost.attempts, lost.num_tokens) == ([9, 9], 2, 4)
    assert [len(call) for call in engine.calls] == [2, 2, 1]
    assert len({request.id for call in engine.calls for request in call}) == 5


def test_attempts_climb_the_ladder_of_temperatures_and_stay_on_its_last_step():
    engine = Scripted(lambda request: text(request, [9]), GREEDY)
    ask(engine, [make_ask(sampling=GREEDY, attempts=4, retry_temperatures=[0.3, 0.9])])
    assert [call[0].sampling.temperature for call in engine.calls] == [0, 0.3, 0.9, 0.9]


def test_a_text_that_was_cut_off_goes_on_once_with_the_same_draw_under_a_larger_cap():
    def answer(request):
        return text(request, GOOD, "stop" if request.sampling.max_new_tokens == 50 else "length")

    engine = Scripted(answer)
    whole, short = ask(engine, [make_ask(0, max_new_tokens_on_retry=50), make_ask(1)])
    assert (whole.finish_reason, whole.attempts) == ("stop", 2)
    assert (short.finish_reason, short.attempts) == ("length", 1)
    assert engine.calls[1][0].id == engine.calls[0][0].id


def test_a_text_that_is_cut_off_under_the_larger_cap_too_is_left_at_that():
    engine = Scripted(lambda request: text(request, GOOD, "length"))
    (outcome,) = ask(engine, [make_ask(max_new_tokens_on_retry=50, attempts=3)])
    assert (outcome.attempts, outcome.finish_reason) == (2, "length")


def test_a_text_that_finds_no_room_under_the_larger_cap_stays_as_it_was():
    def answer(request):
        if request.sampling.max_new_tokens == 50:
            return Result(id=request.id, error="prompt_too_long: x")
        return text(request, GOOD, "length")

    (outcome,) = ask(Scripted(answer), [make_ask(max_new_tokens_on_retry=50)])
    assert (outcome.token_ids, outcome.error, outcome.attempts) == (GOOD, None, 2)


def test_a_row_that_is_greedy_by_itself_is_not_asked_for_the_same_text_again():
    engine = Scripted(lambda request: text(request, [9]))
    ask(engine, [make_ask(sampling=GREEDY, attempts=4)])
    assert engine.num_generated == 1


def test_an_error_of_the_engine_is_not_tried_again():
    engine = Scripted(lambda request: Result(id=request.id, error=Rejected(Code.NONFINITE, "x")))
    (outcome,) = ask(engine, [make_ask(attempts=3)])
    assert (outcome.error, outcome.token_ids, outcome.attempts) == ("nonfinite: x", None, 1)


def test_equal_greedy_prompts_are_generated_once_and_sampled_ones_each():
    asks = [make_ask(row, sampling=GREEDY, prompt=(5, row % 2)) for row in range(6)]
    engine = Scripted(lambda request: text(request, list(request.prompt_ids)))
    outcomes = ask(engine, asks)
    assert [outcome.token_ids for outcome in outcomes] == [[5, row % 2] for row in range(6)]
    assert engine.num_generated == 2
    engine = Scripted(lambda request: text(request, GOOD))
    ask(engine, [make_ask(row) for row in range(6)])
    assert engine.num_generated == 6


def test_prompts_are_equal_only_with_the_same_images_and_settings():
    image, other = np.zeros((1, 2), np.uint8), np.ones((1, 2), np.uint8)
    asks = [
        make_ask(0, sampling=GREEDY, tensors={"pixel_values": image}),
        make_ask(1, sampling=GREEDY, tensors={"pixel_values": image.copy()}),
        make_ask(2, sampling=GREEDY, tensors={"pixel_values": other}),
        make_ask(3, sampling=GREEDY, tensors={"pixel_values": image.reshape(2, 1)}),
        make_ask(4, sampling=replace(GREEDY, max_new_tokens=3), tensors={"pixel_values": image}),
    ]
    engine = Scripted(lambda request: text(request, GOOD))
    ask(engine, asks)
    assert engine.num_generated == 4


def test_the_mean_log_probability_is_that_of_the_last_attempt():
    def answer(request):
        return Result(id=request.id, token_ids=GOOD, finish_reason="stop", logprobs=[-1.0, -3.0])

    assert ask(Scripted(answer), [make_ask(logprobs=True)])[0].logprob == -2.0
    assert ask(Scripted(lambda request: text(request, GOOD)), [make_ask()])[0].logprob is None


def test_the_probability_of_a_choice_is_that_of_its_tokens_among_all_choices():
    table = {7: -1.0, 8: -2.0, 2: -0.5}

    def answer(request):
        if request.prompt_ids[0] == 0:
            return Result(id=request.id, error=Rejected(Code.NONFINITE, "x"))
        logprobs = [table[token] for token in request.forced_ids]
        return Result(id=request.id, token_ids=list(request.forced_ids), finish_reason="length", logprobs=logprobs)

    engine = Scripted(answer)
    found, failed = probabilities(engine, [make_ask(0), make_ask(1, prompt=(0,))], [[7, 2], [8, 8, 2]])
    weights = [math.exp(-1.5), math.exp(-4.5)]
    np.testing.assert_allclose(found, [weight / sum(weights) for weight in weights])
    assert failed is None


def test_equal_prompts_are_scored_once():
    engine = Scripted(lambda request: Result(id=0, token_ids=[7], finish_reason="length", logprobs=[-1.0]))
    assert probabilities(engine, [make_ask(row) for row in range(5)], [[7], [8]]) == [[0.5, 0.5]] * 5
    assert engine.num_generated == 2
