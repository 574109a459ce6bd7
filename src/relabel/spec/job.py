"""One job as the user writes it, in YAML or Python, checked once and trusted inside.

`source`, `prompt`, `model`, `sampling`, `label` or `labels`, and `output` decide the result; `resources` only speed.
"""

from __future__ import annotations

import difflib
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any, get_args

import yaml
from pydantic import BaseModel, ValidationError, model_validator

from relabel.errors import SpecError
from relabel.spec.label import Label, NamedLabel
from relabel.spec.section import BOOKKEEPING, Section, column_of
from relabel.spec.sections import Model, Output, Prompt, Resources, Sampling, Source

_NO_YAML = (yaml.YAMLError, ValueError, RecursionError)
"""What PyYAML raises: ValueError for the 30th of February."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Query:
    """One thing that the model is asked about each row."""

    name: str
    """Empty where a row has one label."""
    prompt: Prompt
    sampling: Sampling
    label: Label

    @property
    def columns(self) -> list[str]:
        """The columns that may be written for it, without its name: those of a single label hold the row's status."""
        beside = [key for key in BOOKKEEPING if self.name or key not in ("status", "reason")]
        return [*self.label.columns, *beside]


class Spec(Section):
    """One job: every row of `source` gets its label, or one of each of `labels`, in `output`."""

    source: Source
    prompt: Prompt = Prompt()
    model: Model
    sampling: Sampling = Sampling()
    label: Label = Label()
    labels: list[NamedLabel] = []
    """Several labels of a row in place of one, each asked for with a prompt of its own."""
    output: Output
    resources: Resources = Resources()

    @model_validator(mode="before")
    @classmethod
    def _reads_batch_files(cls, fields: Any) -> Any:
        """What goes without saying of a batch file: its rows are chats, and `custom_id` tells their answers apart."""
        source = _keys(fields.get("source")) if isinstance(fields, dict) else None
        if source is None or source.get("format") != "openai":
            return fields
        prompt, output = _keys(fields.get("prompt", {})), _keys(fields.get("output"))
        if prompt is not None and prompt.get("user") is None:
            fields = {**fields, "prompt": {"messages": "messages", **prompt}}
        if output is not None and isinstance(keep := output.get("keep", []), list) and "custom_id" not in keep:
            fields = {**fields, "output": {**output, "keep": ["custom_id", *keep]}}
        return fields

    @model_validator(mode="after")
    def _is_one_job(self) -> Spec:
        if self.labels and "label" in self.model_fields_set:
            raise ValueError("label and labels: give one of the two")
        names = [label.name for label in self.labels]
        if twice := [name for name in names if names.count(name) > 1]:
            raise ValueError(f"labels: {twice[0]!r} is named twice")
        for query in self.queries:
            _check_query(query, f"labels {query.name}: " if query.name else "")
        columns = [
            *("source_file", "source_row", "status", "reason", *self.output.keep),
            *(column_of(query.name, key) for query in self.queries for key in query.columns),
        ]
        if clash := [name for name in columns if columns.count(name) > 1]:
            raise ValueError(f"the output would have column {clash[0]!r} twice; {self._way_out(clash[0])}")
        return self

    @property
    def queries(self) -> tuple[Query, ...]:
        """What is asked about each row, in order."""
        if not self.labels:
            return (Query(name="", prompt=self.prompt, sampling=self.sampling, label=self.label),)
        return tuple(self._query(label) for label in self.labels)

    def _way_out(self, column: str) -> str:
        """How not to have a column twice."""
        ways = ["drop it from output.keep"] if column in self.output.keep else []
        if not self.labels and column not in BOOKKEEPING:
            ways.append("write labels: [{name: x, ...}] in place of label, whose columns then begin with x_")
        return ", or ".join([*ways, "rename it in the label, its pattern or its JSON schema"])

    def _query(self, label: NamedLabel) -> Query:
        prompt = {
            "user": self.prompt.user if label.user is None else label.user,
            "system": self.prompt.system if label.system is None else label.system,
        }
        new = {"max_new_tokens": label.max_new_tokens or self.sampling.max_new_tokens}
        return Query(
            name=label.name,
            prompt=self.prompt.model_copy(update=prompt),
            sampling=self.sampling.model_copy(update=new),
            label=label,
        )


def _keys(section: Any) -> dict[str, Any] | None:
    """The keys that are given in a section, in YAML or as an object; None where it is neither."""
    if isinstance(section, BaseModel):
        return section.model_dump(exclude_unset=True)
    return section if isinstance(section, dict) else None


