"""The engine of a spec: the one place where spec keys become the engine's own settings."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from functools import lru_cache
from typing import cast

from relabel.engine import Constraint, Engine, Sampling
from relabel.errors import ArgumentRefused, ModelRefused, SpecError
from relabel.job.encoding.processor import Tokenizer
from relabel.job.receipt import EngineReport
from relabel.spec import Label, Model, Query, Spec

END_OF_REASONING = "</think>"
CONSTRAINT = "constraint=None"
SPEC_NAMES = {
    "path": "model.path",
    "revision": "model.revision",
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
    """Load the model of a spec. Raises ModelRefused where it cannot be loaded safely."""
    from relabel.engine import load_engine  # 3 s of imports that only the actors need

    engine = load_engine(
        spec.model.path,
        batching=spec.resources.batching,
        dtype=spec.model.dtype,
        device="cuda" if spec.resources.gpus_per_actor else "cpu",
        revision=spec.model.revision,
        batch_tokens=spec.resources.batch_tokens,
        kv_memory=spec.resources.kv_memory,
        sampling=sampling_of(spec.queries[0]),
    )
    for query in spec.queries:
        engine.prepare(sampling_of(query))
        if query.label.logprobs and query.label.choices is not None and engine.end_token is None:
            raise ModelRefused(f"{spec.model.path} has no token that ends a text, so choices have no probabilities")
    return engine


def sampling_of(query: Query) -> Sampling:
    """The settings of one label's texts."""
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
        constraint=constraint_of(query.label),
        logprobs=query.label.logprobs,
    )


def constraint_of(label: Label) -> Constraint | None:
    """What a label's texts are held to."""
    if not label.is_constrained:
        return None
    after = END_OF_REASONING if label.reasoning else None
    if label.pattern is not None:
        return Constraint(kind="regex", value=label.pattern, after=after)
    if label.choices is not None:
        return Constraint(kind="choice", value=json.dumps(label.choices), after=after)
    return Constraint(kind="json", value=json.dumps(label.json_schema), after=after)


def choice_ids(label: Label, model: Model, engine: Engine) -> list[list[int]]:
    """The tokens of each choice of a label, with the one that ends a text."""
    end, tokenizer = engine.end_token, _tokenizer(model.path, model.revision)
    if end is None:
        raise ModelRefused("choices have no probabilities where the model has no token that ends a text")
    return [[*tokenizer(choice, add_special_tokens=False)["input_ids"], end] for choice in label.choices or ()]


@lru_cache(maxsize=1)
def _tokenizer(path: str, revision: str | None) -> Tokenizer:
    from relabel.engine import load_tokenizer  # transformers, which who only publishes never needs

    if (tokenizer := load_tokenizer(path, revision)) is None:
        raise ModelRefused(f"{path} has no tokenizer, so choices have no probabilities")
    return cast(Tokenizer, tokenizer)


def report_of(engine: Engine, process: str) -> EngineReport:
    """What an engine says of itself: how it batches and what it has computed so far. `process` tells engines apart."""
    return EngineReport(process=process, batching=engine.verdict.to_json(), goodput=engine.goodput)
