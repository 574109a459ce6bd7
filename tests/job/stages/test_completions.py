"""What is generated and how often: attempts, longer caps, samples, equal prompts, probabilities."""

import math
from dataclasses import replace

import numpy as np

from relabel.engine import Request, Result, Sampling, ScriptedEngine
from relabel.job.stages.completions import CompletionRequest, Key, complete, probabilities, row_id
from relabel.rejected import Code, Rejected
from relabel.spec import Label

GREEDY, SAMPLED = Sampling(max_new_tokens=4), Sampling(max_new_tokens=4, temperature=0.5)
GOOD, BAD = "good", "not good"


class Recording(ScriptedEngine):
    """Remembers what it was asked."""

    def __init__(self, script, sampling=SAMPLED):
        super().__init__(script, sampling)
        self.calls: list[list[Request]] = []

    def generate(self, requests):
        self.calls.append(list(requests))
        return super().generate(requests)

    @property
    def num_generated(self):
        return sum(map(len, self.calls))


def result(text, reason="stop", **fields):
    return Result(id=0, text=text, num_tokens=len(text.split()), finish_reason=reason, **fields)


def wanted(row=0, sample=0, *, sampling=SAMPLED, prompt=(5, 6), tensors=None, **label):
    return CompletionRequest(
        key=Key("", row, sample),
        name=f"a.jsonl\0{row}",
        request=Request(id=0, prompt_ids=list(prompt), tensors=tensors or {}, sampling=sampling),
        label=Label(**label),
        holds_label=lambda result: result.text == GOOD,
    )


def test_each_text_is_drawn_by_its_row_and_sample_and_the_first_by_the_row_alone():
    engine = Recording(lambda request: GOOD)
    complete(engine, [wanted(row, sample) for row in range(2) for sample in range(2)])
    ids = [request.id for request in engine.calls[0]]
    assert len(set(ids)) == 4
    assert ids[0] == row_id("a.jsonl\x000")
    assert ids[3] == row_id("a.jsonl\x001", 1)


def test_a_text_that_is_no_label_is_generated_again_with_another_draw_and_no_other_text_is():
    good_at_third = row_id("a.jsonl\x000", 0, 2)
    engine = Recording(lambda request: GOOD if request.id == good_at_third else BAD)
    bad, lost = complete(engine, [wanted(0, attempts=3), wanted(1, attempts=2)])
    assert (bad.text, bad.attempts, bad.num_tokens) == (GOOD, 3, 5)
    assert (lost.text, lost.attempts, lost.num_tokens) == (BAD, 2, 4)
    assert [len(call) for call in engine.calls] == [2, 2, 1]
    assert len({request.id for call in engine.calls for request in call}) == 5


def test_attempts_climb_the_ladder_of_temperatures_and_stay_on_its_last_step():
    engine = Recording(lambda request: "bad", GREEDY)
    complete(engine, [wanted(sampling=GREEDY, attempts=4, retry_temperatures=[0.3, 0.9])])
    assert [call[0].sampling.temperature for call in engine.calls] == [0, 0.3, 0.9, 0.9]


def test_a_text_that_was_cut_off_goes_on_once_with_the_same_draw_under_a_larger_cap():
    def answer(request):
        return result(GOOD, "stop" if request.sampling.max_new_tokens == 50 else "length")

    engine = Recording(answer)
    whole, short = complete(engine, [wanted(0, max_new_tokens_on_retry=50), wanted(1)])
    assert (whole.finish_reason, whole.attempts) == ("stop", 2)
    assert (short.finish_reason, short.attempts) == ("length", 1)
    assert engine.calls[1][0].id == engine.calls[0][0].id


def test_a_text_that_is_cut_off_under_the_larger_cap_too_is_left_at_that():
    engine = Recording(lambda request: result(GOOD, "length"))
    (outcome,) = complete(engine, [wanted(max_new_tokens_on_retry=50, attempts=3)])
    assert (outcome.attempts, outcome.finish_reason) == (2, "length")