def _check_query(query: Query, where: str) -> None:
    """What concerns more than one section."""
    label, sampling, prompt = query.label, query.sampling, query.prompt
    if prompt.user is None and prompt.messages is None:
        raise ValueError(f"{where}prompt.user is missing")
    if prompt.messages is not None and not (prompt.user is prompt.system is None):
        raise ValueError(f"{where}prompt.messages holds the whole chat: leave out user and system")
    if sampling.min_new_tokens > sampling.max_new_tokens:
        raise ValueError(f"{where}sampling.min_new_tokens is larger than max_new_tokens")
    if label.is_constrained and (sampling.stop or sampling.min_new_tokens):
        key = "stop" if sampling.stop else "min_new_tokens"
        raise ValueError(
            f"{where}a constrained label ends by itself: leave out sampling.{key}, or set label.constrain: false"
        )
    if sampling.num_samples > 1 and sampling.temperature == 0:
        raise ValueError(f"{where}sampling.num_samples would be the same text again: set sampling.temperature above 0")
    if label.attempts > 1 and sampling.temperature == 0 and not label.retry_temperatures:
        raise ValueError(
            f"{where}label.attempts would be the same text again: set label.retry_temperatures, for example [0.7], "
            "or sampling.temperature above 0"
        )
    if label.vote and sampling.num_samples == 1:
        raise ValueError(f"{where}label.vote needs sampling.num_samples above 1")
    if label.reasoning and label.logprobs and label.choices is not None:
        raise ValueError(
            f"{where}label.logprobs scores each choice right behind the prompt: leave it out, or label.reasoning"
        )
    if (longer := label.max_new_tokens_on_retry) is not None and longer <= sampling.max_new_tokens:
        raise ValueError(f"{where}label.max_new_tokens_on_retry must be above sampling.max_new_tokens")


def load_spec(path: str | Path, overrides: list[str] | None = None) -> Spec:
    """Read a YAML spec and apply `a.b=c` overrides, values in YAML. Raises SpecError with the place and the remedy."""
    try:
        fields = yaml.safe_load(Path(path).read_text(encoding="utf-8"))
    except OSError as error:
        raise SpecError(f"cannot read the spec {path}: {error.strerror or error}") from error
    except _NO_YAML as error:
        raise SpecError(f"{path} is not valid YAML: {_yaml_problem(error)}") from None
    if not isinstance(fields, dict):
        raise SpecError(f"{path} must hold the sections {', '.join(Spec.model_fields)}")
    for override in overrides or []:
        _set(fields, override)
    return make_spec(fields, where=str(path))


def make_spec(fields: dict[str, Any], where: str = "spec") -> Spec:
    """Check plain fields (from YAML or Python). Raises SpecError naming every wrong key and the nearest known one."""
    try:
        return Spec.model_validate(fields)
    except ValidationError as error:
        raise SpecError("\n".join(f"{where}: {_sentence(problem)}" for problem in error.errors())) from error


def _set(fields: dict[str, Any], override: str) -> None:
    (*sections, name), value = split_override(override)
    key = ".".join((*sections, name))
    target: Any = fields
    for section in sections:
        target = target.setdefault(section, {})
        if not isinstance(target, dict):
            raise SpecError(f"--set {key}: {section} is not a section")
    target[name] = value


def split_override(override: str) -> tuple[list[str], Any]:
    """The steps of `section.key=value` and its value. Raises SpecError, which does not quote the value."""
    key, equals, value = override.partition("=")
    steps = key.split(".")
    if not (equals and len(steps) > 1 and all(steps)):
        got = f"{key}=..." if equals else f"no = in {len(override)} characters"
        raise SpecError(f"--set takes section.key=value, for example sampling.seed=7; got {got}")
    try:
        return steps, yaml.safe_load(value)
    except _NO_YAML as error:
        raise SpecError(f"--set {key}: not a YAML value: {_yaml_problem(error)}; put it in quotes") from None


def _yaml_problem(error: Exception) -> str:
    """Where and what, without the line itself, which may hold a key or a token."""
    if not isinstance(error, yaml.MarkedYAMLError):
        if isinstance(error, RecursionError):
            return "it is nested too deeply"
        if isinstance(error, yaml.YAMLError):
            return "a character that YAML does not allow"
        return "it is not UTF-8" if isinstance(error, UnicodeDecodeError) else "a date or a number that there is not"
    mark = error.problem_mark or error.context_mark
    what = re.sub(r"'[^'<]{3,}'", "'...'", " ".join(filter(None, (error.context, error.problem))))
    return f"line {mark.line + 1}, column {mark.column + 1}: {what}" if mark else what


def _sentence(problem: Any) -> str:
    place = ".".join(str(step) for step in problem["loc"])
    if problem["type"] == "extra_forbidden":
        *section, key = problem["loc"]
        known = _fields_of(section)
        near = difflib.get_close_matches(str(key), known, n=1, cutoff=0.0)
        return f"unknown key {place}; did you mean {near[0]}?" if near else f"unknown key {place}"
    if problem["type"] == "missing":
        return f"{place} is missing"
    message = str(problem["msg"]).removeprefix("Value error, ")
    return f"{place}: {message}" if place else message


def _fields_of(place: list[Any]) -> list[str]:
    """The keys known at a place of the spec, for example at `label.gate` or `labels.0`."""
    section: Any = Spec
    for step in place:
        if isinstance(step, int):
            section = get_args(section)[0]
        elif isinstance(section, type) and issubclass(section, BaseModel) and step in section.model_fields:
            section = section.model_fields[step].annotation
    return list(section.model_fields) if isinstance(section, type) and issubclass(section, BaseModel) else []
