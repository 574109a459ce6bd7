"""A row's columns in, the texts of its prompt out: sandboxed Jinja2, every gap an error.

Row data is only ever a value, never a template. A text knows which of it the templates wrote themselves (`origin`), and
a null is a value like any other until it is to be written (`null`). Knows nothing of tokens, chat templates or models.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import cast

from jinja2 import Template, TemplateError, TemplateSyntaxError, nodes
from jinja2.sandbox import ImmutableSandboxedEnvironment

from relabel.data.prompts.gap import Gap, GapRead, line_of, why_not
from relabel.data.prompts.null import Binary, Null, teach
from relabel.data.prompts.origin import Traced, join
from relabel.data.prompts.outline import Outlines
from relabel.data.prompts.reads import ROW, Reads, reads_of
from relabel.data.prompts.tracing import may_be_outlined, outlined, template_of, traced
from relabel.errors import RowRejected, SpecError
from relabel.rejected import Code
from relabel.spec import Prompt

MAX_PROMPT_CHARACTERS = 4_000_000
"""A longer rendered prompt is rejected before it is tokenized: a token is rarely under one character."""


_OTHER_FILES = (nodes.Include, nodes.Import, nodes.FromImport, nodes.Extends)


@dataclass(frozen=True, slots=True, kw_only=True)
class PromptText:
    """The rendered texts of one row."""

    user: Traced
    system: Traced | None


class PromptTemplate:
    """The templates of a spec, compiled once. Raises SpecError where they are not valid Jinja2."""

    def __init__(self, prompt: Prompt) -> None:
        sandbox = ImmutableSandboxedEnvironment(undefined=Gap, keep_trailing_newline=True)
        sandbox.globals.clear()  # range() and its kind could build a text of any size
        teach(sandbox)
        environment, of_blanks = traced(sandbox), outlined(sandbox)
        self._reads, self._sources = Reads(), {"system": prompt.system or "", "user": prompt.user or ""}
        self._templates: dict[str, Template] = {}
        self._outlines: dict[str, tuple[Template, Outlines]] = {}
        """Of the templates that may have them."""
        for name, text in (("system", prompt.system), ("user", prompt.user)):
            if text is None:
                continue
            try:
                parsed = environment.parse(text)
                if other := next(parsed.find_all(_OTHER_FILES), None):
                    raise SpecError(f"prompt.{name}, line {other.lineno}: there is no other template to be read")
                self._reads |= reads_of(parsed)
                self._templates[name] = template_of(environment, text)
                if may_be_outlined(parsed):
                    self._outlines[name] = template_of(of_blanks, text), Outlines()
            except TemplateSyntaxError as error:
                raise SpecError(f"prompt.{name}, line {error.lineno}: {error.message}") from error
        self._columns = {has_row: self._reads.columns(has_row=has_row) for has_row in (False, True)}

    def columns(self, *, has_row: bool = False) -> frozenset[str]:
        """The columns the templates read of a source, which may have a column `row` of its own."""
        return self._columns[has_row]

    def render(self, row: Mapping[str, object]) -> PromptText:
        """Render the prompt of one row. Raises RowRejected for whatever the templates refuse."""
        columns = self._columns[ROW in row]
        values = {column: _value(column, row[column]) for column in columns}
        kinds = (ROW in row, *map(type, values.values()))
        if ROW not in values:
            self._add_row(values)
        texts: dict[str, Traced] = {}
        for name in self._templates:
            try:
                text = self._text(name, values, kinds)
                text.encode("utf-8")
            except UnicodeEncodeError as error:
                raise RowRejected(Code.PROMPT, "the text is not valid UTF-8") from error
            except GapRead as error:
                line, why = line_of(error.__traceback__), why_not(error, self._sources[name], values)
                raise RowRejected(Code.PROMPT, f"prompt.{name}, line {line}, {why}") from error
            except (TemplateError, TypeError, ValueError, ArithmeticError, LookupError, AttributeError) as error:
                raise RowRejected(Code.PROMPT, f"prompt.{name} cannot be rendered {_why(error, values)}") from error
            if len(text) > MAX_PROMPT_CHARACTERS:
                raise RowRejected(Code.PROMPT_TOO_LONG, f"{len(text)} characters, limit {MAX_PROMPT_CHARACTERS}")
            texts[name] = text
        return PromptText(user=texts["user"], system=texts.get("system"))

    def _text(self, name: str, values: Mapping[str, object], kinds: tuple[object, ...]) -> Traced:
        if name in self._outlines and _OUTLINED.issuperset(kinds):
            template, outlines = self._outlines[name]
            texts = [value for value in values.values() if type(value) is Traced]

            def write(blanks: Sequence[Traced]) -> Iterator[str]:
                left = iter(blanks)
                known = {column: next(left) if type(one) is Traced else one for column, one in values.items()}
                if isinstance(values[ROW], dict):
                    self._add_row(known)
                return template.generate(known)

            if (text := outlines.text(kinds, texts, write)) is not None:
                return text
        return join(self._templates[name].generate(values))

    def _add_row(self, values: dict[str, object]) -> None:
        """What a template calls by `row` where no column has that name."""
        values[ROW] = {column: values[column] for column in self._reads.by_row}


_OUTLINED = frozenset({Traced, Null, False, True})
"""Kinds of values, and whether a column is called `row`. What a null writes is an error, and that is the row's own."""


def _why(error: Exception, values: Mapping[str, object]) -> str:
    """The kind of an error and its line, and the nulls that may be its cause."""
    nulls = [repr(column) for column, value in sorted(values.items()) if isinstance(value, Null)]
    also = f"; null in this row: {', '.join(nulls)}" if nulls else ""
    return f"({type(error).__name__} in line {line_of(error.__traceback__)}){also}"


def _value(column: str, value: object) -> object:
    """What the templates read of a column. Raises RowRejected for bytes that are not UTF-8."""
    if value is None:
        return Null(f"column {column!r} is null")
    if isinstance(value, bytes):
        try:
            return Traced(value.decode("utf-8"))
        except UnicodeDecodeError as error:
            raise RowRejected(Code.PROMPT, f"column {column!r} is not valid UTF-8") from error
    return _inside(value, column)


def _inside(value: object, column: str) -> object:
    if isinstance(value, str):
        return Traced(value)
    if isinstance(value, dict):
        pairs = cast(dict[object, object], value).items()
        return {_inside(key, column): _inside(item, column) for key, item in pairs}
    if isinstance(value, list | tuple):
        return [_inside(item, column) for item in cast(list[object], value)]
    if value is None:
        return Null(f"the template writes a null inside column {column!r}")
    if isinstance(value, float) and not math.isfinite(value):
        return Null(f"the template writes a number of column {column!r} that is NaN or infinite")
    if isinstance(value, bytes):
        try:
            return Traced(value.decode("utf-8"))
        except UnicodeDecodeError:  # perhaps an image, beside a text that is read
            return Binary(value, f"the template writes bytes of column {column!r} that are not UTF-8")
    return value