def test_a_text_that_finds_no_room_under_the_larger_cap_stays_as_it_was():
    def answer(request):
        if request.sampling.max_new_tokens == 50:
            return Result(id=request.id, error=Rejected(Code.PROMPT_TOO_LONG, "x"))
        return result(GOOD, "length")

    (outcome,) = complete(Recording(answer), [wanted(max_new_tokens_on_retry=50)])
    assert (outcome.text, outcome.error, outcome.attempts) == (GOOD, None, 2)


def test_a_row_that_is_greedy_by_itself_is_not_asked_for_the_same_text_again():
    engine = Recording(lambda request: "bad")
    complete(engine, [wanted(sampling=GREEDY, attempts=4)])
    assert engine.num_generated == 1


def test_an_error_of_the_engine_is_not_tried_again():
    engine = Recording(lambda request: Result(id=request.id, error=Rejected(Code.NONFINITE, "x")))
    (outcome,) = complete(engine, [wanted(attempts=3)])
    assert (outcome.error, outcome.text, outcome.attempts) == ("nonfinite: x", None, 1)


def test_equal_greedy_prompts_are_generated_once_and_sampled_ones_each():
    requests = [wanted(row, sampling=GREEDY, prompt=(5, row % 2)) for row in range(6)]
    engine = Recording(lambda request: str(request.prompt_ids))
    outcomes = complete(engine, requests)
    assert [outcome.text for outcome in outcomes] == [str([5, row % 2]) for row in range(6)]
    assert engine.num_generated == 2
    engine = Recording(lambda request: GOOD)
    complete(engine, [wanted(row) for row in range(6)])
    assert engine.num_generated == 6


def test_prompts_are_equal_only_with_the_same_images_and_settings():
    image, other = np.zeros((1, 2), np.uint8), np.ones((1, 2), np.uint8)
    requests = [
        wanted(0, sampling=GREEDY, tensors={"pixel_values": image}),
        wanted(1, sampling=GREEDY, tensors={"pixel_values": image.copy()}),
        wanted(2, sampling=GREEDY, tensors={"pixel_values": other}),
        wanted(3, sampling=GREEDY, tensors={"pixel_values": image.reshape(2, 1)}),
        wanted(4, sampling=replace(GREEDY, max_new_tokens=3), tensors={"pixel_values": image}),
    ]
    engine = Recording(lambda request: GOOD)
    complete(engine, requests)
    assert engine.num_generated == 4


def test_the_mean_log_probability_is_that_of_the_last_attempt():
    def answer(request):
        return result(GOOD, logprobs=[-1.0, -3.0])

    assert complete(Recording(answer), [wanted(logprobs=True)])[0].logprob == -2.0
    assert complete(Recording(lambda request: GOOD), [wanted()])[0].logprob is None


def test_the_probability_of_a_choice_is_that_of_its_tokens_among_all_choices():
    table = {7: -1.0, 8: -2.0, 2: -0.5}

    def answer(request):
        if request.prompt_ids[0] == 0:
            return Result(id=request.id, error=Rejected(Code.NONFINITE, "x"))
        logprobs = [table[token] for token in request.forced_ids]
        return Result(id=request.id, token_ids=list(request.forced_ids), finish_reason="length", logprobs=logprobs)

    engine = Recording(answer)
    found, failed = probabilities(engine, [wanted(0), wanted(1, prompt=(0,))], [[7, 2], [8, 8, 2]])
    weights = [math.exp(-1.5), math.exp(-4.5)]
    np.testing.assert_allclose(found, [weight / sum(weights) for weight in weights])
    assert failed is None


def test_equal_prompts_are_scored_once():
    engine = Recording(lambda request: Result(id=0, token_ids=[7], finish_reason="length", logprobs=[-1.0]))
    assert probabilities(engine, [wanted(row) for row in range(5)], [[7], [8]]) == [[0.5, 0.5]] * 5
    assert engine.num_generated == 2
