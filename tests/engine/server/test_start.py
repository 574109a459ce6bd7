"""What is found out about servers before any row, and rows that servers fail at for ever."""

import numpy as np
import pytest

from relabel.engine import Constraint, Request, Sampling
from relabel.engine.server.loading import load_tokens
from relabel.errors import ArgumentRefused, ModelRefused
from relabel.rejected import Code
from tests.engine.server.answers import is_look
from tests.engine.server.engines import SAMPLING, engine_of, rows, settings_of, texts_of
from tests.engine.server.hostile import HostileServer


def refuses(asks):
    return lambda server, request, body: "refused" if asks(body) else None


REFUSED = {
    "gives no token ids back": lambda *_: "no ids at all",
    "does not take a prompt as the token ids": lambda *_: "another prompt",
    "another model": lambda *_: "tokens of another",
    "does not take what every row asks": lambda *_: "refused",
    "serves nobody: it answers with 403": lambda *_: "forbidden",
    "no server answers: .*an answer of 500": lambda *_: "error",
    "where 12 are asked": lambda *_: "no tokens",
}


@pytest.mark.parametrize("sentence", REFUSED)
def test_a_server_that_cannot_do_it_is_refused_at_the_start(sentence, model):
    with HostileServer(REFUSED[sentence]) as server, pytest.raises(ModelRefused, match=sentence):
        load_tokens(str(model), sampling=SAMPLING, settings=settings_of(server))


def test_nobody_at_an_address_is_said_and_one_of_two_is_enough(model):
    with HostileServer() as server, HostileServer() as gone:
        gone.die()
        with pytest.raises(ModelRefused, match=r"no server answers.*no connection"):
            load_tokens(str(model), sampling=SAMPLING, settings=settings_of(gone))
        with engine_of(model, server, gone) as engine:
            assert [one.token_ids for one in engine.generate(rows(20))] == texts_of(rows(20))
            gone.begin()
            many = rows(3000)
            assert [one.token_ids for one in engine.generate(many)] == texts_of(many)
        assert gone.num_answered.total() > 100, "it was asked again once it was there"


def test_the_model_is_the_one_that_is_named_or_the_only_one(model):
    with HostileServer(models=("a", "b")) as server:
        with pytest.raises(ModelRefused, match=r"serves 2 models: name one in server\.model"):
            load_tokens(str(model), sampling=SAMPLING, settings=settings_of(server))
        with pytest.raises(ModelRefused, match=r"serves no model 'c'"):
            load_tokens(str(model), sampling=SAMPLING, settings=settings_of(server, model="c"))
        named = load_tokens(str(model), sampling=SAMPLING, settings=settings_of(server, model="b"))
        assert named.generate(rows(2))[1].error is None
        named.close()


def test_what_a_label_asks_and_servers_cannot_do_is_refused(model):
    held = Sampling(max_new_tokens=20, constraint=Constraint(kind="choice", value='["a"]'))
    numbers = Sampling(max_new_tokens=9, logprobs=True)
    with HostileServer(refuses(lambda body: "structured_outputs" in body)) as server:
        settings = settings_of(server)
        with pytest.raises(ArgumentRefused, match="cannot hold texts to this label"):
            load_tokens(str(model), sampling=held, settings=settings)
        server.fault = refuses(lambda body: "prompt_logprobs" in body)
        with pytest.raises(ModelRefused, match="no log-probabilities"):
            load_tokens(str(model), sampling=numbers, settings=settings)


@pytest.mark.parametrize("name", ["dies", "error", "hangs", "closes", "nothing", "busy"])
def test_a_row_that_servers_always_fail_at_is_rejected_and_takes_no_other_along(name, model):
    bad = {7, 23}

    def poison(server, request, body):
        return name if body["prompt"][1] - 20 in bad and not is_look(body) else None

    asked = rows(40)
    with HostileServer(poison) as server, engine_of(model, server, timeout=0.4) as engine:
        results = engine.generate(asked)
    errors = {result.id: result.error.code for result in results if result.error}
    assert errors == dict.fromkeys(bad, Code.SERVER)
    wanted = texts_of(asked)
    assert all(result.token_ids == wanted[result.id] for result in results if result.id not in bad)


def test_a_row_with_an_image_or_a_prompt_that_is_too_long_is_its_reject(model):
    odd = [
        Request(id=0, prompt_ids=[10, 20, 30], tensors={"pixel_values": np.zeros((1, 3, 2, 2))}),
        Request(id=1, prompt_ids=[10] * 511),
        Request(id=2, prompt_ids=[10, 20, 399]),
        Request(id=3, prompt_ids=[10, 20, 400]),
    ]
    with HostileServer() as server, engine_of(model, server) as engine:
        found = [result.error and result.error.code for result in engine.generate(odd)]
    assert found == [Code.IMAGE, Code.PROMPT_TOO_LONG, None, Code.PROMPT]


def test_texts_that_are_given_are_scored(model):
    given = [Request(id=row, prompt_ids=[10, 20], forced_ids=[40 + row, 50]) for row in range(5)]
    with HostileServer() as server, engine_of(model, server) as engine:
        assert [one.logprobs for one in engine.generate(given)] == [[-(40 + row) / 100, -0.5] for row in range(5)]
