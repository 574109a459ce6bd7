"""vLLM on a CPU, in float32, against transformers row by row and against itself in other company."""

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from random import Random

import pytest
import torch

from relabel.engine import Request, Sampling
from tests.engine.vllm.kit import BLOCK, NEW, prompts, rows, texts

pytestmark = pytest.mark.vllm

DRAWN = {
    "plain": Sampling(max_new_tokens=NEW, temperature=1.0, seed=5),
    "nucleus": Sampling(max_new_tokens=NEW, temperature=0.8, top_p=0.9, seed=5),
    "all": Sampling(max_new_tokens=NEW, temperature=1.0, top_k=20, min_p=0.05, repetition_penalty=1.1, seed=5),
}


def test_greedy_texts_are_those_of_transformers_with_a_cold_and_with_a_warm_cache(engine, model):
    stops = [2, 4]
    wanted = {}
    for row, prompt in enumerate(prompts(60)):
        ids = model.generate(
            torch.tensor([prompt]), max_new_tokens=NEW, do_sample=False, eos_token_id=stops, pad_token_id=0
        )
        wanted[row] = [id for id in ids[0, len(prompt) :].tolist() if id not in stops]
    assert len({tuple(ids) for ids in wanted.values()}) > 50, "the model says something of its own to each"
    shared = engine.goodput.shared_tokens
    assert texts(engine.generate(rows(60))) == wanted
    assert engine.goodput.shared_tokens - shared >= 20 * BLOCK
    assert texts(engine.generate(rows(60))) == wanted


@pytest.mark.parametrize("kind", DRAWN)
def test_a_drawn_text_does_not_depend_on_its_company(engine, kind):
    asked = rows(32, DRAWN[kind])
    wanted = texts(engine.generate(asked))
    assert len({tuple(ids) for ids in wanted.values()}) > 28
    shuffled = Random(0).sample(asked, len(asked))
    assert texts(engine.generate(shuffled)) == wanted
    for request in asked[:10]:
        assert engine.generate([request])[0].token_ids == wanted[request.id]
    others = [replace(one, id=100 + one.id, sampling=Sampling(max_new_tokens=NEW)) for one in asked]
    with ThreadPoolExecutor(3) as threads:
        parts = [asked[0::3] + others[:8], asked[1::3] + others[8:], asked[2::3]]
        found = [one for results in threads.map(engine.generate, parts) for one in results]
    assert {id: ids for id, ids in texts(found).items() if id < 100} == wanted


def test_other_seeds_and_other_draws_give_other_texts(engine):
    asked = [Request(id=draw, prompt_ids=prompts(1)[0], sampling=DRAWN["plain"]) for draw in range(8)]
    again = [replace(one, sampling=replace(one.sampling, seed=6)) for one in asked]
    drawn = [result.token_ids for result in engine.generate([*asked, *again])]
    assert len({tuple(ids) for ids in drawn}) == 16


def test_a_call_ends_with_its_own_last_row(engine):
    """Behind a lock the short call would wait for the long one."""
    never = Sampling(max_new_tokens=200, min_new_tokens=200)
    ended = []

    def ask(name, requests):
        engine.generate(requests)
        ended.append(name)

    with ThreadPoolExecutor(2) as threads:
        long = threads.submit(ask, "long", rows(8, never))
        threads.submit(ask, "short", rows(2, Sampling(max_new_tokens=2))).result()
        long.result()
    assert ended == ["short", "long"]


def test_more_rows_than_there_is_room_for_all_come_back_in_order(engine):
    results = engine.generate(rows(300, Sampling(max_new_tokens=3)))
    assert [result.id for result in results] == list(range(300))
    assert all(result.error is None for result in results)


def test_rows_of_one_group_share_what_they_begin_with(engine):
    shared = engine.goodput.shared_tokens
    same = prompts(2, seed=9)[1]
    engine.generate([Request(id=row, prompt_ids=[*same, 10 + row], group=0) for row in range(6)])
    assert engine.goodput.shared_tokens - shared >= 5 * BLOCK


def test_its_steps_are_counted_for_the_watchdog(engine):
    before = engine.goodput.num_forwards
    engine.generate(rows(1, Sampling(max_new_tokens=9, min_new_tokens=9)))
    assert engine.goodput.num_forwards >= before + 9
