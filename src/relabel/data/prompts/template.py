"""A row's columns in, the texts of its prompt out: sandboxed Jinja2, every gap an error.

Knows nothing of tokens, chat templates or models. Row data is only ever a value, never a template.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from jinja2 import StrictUndefined, TemplateError, TemplateSyntaxError, meta
from jinja2.sandbox import ImmutableSandboxedEnvironment

from relabel.errors import RowRejected, SpecError
from relabel.rejected import Code
from relabel.spec import Prompt

MAX_PROMPT_CHARACTERS = 4_000_000
"""A longer rendered prompt is rejected before it is tokenized: a token is rarely under one character."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PromptText:
    """The rendered texts of one row."""

    user: str
    system: str | None


def _joined(pieces: Sequence[str], source: str) -> str:
    return "".join(pieces)


def template_end(source: str) -> str:
    """The own words of a template behind the last of its placeholders and blocks: they come from no row."""
    return re.split(r"[}%#]\}", source)[-1]


class PromptTemplate:
    """The templates of a spec, compiled once. Raises SpecError where they are not valid Jinja2."""

    def __init__(self, prompt: Prompt) -> None:
        environment = ImmutableSandboxedEnvironment(undefined=StrictUndefined, keep_trailing_newline=True)
        environment.globals.clear()  # range() and its kind could build a text of any size
        self._columns: set[str] = set()
        self._templates = {}
        self._sources = {"system": prompt.system or "", "user": prompt.user or ""}
        for name, text in (("system", prompt.system), ("user", prompt.user)):
            if text is None:
                continue
            try:
                self._columns |= meta.find_undeclared_variables(environment.parse(text))
                self._templates[name] = environment.from_string(text)
            except TemplateSyntaxError as error:
                raise SpecError(f"prompt.{name}, line {error.lineno}: {error.message}") from error

    @property
    def columns(self) -> frozenset[str]:
        """The columns the templates read."""
        return frozenset(self._columns)

    def values(self, row: Mapping[str, object]) -> dict[str, object]:
        """What the templates read of a row. Raises RowRejected for a null and for bytes that are not UTF-8."""
        return {column: _checked(column, row[column]) for column in self._columns}

    def render(self, values: Mapping[str, object], join: Callable[[Sequence[str], str], str] = _joined) -> PromptText:
        """Render the prompt of one row. Raises RowRejected for whatever the templates refuse.

        `join` makes one text of the pieces that a template wrote, its own and those of the row, and of its source.
        """
        texts = {}
        for name, template in self._templates.items():
            try:
                text = join(list(template.generate(values)), self._sources[name])
                text.encode("utf-8")
            except UnicodeEncodeError as error:
                raise RowRejected(Code.PROMPT, "the text is not valid UTF-8") from error
            except (TemplateError, TypeError, ValueError, ArithmeticError, LookupError, AttributeError) as error:
                raise RowRejected(Code.PROMPT, f"prompt.{name} cannot be rendered ({type(error).__name__})") from error
            if len(text) > MAX_PROMPT_CHARACTERS:
                raise RowRejected(Code.PROMPT_TOO_LONG, f"{len(text)} characters, limit {MAX_PROMPT_CHARACTERS}")
            texts[name] = text
        return PromptText(user=texts["user"], system=texts.get("system"))


def _checked(column: str, value: object) -> object:
    if value is None:
        raise RowRejected(Code.PROMPT, f"column {column!r} is null")
    if isinstance(value, bytes):
        try:
            return value.decode("utf-8")
        except UnicodeDecodeError as error:
            raise RowRejected(Code.PROMPT, f"column {column!r} is not valid UTF-8") from error
    return value
