"""A spec from a YAML file, from `--set` or from plain fields. Raises SpecError for each thing that is wrong in it.

Quotes no value of a spec, which may be a key or a token. Knows nothing of what the sections mean.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path

import yaml
from pydantic import ValidationError

from relabel.errors import SpecError
from relabel.spec.problem import sentence
from relabel.spec.spec import Spec
from relabel.spec.words import load_yaml, with_booleans, word_at

_Sources = Sequence[tuple[list[str], str]]
"""The YAML of each `--set`, the last first, then of the file, with the steps of the key that it is the value of."""
MAX_TOLD = 20
"""Problems of one spec: the nearest known key is looked for in each, which for 300,000 takes minutes."""
_NO_YAML = (yaml.YAMLError, ValueError, RecursionError)
"""What PyYAML raises: ValueError for the 30th of February."""


def load_spec(path: str | Path, overrides: Sequence[str] | None = None) -> Spec:
    """Read a YAML spec and apply `a.b=c` overrides, values in YAML. Raises SpecError with the place and the remedy."""
    try:
        text = Path(path).read_text(encoding="utf-8")
        fields = load_yaml(text)
    except OSError as error:
        raise SpecError(f"cannot read the spec {path}: {error.strerror or error}") from error
    except _NO_YAML as error:
        raise SpecError(f"{path} is not valid YAML: {_yaml_problem(error)}") from None
    if not isinstance(fields, dict):
        raise SpecError(f"{path} must hold the sections {', '.join(Spec.model_fields)}")
    sources: list[tuple[list[str], str]] = [([], text)]
    for override in overrides or []:
        sources.insert(0, _set(fields, override))
    prompt = fields.get("prompt")
    if isinstance(prompt, dict) and isinstance(prompt.get("chat_template_kwargs"), dict):  # may hold texts, too
        prompt["chat_template_kwargs"] = with_booleans(prompt["chat_template_kwargs"])
    return _checked(fields, str(path), sources)


def make_spec(fields: Mapping[str, object], where: str = "spec") -> Spec:
    """Check plain fields (from YAML or Python). Raises SpecError naming every wrong key and the nearest known one."""
    return _checked(fields, where, [])


def _checked(fields: Mapping[str, object], where: str, sources: _Sources) -> Spec:
    try:
        return Spec.model_validate(fields)
    except ValidationError as error:
        problems = error.errors(include_url=False, include_context=False, include_input=False)
        told = [
            f"{where}: {sentence(one['type'], one['loc'], _unquoted(one['type'], one['loc'], sources) or one['msg'])}"
            for one in problems[:MAX_TOLD]
        ]
        more = [f"{where}: and {len(problems) - MAX_TOLD:,} more"] if len(problems) > MAX_TOLD else []
        raise SpecError("\n".join([*told, *more])) from error


def _unquoted(kind: str, steps: Sequence[str | int], sources: _Sources) -> str | None:
    """What is said of a word that YAML takes for no text. Of what may be a secret it is not quoted."""
    if kind != "string_type":
        return None
    for above, text in sources:
        if list(steps[: len(above)]) != above:
            continue
        if (found := word_at(text, steps[len(above) :])) is None:
            return None
        word, called = found
        if "choices" in steps:
            return f"{word} is {called} in YAML; put it in quotes: '{word}'"
        return f"it is {called} in YAML, and a text here; put it in quotes"
    return None


def _set(fields: dict[str, object], override: str) -> tuple[list[str], str]:
    """Set one key. Returns its steps and the YAML of its value."""
    (*sections, name), value = split_override(override)
    key = ".".join((*sections, name))
    target = fields
    for section in sections:
        inner = target.setdefault(section, {})
        if not isinstance(inner, dict):
            raise SpecError(f"--set {key}: {section} is not a section")
        target = inner
    target[name] = value
    return [*sections, name], override.partition("=")[2]


def split_override(override: str) -> tuple[list[str], object]:
    """The steps of `section.key=value` and its value. Raises SpecError, which does not quote the value."""
    key, equals, value = override.partition("=")
    steps = key.split(".")
    if not (equals and len(steps) > 1 and all(steps)):
        got = f"{key}=..." if equals else f"no = in {len(override)} characters"
        raise SpecError(f"--set takes section.key=value, for example sampling.seed=7; got {got}")
    try:
        return steps, load_yaml(value)
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
