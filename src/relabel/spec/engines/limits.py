"""What of a spec each engine cannot do, in a sentence with the way out.

Knows settings; nothing of how an engine is made, or whether it is there.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from relabel.spec.engines.keys import Server, Vllm
from relabel.spec.query import Query
from relabel.spec.running.resources import Resources
from relabel.spec.sections import Model

LEAST_TEMPERATURE, MOST_TEMPERATURE = 0.01, 2.0
"""Of vLLM, which raises anything between 0 and the first to that, and refuses what is above the second."""


def check_engine(model: Model, resources: Resources, vllm: Vllm, server: Server, queries: Sequence[Query]) -> None:
    """Raise ValueError, with the key and the way out, where a spec asks its engine for what that cannot do."""
    name = model.engine
    if vllm != Vllm() and name not in ("vllm", "auto"):
        raise ValueError("vllm goes with model.engine: vllm")
    if server != Server() and name != "server":
        raise ValueError("server goes with model.engine: server")
    if name == "server" and not server.urls:
        raise ValueError("server.urls is missing: name the servers that model.engine: server asks")
    if name == "vllm" and (why := why_not_vllm(resources, vllm, queries)) is not None:
        raise ValueError(f"{why}, or leave out model.engine: vllm")
    if name == "server" and (why := next(_server_cannot(model, resources, server, queries), None)) is not None:
        raise ValueError(why)
    if name in ("relabel", "server") and resources.gpus_per_actor > 1:
        raise ValueError("resources.gpus_per_actor is above 1: one model over several GPUs needs model.engine: vllm")


def why_not_vllm(resources: Resources, vllm: Vllm, queries: Sequence[Query]) -> str | None:
    """What of a spec vLLM cannot do and how to change it; None where it can do all."""
    return next(_vllm_cannot(resources, vllm, queries), None)


def _vllm_cannot(resources: Resources, vllm: Vllm, queries: Sequence[Query]) -> Iterator[str]:
    gpus = resources.gpus_per_actor
    if resources.batching != "auto":
        yield f"vLLM batches rows its own way: leave out resources.batching: {resources.batching}"
    if resources.batch_tokens is not None:
        yield "vLLM has no padded batches: leave out resources.batch_tokens, or set vllm.step_tokens"
    if gpus > 1 and gpus != int(gpus):
        yield "one model runs over whole GPUs: make resources.gpus_per_actor a whole number"
    if vllm.batch_invariant and not gpus:
        yield "vllm.batch_invariant needs a GPU: leave it out where resources.gpus_per_actor is 0"
    for query in queries:
        yield from _temperatures(query)
        if query.sampling.min_p and vllm.speculate_ngram:
            yield "vllm.speculate_ngram does not go with sampling.min_p: leave out one of the two"


def _server_cannot(model: Model, resources: Resources, server: Server, queries: Sequence[Query]) -> Iterator[str]:
    if server.timeout > resources.deadline / 2:
        yield "server.timeout is above half of resources.deadline, after which a hang ends the run: change one of them"
    if model.adapter is not None:
        yield "model.adapter is merged into a model that is loaded here: name the servers' own in server.model"
    for key in ("batch_tokens", "kv_memory"):
        if getattr(resources, key) is not None:
            yield f"servers batch rows their own way: leave out resources.{key}"
    if resources.batching != "auto":
        yield f"servers batch rows their own way: leave out resources.batching: {resources.batching}"
    for query in queries:
        if query.prompt.images:
            yield "servers take no images as relabel prepares them: leave out prompt.image, or take another engine"
        yield from _temperatures(query) if server.api == "tokens" else _chat_server_cannot(query)


def _chat_server_cannot(query: Query) -> Iterator[str]:
    sampling, label, prompt = query.sampling, query.label, query.prompt
    for key, plain in {"top_k": 0, "min_p": 0, "repetition_penalty": 1, "min_new_tokens": 0}.items():
        if getattr(sampling, key) != plain:
            yield f"chat servers take no sampling.{key}: leave it out"
    if sampling.stop_token_ids:
        yield "chat servers take no sampling.stop_token_ids: leave it out, or name the texts in sampling.stop"
    if label.logprobs:
        yield "chat servers give no probabilities: leave out label.logprobs, or set server.api: tokens"
    if label.is_constrained and label.json_schema is None:
        yield "chat servers hold texts to a JSON schema at most: set label.constrain: false to check them afterwards"
    if prompt.chat == "never":
        yield "chat servers use their own chat template: leave out prompt.chat: never"
    if prompt.continue_final_message:
        yield "chat servers begin a message of their own: leave out prompt.continue_final_message"
    if prompt.chat_template_kwargs:
        yield "chat servers take no prompt.chat_template_kwargs: leave it out"


def _temperatures(query: Query) -> Iterator[str]:
    asked = [("sampling.temperature", query.sampling.temperature)]
    asked += [("label.retry_temperatures", one) for one in query.label.retry_temperatures]
    for key, temperature in asked:
        if temperature and not LEAST_TEMPERATURE <= temperature <= MOST_TEMPERATURE:
            yield f"vLLM takes temperatures from {LEAST_TEMPERATURE} to {MOST_TEMPERATURE:g} and 0: change {key}"
