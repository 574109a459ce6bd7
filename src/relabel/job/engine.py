"""The engine of a spec: the one place where spec keys become the engine's own settings."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import cast
from weakref import WeakKeyDictionary

from relabel.data.labels.reasoning import Start
from relabel.data.labels.reasoning_formats import THINK, ReasoningFormat
from relabel.engine import Constraint, Engine, Sampling, Thoughts
from relabel.errors import ArgumentRefused, ModelRefused, SpecError
from relabel.job.encoding.processor import Tokenizer
from relabel.job.receipt import EngineReport
from relabel.spec import Label, Model, Query, Spec

CONSTRAINT = "constraint=None"
SPEC_NAMES = {
    "path": "model.path",
    "revision": "model.revision",
    "adapter": "model.adapter",
    "kv_memory": "resources.kv_memory",
    "device='cpu'": "resources.gpus_per_actor: 0",
    CONSTRAINT: "label.constrain: false",
}
"""What a user of a spec writes where the engine asks for an argument of its own."""


@contextmanager
def in_words_of_the_spec() -> Iterator[None]:
    """Refusals of the engine name the key of the spec. Also for a whole function: `@in_words_of_the_spec()`."""
    try:
        yield
    except ArgumentRefused as error:
        kind = SpecError if error.argument == CONSTRAINT else ModelRefused
        raise kind(error.called(SPEC_NAMES[error.argument])) from error


@in_words_of_the_spec()
def engine_of(spec: Spec) -> Engine:
    """Load the engine of a spec with its model. Raises ModelRefused where that cannot be done safely."""
    engine = _ENGINES[spec.model.engine](spec)
    for query in spec.queries:
        engine.prepare(sampling_of(query))
        if query.label.logprobs and query.label.choices is not None and engine.end_token is None:
            raise ModelRefused(f"{spec.model.path} has no token that ends a text, so choices have no probabilities")
    return engine


def _own(spec: Spec) -> Engine:
    from relabel.engine import load_engine  # 3 s of imports that only the actors need

    return load_engine(
        spec.model.path,
        batching=spec.resources.batching,
        dtype=spec.model.dtype,
        device="cuda" if spec.resources.gpus_per_actor else "cpu",
        revision=spec.model.revision,
        adapter=spec.model.adapter,
        batch_tokens=spec.resources.batch_tokens,
        kv_memory=spec.resources.kv_memory,
        gpu_share=min(1.0, spec.resources.gpus_per_actor or 1.0),
        sampling=sampling_of(spec.queries[0]),
    )


def _vllm(spec: Spec) -> Engine:
    from relabel.engine.vllm.loading import load_vllm
    from relabel.job.engines.vllm import image_row, settings_of

    return load_vllm(
        spec.model.path,
        settings=settings_of(spec),
        dtype=spec.model.dtype,
        revision=spec.model.revision,
        adapter=spec.model.adapter,
        sampling=sampling_of(spec.queries[0]),
        with_image=image_row(spec),
    )


def _server(spec: Spec) -> Engine:
    from relabel.engine.server.loading import load_chats, load_tokens
    from relabel.job.engines.server import settings_of

    if spec.server.api == "chat":
        return load_chats(settings=settings_of(spec), sampling=sampling_of(spec.queries[0]))
    return load_tokens(
        spec.model.path, settings=settings_of(spec), revision=spec.model.revision, sampling=sampling_of(spec.queries[0])
    )


_ENGINES: Mapping[str, Callable[[Spec], Engine]] = {"relabel": _own, "vllm": _vllm, "server": _server}


def sampling_of(query: Query, format: ReasoningFormat | None = THINK, start: Start = Start.BEFORE) -> Sampling:
    """The settings of one label's texts, whose reasoning has a format; `start` is where in it their prompts end."""
    own = query.sampling
    return Sampling(
        max_new_tokens=own.max_new_tokens,
        temperature=own.temperature,
        top_p=own.top_p,
        top_k=own.top_k,
        min_p=own.min_p,
        repetition_penalty=own.repetition_penalty,
        min_new_tokens=own.min_new_tokens,
        stop_token_ids=tuple(own.stop_token_ids),
        seed=own.seed,
        stop_strings=tuple(own.stop),
        constraint=constraint_of(query.label, thoughts_of(query.label, format, start)),
        marks=format.marks if format is not None else (),
        logprobs=query.label.logprobs,
    )


def thoughts_of(label: Label, format: ReasoningFormat | None, start: Start) -> Thoughts | None:
    """What a model may write before a label that its text is held to; None for nothing."""
    if format is None:
        return None
    framed = format.answer[0]
    if start is Start.ANSWERING:
        return Thoughts(closings=format.closings, answer_opening=framed) if framed else None
    # a mark that a closing begins with would open any channel
    openings = tuple(mark for mark in format.openings if not any(one.startswith(mark) for one in format.closings))
    is_open, may_think = start is Start.THINKING, label.reasoning is not False
    if not (is_open or may_think or format.is_of_channels or framed):
        return None
    return Thoughts(
        openings=openings if is_open or may_think else (),
        closings=format.closings,
        between=format.between,
        answer_opening=framed,
        is_open=is_open,
    )


def constraint_of(label: Label, thoughts: Thoughts | None = None) -> Constraint | None:
    """What a label's texts are held to, behind the thoughts."""
    if not label.is_constrained:
        return None
    if label.pattern is not None:
        return Constraint(kind="regex", value=label.pattern, thoughts=thoughts)
    if label.choices is not None:
        return Constraint(kind="choice", value=json.dumps(label.choices), thoughts=thoughts)
    return Constraint(kind="json", value=json.dumps(label.json_schema), thoughts=thoughts)


def choice_ids(label: Label, model: Model, engine: Engine) -> list[list[int]]:
    """The tokens of each choice of a label, with the one that ends a text."""
    if (end := engine.end_token) is None:
        raise ModelRefused("choices have no probabilities where the model has no token that ends a text")
    return [[*ids_of(choice, model, engine), end] for choice in label.choices or ()]


def ids_of(text: str, model: Model, engine: Engine) -> list[int]:
    """The tokens of a text that an engine of this model writes."""
    if (tokenizer := _TOKENIZERS.get(engine)) is None:
        tokenizer = _TOKENIZERS[engine] = _tokenizer_of(model)
    return tokenizer(text, add_special_tokens=False)["input_ids"]


_TOKENIZERS: WeakKeyDictionary[Engine, Tokenizer] = WeakKeyDictionary()
"""That of each engine, as long as it lives: the folder of its model may be replaced, and the next engine is another."""


def _tokenizer_of(model: Model) -> Tokenizer:
    from relabel.engine import load_tokenizer  # transformers, which who only publishes never needs

    if (tokenizer := load_tokenizer(model.path, model.revision)) is None:
        raise ModelRefused(f"{model.path} has no tokenizer, so choices have no probabilities")
    return cast(Tokenizer, tokenizer)


def report_of(engine: Engine, process: str) -> EngineReport:
    """What an engine says of itself: how it batches and what it has computed so far. `process` tells engines apart."""
    return EngineReport(process=process, batching=engine.verdict.to_json(), goodput=engine.goodput)
