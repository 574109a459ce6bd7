"""What a spec may ask of each engine: refused in a sentence, before anything is looked at."""

import pytest

from relabel.errors import SpecError
from relabel.spec import make_spec
from relabel.spec.engines.limits import why_not_vllm
from tests.spec.test_spec import MINIMAL

SERVER = {"urls": ["http://a:8000/v1"]}


def spec_of(engine, **sections):
    return make_spec({**MINIMAL, "model": {**MINIMAL["model"], "engine": engine}, **sections})


def why_not(engine, **sections):
    spec = spec_of(engine, **sections)
    return why_not_vllm(spec.resources, spec.vllm, spec.queries)


def test_relabels_own_engine_is_the_default():
    assert make_spec(MINIMAL).model.engine == "relabel"


CANNOT = {
    "resources.batching: static": {"resources": {"batching": "static"}},
    "resources.batch_tokens": {"resources": {"batch_tokens": 64}},
    "a whole number": {"resources": {"gpus_per_actor": 1.5}},
    "change sampling.temperature": {"sampling": {"temperature": 2.5}},
    "from 0.01 to 2 and 0": {"sampling": {"temperature": 0.001}},
    "change label.retry_temperatures": {"label": {"attempts": 2, "retry_temperatures": [3.0]}},
    "leave out one of the two": {"sampling": {"temperature": 1.0, "min_p": 0.1}, "vllm": {"speculate_ngram": 3}},
    "vllm.batch_invariant needs a GPU": {"resources": {"gpus_per_actor": 0}, "vllm": {"batch_invariant": True}},
}


@pytest.mark.parametrize("sentence", CANNOT)
def test_what_vllm_cannot_do_is_refused_and_auto_takes_another_engine(sentence):
    with pytest.raises(SpecError, match=sentence):
        spec_of("vllm", **CANNOT[sentence])
    assert sentence in (why_not("auto", **CANNOT[sentence]) or "")


def test_what_vllm_can_do_is_not_refused():
    could = {"resources": {"gpus_per_actor": 4, "kv_memory": "20GiB"}, "vllm": {"kv_dtype": "fp8"}}
    assert why_not("vllm", **could) is None


@pytest.mark.parametrize("engine", ["relabel", "server"])
def test_several_gpus_are_for_vllm_alone(engine):
    with pytest.raises(SpecError, match=r"needs model\.engine: vllm"):
        spec_of(engine, resources={"gpus_per_actor": 2}, **({"server": SERVER} if engine == "server" else {}))


@pytest.mark.parametrize(
    ("engine", "section"), [("relabel", "vllm"), ("relabel", "server"), ("vllm", "server"), ("auto", "server")]
)
def test_a_section_goes_with_its_engine(engine, section):
    with pytest.raises(SpecError, match=f"{section} goes with model.engine: {section}"):
        spec_of(engine, **{section: SERVER if section == "server" else {"max_rows": 8}})


def test_a_server_is_named():
    with pytest.raises(SpecError, match=r"server\.urls is missing"):
        spec_of("server")


@pytest.mark.parametrize(
    "url", ["ftp://a/v1", "a:8000", "http:///v1", "http://me:pass@a/v1", "https://a/v1?key=secret", "https://a/#secret"]
)
def test_an_address_is_one_of_the_web_and_has_no_secret(url):
    with pytest.raises(SpecError, match=r"server\.urls: an address") as refused:
        spec_of("server", server={"urls": [url]})
    assert "secret" not in str(refused.value)
    assert "pass" not in str(refused.value)


def test_a_key_is_named_by_its_variable_and_not_given():
    with pytest.raises(SpecError, match="never the key itself") as refused:
        spec_of("server", server={**SERVER, "api_key_env": "sk-secret"})
    assert "sk-" not in str(refused.value)
    assert spec_of("server", server={**SERVER, "api_key_env": "OPENAI_API_KEY"}).server.api_key_env


@pytest.mark.parametrize("section", ["vllm", "server"])
def test_nothing_else_can_be_handed_to_an_engine(section):
    with pytest.raises(SpecError, match=f"{section}.trust_remote_code"):
        spec_of(section, **{section: {"trust_remote_code": True}})


SERVERS_CANNOT = {
    "server.timeout is above half": {"server": {**SERVER, "timeout": 100}, "resources": {"deadline": 150}},
    "model.adapter is merged": {"model": {**MINIMAL["model"], "engine": "server", "adapter": "a"}},
    "resources.batching: static": {"resources": {"batching": "static"}},
    "resources.kv_memory": {"resources": {"kv_memory": "1GiB"}},
    "leave out prompt.image": {"prompt": {"user": "x", "image": "image"}},
    "change sampling.temperature": {"sampling": {"temperature": 2.5}},
}
CHATS_CANNOT = {
    "sampling.top_k": {"sampling": {"top_k": 3}},
    "sampling.min_p": {"sampling": {"temperature": 1, "min_p": 0.1}},
    "sampling.repetition_penalty": {"sampling": {"repetition_penalty": 1.1}},
    "sampling.min_new_tokens": {"sampling": {"min_new_tokens": 3}},
    "sampling.stop_token_ids": {"sampling": {"stop_token_ids": [3]}},
    "label.logprobs": {"label": {"logprobs": True}},
    "label.constrain: false": {"label": {"parse": "choice", "choices": ["a", "b"]}},
    "prompt.chat: never": {"prompt": {"user": "x", "chat": "never"}},
    "prompt.continue_final_message": {"prompt": {"messages": "m", "continue_final_message": True}},
    "prompt.chat_template_kwargs": {"prompt": {"user": "x", "chat_template_kwargs": {"enable_thinking": False}}},
}


@pytest.mark.parametrize("sentence", SERVERS_CANNOT)
def test_what_servers_cannot_do_is_refused(sentence):
    with pytest.raises(SpecError, match=sentence):
        spec_of("server", **{"server": SERVER, **SERVERS_CANNOT[sentence]})


@pytest.mark.parametrize("sentence", CHATS_CANNOT)
def test_what_servers_of_chats_cannot_do_is_refused_and_servers_of_tokens_can(sentence):
    with pytest.raises(SpecError, match=sentence):
        spec_of("server", server={**SERVER, "api": "chat"}, **CHATS_CANNOT[sentence])
    spec_of("server", server=SERVER, **CHATS_CANNOT[sentence])


def test_servers_of_chats_can_be_asked_for_json():
    schema = {"type": "object", "properties": {"a": {"type": "string"}}}
    label = {"parse": "json", "json_schema": schema}
    assert spec_of("server", server={**SERVER, "api": "chat"}, label=label).label.is_constrained
