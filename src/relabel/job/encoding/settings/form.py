"""What a row holds its texts to, under the names that servers have for it: a JSON schema, an expression, choices.

Total: any fields give a form or a RowRejected that names one and never quotes its value. Knows the words of OpenAI's
API and of vLLM; nothing of labels or of what a grammar can hold a text to.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Literal, Never, cast

import regex

from relabel.data.labels.parsers import PATTERN_SECONDS
from relabel.data.prompts.openai_messages import shown_name
from relabel.errors import RowRejected
from relabel.job.encoding.settings.fields import Fields
from relabel.rejected import Code

Kind = Literal["json", "regex", "choice"]

MAX_CHARACTERS = 50_000
"""Of a JSON schema, an expression or choices: compiling so much takes half a second."""
CALLED: dict[Kind, str] = {"json": "a JSON schema", "regex": "a regular expression", "choice": "choices"}
_ANY_OBJECT = {"type": "object"}
_OPTIONS = ("disable_any_whitespace",)
"""Of structured outputs: JSON is always written on one line."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Form:
    """What the texts of a row are held to."""

    name: str
    """Of the field that says it."""
    kind: Kind
    value: str
    """The JSON schema as JSON, the expression, or the choices as a list in JSON."""

    def of_text(self, text: str) -> str:
        """A text that is held to the form, without the one space that may come before it; what else it is stays."""
        bare = text.removeprefix(" ")
        if self.kind != "regex" or bare == text:
            return bare
        try:
            return bare if regex.fullmatch(self.value, bare, timeout=PATTERN_SECONDS) else text
        except TimeoutError:
            return text


def form_of(fields: Fields) -> Form | None:
    """What the texts are held to; None where they are free. Raises RowRejected (settings)."""
    found = [form for form in _forms(fields) if form is not None]
    if len(found) > 1:
        raise RowRejected(Code.SETTINGS, f"{found[0].name} does not go with {found[1].name}: a text has one format")
    return found[0] if found else None


def _forms(fields: Fields) -> list[Form | None]:
    guided: dict[str, tuple[Kind, object]] = {
        "guided_json": ("json", fields.guided_json),
        "guided_regex": ("regex", fields.guided_regex),
        "guided_choice": ("choice", fields.guided_choice),
    }
    return [
        *(None if value is None else _form(name, kind, value) for name, (kind, value) in guided.items()),
        _structured(fields.structured_outputs or {}),
        _response_format(fields.response_format),
    ]


def _structured(given: dict[str, object]) -> Form | None:
    """Of vLLM's structured outputs, which has a key for each kind."""
    name = "structured_outputs"
    wanted = {key: value for key, value in given.items() if value not in (None, False) and key not in _OPTIONS}
    if foreign := sorted(wanted.keys() - {"json", "json_object", "regex", "choice"}):
        raise RowRejected(Code.SETTINGS, f"{name} with {shown_name(foreign[0], 'a key')} is not supported")
    if len(wanted) > 1:
        raise RowRejected(Code.SETTINGS, f"{name} has both {' and '.join(sorted(wanted)[:2])}: a text has one format")
    for key, value in wanted.items():
        if key == "json_object":
            return _form(name, "json", _ANY_OBJECT) if value is True else _no_form(name, "json")
        return _form(name, cast(Kind, key), value)
    return None


def _response_format(given: dict[str, object] | None) -> Form | None:
    """Of OpenAI's API; beside it what servers of open models take: a schema with json_object, an expression."""
    name = "response_format"
    match given:
        case None | {"type": "text"}:
            return None
        case {"type": "json_object", "schema": schema} | {"type": "json_object" | "json", "value": schema}:
            return _form(name, "json", schema)
        case {"type": "json_object"}:
            return _form(name, "json", _ANY_OBJECT)
        case {"type": "json_schema", "json_schema": {"schema": schema}}:
            return _form(name, "json", schema)
        case {"type": "regex", "pattern": expression} | {"type": "regex", "value": expression}:
            return _form(name, "regex", expression)
        case _:
            raise RowRejected(
                Code.SETTINGS,
                f"{name} is neither text, json_object, json_schema with its schema nor regex with its pattern",
            )


def _form(name: str, kind: Kind, value: object) -> Form:
    match kind, value:
        case "json", dict() | str():
            text = _schema(name, cast("dict[str, object] | str", value))
        case "regex", str():
            text = value
        case "choice", [str(), *_] if all(isinstance(one, str) for one in cast(list[object], value)):
            choices = dict.fromkeys(cast(list[str], value))
            if any(one != one.strip() or not one for one in choices):
                raise RowRejected(Code.SETTINGS, f"{name} has a choice that is empty, or has spaces around it")
            text = json.dumps(list(choices))
        case _:
            _no_form(name, kind)
    if len(text) > MAX_CHARACTERS:
        raise RowRejected(Code.SETTINGS, f"{name} has {CALLED[kind]} of {len(text)} characters, limit {MAX_CHARACTERS}")
    return Form(name=name, kind=kind, value=text)


def _schema(name: str, value: dict[str, object] | str) -> str:
    """A JSON schema as JSON: clients of Python send one as text, too."""
    try:
        schema: object = json.loads(value) if isinstance(value, str) else value
        text = json.dumps(schema)
    except RecursionError as error:
        raise RowRejected(Code.SETTINGS, f"{name} has a JSON schema that is nested too deeply") from error
    except ValueError:
        _no_form(name, "json")
    return text if isinstance(schema, dict) else _no_form(name, "json")


def _no_form(name: str, kind: Kind) -> Never:
    raise RowRejected(Code.SETTINGS, f"{name} has no {CALLED[kind].removeprefix('a ')}")
