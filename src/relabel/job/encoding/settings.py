"""A row's own sampling settings, in the words of OpenAI's chat completions, over those of its spec.

Validated once, when the row is read; later stages trust what they are given. Total: any text gives settings or a
RowRejected that names fields of the API and never quotes the row. Knows nothing of messages, blocks or engines.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import lru_cache
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from relabel.data.labels.reasoning import Start
from relabel.data.labels.reasoning_formats import THINK, ReasoningFormat
from relabel.engine import Constraint, Sampling, Thoughts
from relabel.engine.api.constraint import check_constraint
from relabel.errors import ArgumentRefused, RowRejected
from relabel.job.engine import constraint_of, sampling_of, thoughts_of
from relabel.rejected import Code
from relabel.spec import Label, Query

MAX_SCHEMA_CHARACTERS = 50_000
"""Of a JSON schema: compiling one takes half a second by then."""

NEUTRAL_VALUES: dict[str, tuple[object, ...]] = {
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


class _Fields(BaseModel):
    """The fields of the API that a row may set."""

    model_config = ConfigDict(frozen=True, strict=True, hide_input_in_errors=True)

    max_tokens: NewTokens | None = None
    max_completion_tokens: NewTokens | None = None
    temperature: Annotated[float, Field(ge=0, le=10)] | None = None
    top_p: Annotated[float, Field(gt=0, le=1)] | None = None
    seed: Annotated[int, Field(ge=-(2**63), lt=2**63)] | None = None
    stop: Stop | Annotated[list[Stop], Field(max_length=4)] | None = None
    response_format: dict[str, object] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class OwnSettings:
    """What one row sets by itself, once it is validated; all else is its spec's."""

    max_new_tokens: int | None = None
    temperature: float | None = None
    top_p: float | None = None
    seed: int | None = None
    """From 0 to 2**64 - 1."""
    stop: tuple[str, ...] = ()
    """Stop strings; none takes those of the spec."""
    json_schema: str | None = None
    """The JSON schema that the texts are held to, as JSON."""
    template_variables: Mapping[str, object] = field(default_factory=dict)
    """Of the model's chat template, over those of the spec. Done with once the prompt is rendered."""

    def constraint(self, label: Label, thoughts: Thoughts | None = None) -> Constraint | None:
        """What the texts of one label are held to for this row, behind the thoughts."""
        if self.json_schema is None:
            return constraint_of(label, thoughts)
        return Constraint(kind="json", value=self.json_schema, thoughts=thoughts)

    def over(self, query: Query, format: ReasoningFormat | None = THINK, start: Start = Start.BEFORE) -> Sampling:
        """The settings of one label's texts for this row: see `sampling_of`."""
        sampling = sampling_of(query, format, start)
        if self.json_schema is not None:
            constraint = self.constraint(query.label, thoughts_of(query.label, format, start))
            sampling = replace(sampling, constraint=constraint, stop_strings=(), min_new_tokens=0)
        return replace(
            sampling,
            max_new_tokens=sampling.max_new_tokens if self.max_new_tokens is None else self.max_new_tokens,
            temperature=sampling.temperature if self.temperature is None else self.temperature,
            top_p=sampling.top_p if self.top_p is None else self.top_p,
            seed=sampling.seed if self.seed is None else self.seed,
            stop_strings=self.stop or sampling.stop_strings,
        )


def read_settings(text: object) -> OwnSettings:
    """The settings in the JSON text of a row. Raises RowRejected (settings)."""
    fields = _read(text)
    stop = (fields.stop,) if isinstance(fields.stop, str) else tuple(fields.stop or ())
    schema = _schema(fields.response_format)
    if schema is not None and stop:
        raise RowRejected(Code.SETTINGS, "stop does not go with response_format, whose JSON ends by itself")
    return OwnSettings(
        max_new_tokens=fields.max_completion_tokens or fields.max_tokens,
        temperature=fields.temperature,
        top_p=fields.top_p,
        seed=None if fields.seed is None else fields.seed % 2**64,
        stop=stop,
        json_schema=schema,
    )


def check_settings(own: OwnSettings, query: Query) -> None:
    """Raises RowRejected (settings) where the settings of a row do not go with a label, or no text can be held to its
    JSON schema."""
    if query.label.is_constrained and (own.json_schema is not None or own.stop):
        name = "stop" if own.stop else "response_format"
        raise RowRejected(Code.SETTINGS, f"{name} does not go with a label that is held to its own format")
    min_new_tokens = 0 if own.json_schema is not None else query.sampling.min_new_tokens
    if min_new_tokens > (own.max_new_tokens or query.sampling.max_new_tokens):
        raise RowRejected(Code.SETTINGS, "max_tokens is under the sampling.min_new_tokens of the spec")
    constraint = own.constraint(query.label)
    if own.json_schema is not None and constraint is not None and not _can_hold(constraint):
        raise RowRejected(Code.SETTINGS, "response_format has a JSON schema that texts cannot be held to")


@lru_cache(maxsize=256)
def _can_hold(constraint: Constraint) -> bool:
    try:
        check_constraint(constraint)
    except (
        ArgumentRefused,
        ValueError,
        TypeError,
        RecursionError,
    ):  # its sentence quotes the schema, which is the row's
        return False
    return True


def _read(settings: object) -> _Fields:
    try:
        fields = json.loads(settings if isinstance(settings, str) else "")
    except (ValueError, RecursionError) as error:
        raise RowRejected(Code.SETTINGS, "not JSON") from error
    if not isinstance(fields, dict):
        raise RowRejected(Code.SETTINGS, "not a JSON object")
    known = {name: fields[name] for name in _Fields.model_fields if name in fields}
    for name in sorted(fields.keys() - known.keys()):
        if fields[name] is not None and fields[name] not in NEUTRAL_VALUES.get(name, ()):
            shown = name if name in NEUTRAL_VALUES else "a field that is not of the API"
            remedy = ": set sampling.num_samples in the spec" if name == "n" else ""
            raise RowRejected(Code.SETTINGS, f"{shown} is not supported{remedy}")
    try:
        own = _Fields.model_validate(known)
    except ValidationError as error:
        name = error.errors()[0]["loc"][0]
        raise RowRejected(Code.SETTINGS, f"{name} is out of range, or of another kind than the API's") from error
    if None not in (own.max_tokens, own.max_completion_tokens) and own.max_tokens != own.max_completion_tokens:
        raise RowRejected(Code.SETTINGS, "max_tokens and max_completion_tokens differ")
    return own


def _schema(response_format: dict[str, object] | None) -> str | None:
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
