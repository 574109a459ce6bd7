"""Servers of chats: what they are sent, what is refused before they are, and what is made of their answers."""

from dataclasses import replace

import pytest

from relabel.engine import Constraint, Request, Sampling
from relabel.engine.server.loading import load_chats
from relabel.errors import ArgumentRefused, ModelRefused
from relabel.rejected import Code
from tests.engine.server.engines import settings_of
from tests.engine.server.hostile import HostileServer

SCHEMA = Constraint(kind="json", value='{"type": "object"}')


def chat(row, text="Say a colour."):
    return Request(id=row, prompt_ids=[1, 2], chat=(("system", "Be short."), ("user", f"{text} {row}")))


@pytest.fixture
def server():
    with HostileServer() as server:
        yield server


def load(server, sampling=None, **changed):
    return load_chats(sampling=sampling or Sampling(max_new_tokens=20), settings=settings_of(server, **changed))


def test_messages_go_out_and_texts_come_back(server):
    results = load(server).generate([chat(row) for row in range(30)])
    assert [result.text for result in results] == [f"to: Say a colour. {row}" for row in range(30)]
    assert {(result.finish_reason, result.token_ids, result.num_tokens) for result in results} == {("stop", None, 3)}
    assert server.bodies[-1]["messages"][0] == {"role": "system", "content": "Be short."}


def test_only_what_does_something_is_sent(server):
    engine = load(server)
    engine.generate([chat(0)])
    assert server.bodies[-1].keys() == {"model", "messages", "max_tokens", "temperature"}
    full = Sampling(max_new_tokens=9, temperature=0.5, top_p=0.9, seed=3, constraint=SCHEMA)
    engine.generate([replace(chat(0), sampling=full)])
    told = server.bodies[-1]
    assert told["response_format"]["json_schema"]["schema"] == {"type": "object"}
    assert (told["max_tokens"], told["temperature"], told["top_p"]) == (9, 0.5, 0.9)
    assert 0 <= told["seed"] < 2**31
    engine.generate([replace(chat(0), sampling=Sampling(max_new_tokens=9, stop_strings=["colour"]))])
    assert server.bodies[-1]["stop"] == ["colour"]


CANNOT = {
    "no top_k": {"top_k": 5},
    "no min_p": {"min_p": 0.1},
    "no repetition_penalty": {"repetition_penalty": 1.1},
    "no min_new_tokens": {"min_new_tokens": 2},
    "no stop_token_ids": {"stop_token_ids": (5,)},
    "no log-probabilities": {"logprobs": True},
    "a JSON schema at most": {"constraint": Constraint(kind="choice", value='["a"]')},
}


@pytest.mark.parametrize("sentence", CANNOT)
def test_what_they_cannot_be_sent_is_refused_at_the_start_and_is_the_reject_of_a_row(server, sentence):
    own = Sampling(max_new_tokens=20, **CANNOT[sentence])
    with pytest.raises(ModelRefused, match=sentence):
        load(server, own)
    [found] = load(server).generate([replace(chat(0), sampling=own)])
    assert (found.error.code, sentence in found.error.detail) == (Code.SAMPLING, True)


def test_a_text_is_cut_where_a_server_did_not(server):
    own = Sampling(max_new_tokens=20, stop_strings=["colour"])
    [found] = load(server, own).generate([chat(0)])
    assert found.text == "to: Say a "


def test_the_word_for_the_most_new_tokens_is_found_out(server):
    server.fault = lambda _, __, body: "refused" if "max_tokens" in body else None
    engine = load(server)
    engine.generate([chat(0)])
    assert server.bodies[-1]["max_completion_tokens"] == 20


def test_settings_that_a_server_refuses_are_refused_at_the_start(server):
    server.fault = lambda _, __, body: "refused" if body.get("temperature") == 0.0 else None
    with pytest.raises(ModelRefused, match="does not take the settings"):
        load(server)
    server.fault = lambda _, __, body: "refused" if "response_format" in body else None
    with pytest.raises(ArgumentRefused, match="cannot hold texts to this label"):
        load(server, Sampling(max_new_tokens=20, constraint=SCHEMA))


@pytest.mark.parametrize("name", ["filtered", "no text", "only thoughts", "called a tool"])
def test_answers_without_a_text(server, name):
    engine = load(server)
    server.fault = lambda *_: name
    [found] = engine.generate([chat(0)])
    if name == "only thoughts":
        assert (found.text, found.finish_reason) == ("", "length")
    else:
        assert found.error.code == (Code.PROMPT if name == "filtered" else Code.SERVER)
