"""A row's own sampling settings, in the words of OpenAI's chat completions, over those of its spec.

Total: any text gives settings or a RowRejected that names fields of the API and never quotes the row. Knows which
fields change a text; nothing of messages, blocks or engines.
"""

from __future__ import annotations

import json
from dataclasses import replace
from functools import lru_cache
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from relabel.engine import Constraint, Sampling
from relabel.engine.api.constraint import check_constraint
from relabel.errors import RowRejected, SpecError
from relabel.job.engine import END_OF_REASONING, sampling_of
from relabel.rejected import Code
from relabel.spec import Query

MAX_SCHEMA_CHARACTERS = 50_000
"""Of a JSON schema: compiling one takes half a second by then."""

_SAYS_NOTHING: dict[str, tuple[Any, ...]] = {
    "audio": (),
    "frequency_penalty": (0,),
    "function_call": ("none", "auto"),
    "functions": ([],),
    "logit_bias": ({},),
    "logprobs": (False,),
    "modalities": (["text"],),
    "n": (1,),
    "parallel_tool_calls": (True, False),
    "prediction": (),
    "presence_penalty": (0,),
    "reasoning_effort": (),
    "stream": (False,),
    "stream_options": (),
    "tool_choice": ("none", "auto"),
    "tools": ([],),
    "top_logprobs": (0,),
    "verbosity": (),
    "web_search_options": (),
}
"""Fields that cannot be obeyed, and the values with which they ask for nothing."""

NewTokens = Annotated[int, Field(ge=1, lt=2**31)]
Stop = Annotated[str, Field(min_length=1, max_length=256)]


class _Own(BaseModel):
    """What a row may set."""

    model_config = ConfigDict(frozen=True, strict=True, hide_input_in_errors=True)

    max_tokens: NewTokens | None = None
    max_completion_tokens: NewTokens | None = None
    temperature: Annotated[float, Field(ge=0, le=10)] | None = None
    top_p: Annotated[float, Field(gt=0, le=1)] | None = None
    seed: Annotated[int, Field(ge=-(2**63), lt=2**63)] | None = None
    stop: Stop | Annotated[list[Stop], Field(max_length=4)] | None = None
    response_format: dict[str, Any] | None = None


def sampling_for(query: Query, settings: str | None) -> Sampling:
    """The settings of one label's texts for a row with these of its own. Raises RowRejected (settings)."""
    sampling = sampling_of(query)
    if settings is None:
        return sampling
    own = _read(settings)
    stop = (own.stop,) if isinstance(own.stop, str) else tuple(own.stop or ())
    changes = {
        "max_new_tokens": own.max_completion_tokens or own.max_tokens,
        "temperature": own.temperature,
        "top_p": own.top_p,
        "seed": None if own.seed is None else own.seed % 2**64,
        "stop_strings": stop or None,
    }
    changes = {name: value for name, value in changes.items() if value is not None}
    after = END_OF_REASONING if query.label.reasoning else None
    if (schema := _schema(own.response_format)) is not None:
        if stop:
            raise RowRejected(Code.SETTINGS, "stop does not go with response_format, whose JSON ends by itself")
        constraint = Constraint(kind="json", value=schema, after=after)
        changes |= {"constraint": constraint, "stop_strings": (), "min_new_tokens": 0}
    if query.label.is_constrained and (schema is not None or stop):
        name = "stop" if stop else "response_format"
        raise RowRejected(Code.SETTINGS, f"{name} does not go with a label that is held to its own format")
    if changes.get("min_new_tokens", sampling.min_new_tokens) > changes.get("max_new_tokens", sampling.max_new_tokens):
        raise RowRejected(Code.SETTINGS, "max_tokens is under the sampling.min_new_tokens of the spec")
    return replace(sampling, **changes)


def check_settings(query: Query, settings: str | None) -> None:
    """Raises RowRejected (settings) also for a JSON schema that texts cannot be held to."""
    sampling = sampling_for(query, settings)
    if sampling.constraint != sampling_of(query).constraint and sampling.constraint is not None:
        _check(sampling.constraint)


def _check(constraint: Constraint) -> None:
    if not _can_hold(constraint):
        raise RowRejected(Code.SETTINGS, "response_format has a JSON schema that texts cannot be held to")


@lru_cache(maxsize=256)
def _can_hold(constraint: Constraint) -> bool:
    try:
        check_constraint(constraint)
    except (SpecError, ValueError, TypeError, RecursionError):  # its sentence quotes the schema, which is the row's
        return False
    return True


def _read(settings: str) -> _Own:
    try:
        fields = json.loads(settings)
    except (ValueError, RecursionError) as error:
        raise RowRejected(Code.SETTINGS, "not JSON") from error
    if not isinstance(fields, dict):
        raise RowRejected(Code.SETTINGS, "not a JSON object")
    known = {name: fields[name] for name in _Own.model_fields if name in fields}
    for name in sorted(fields.keys() - known.keys()):
        if fields[name] is not None and fields[name] not in _SAYS_NOTHING.get(name, ()):
            shown = name if name in _SAYS_NOTHING else "a field that is not of the API"
            remedy = ": set sampling.num_samples in the spec" if name == "n" else ""
            raise RowRejected(Code.SETTINGS, f"{shown} is not supported{remedy}")
    try:
        own = _Own.model_validate(known)
    except ValidationError as error:
        name = error.errors()[0]["loc"][0]
        raise RowRejected(Code.SETTINGS, f"{name} is out of range, or of another kind than the API's") from error
    if None not in (own.max_tokens, own.max_completion_tokens) and own.max_tokens != own.max_completion_tokens:
        raise RowRejected(Code.SETTINGS, "max_tokens and max_completion_tokens differ")
    return own


def _schema(response_format: dict[str, Any] | None) -> str | None:
    """The JSON schema that a text is held to, as JSON; None where it is free."""
    if response_format is None or response_format.get("type") == "text":
        return None
    if response_format.get("type") == "json_object":
        return '{"type":"object"}'
    described = response_format.get("json_schema")
    schema = described.get("schema") if isinstance(described, dict) else None
    if response_format.get("type") != "json_schema" or not isinstance(schema, dict):
        raise RowRejected(
            Code.SETTINGS, "response_format is neither text, json_object nor a json_schema with its schema"
        )
    try:
        text = json.dumps(schema)
    except RecursionError as error:
        raise RowRejected(Code.SETTINGS, "the JSON schema of response_format is nested too deeply") from error
    if len(text) > MAX_SCHEMA_CHARACTERS:
        raise RowRejected(Code.SETTINGS, f"a JSON schema of {len(text)} characters, limit {MAX_SCHEMA_CHARACTERS}")
    return text
