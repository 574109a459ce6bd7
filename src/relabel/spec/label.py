"""What a label is, how it is taken from the generated text, and what is done where there is none.

Knows nothing of models or tokens.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

import regex
from pydantic import Field, field_validator, model_validator

from relabel.spec.json_schema import load_schema, properties_of
from relabel.spec.section import RESERVED_COLUMNS, Section

Fraction = Annotated[float, Field(ge=0, le=1)]
Temperature = Annotated[float, Field(gt=0, le=10)]
NEEDS = {"regex": "pattern", "choice": "choices", "json": "json_schema"}
"""The key that says what a parser expects; it goes with that parser alone."""


class Gate(Section):
    """Limits of the whole run. Where one is exceeded the run ends with exit code 1 and `_SUCCESS` is withheld.

    Shares of all rows for `max_rejected` and `max_empty`, else of the rows that have a label. May change between runs
    of one recipe.
    """

    max_rejected: Fraction | None = None
    max_empty: Fraction | None = None
    """Rows for which the model wrote nothing: they are rejected, too."""
    max_truncated: Fraction | None = None
    """Labels whose text was cut off by `max_new_tokens`."""
    max_repeated: Fraction | None = None
    """Labels that repeat themselves in a loop."""
    max_refused: Fraction | None = None
    """Labels such as `I cannot help with that`."""
    max_duplicates: Fraction | None = None
    """Labels that another row has too, less one of each."""
    max_changed: Fraction | None = None
    max_unchanged: Fraction | None = None
    max_length_drift: Annotated[float, Field(ge=0)] | None = None
    """How far the mean length may be from that of the old column: 0.5 allows half to one and a half times."""
    max_vocabulary_drift: Fraction | None = None
    """Jensen-Shannon divergence of the words, 0 for the same to 1 for none in common."""

    @property
    def compares(self) -> list[str]:
        """The limits that need an old column."""
        names = ("max_changed", "max_unchanged", "max_length_drift", "max_vocabulary_drift")
        return [name for name in names if getattr(self, name) is not None]


class Label(Section):
    """How the label is taken from the generated text."""

    parse: Literal["text", "last_line", "regex", "choice", "json"] = "text"
    """`text` is the whole text, stripped; `last_line` its last line that is not blank; `regex` its named groups, each a
    column; `choice` one of `choices`; `json` an object whose properties become typed columns."""
    column: str = "label"
    """The column of the label, where its parts have no names of their own."""
    pattern: str | None = None
    """Of `parse: regex`. Its named groups become columns; without any, the whole match is the label."""
    choices: list[str] | None = None
    """Of `parse: choice`."""
    json_schema: dict[str, Any] | None = None
    """Of `parse: json`: inline, the path of a .json or .yaml file, or `module:Class` for a pydantic model."""
    constrain: bool = True
    """Let the model write nothing else than a text that `regex`, `choice` or `json` can take."""
    reasoning: bool = False
    """The model thinks first: what it writes up to `</think>` is free, and the constraint begins after it."""
    attempts: Annotated[int, Field(ge=1, le=16)] = 1
    """How often a row whose text is no label is generated, each time with another draw."""
    retry_temperatures: list[Temperature] = []
    """Of the second attempt, the third, ...; the last one stays. By default that of `sampling`."""
    max_new_tokens_on_retry: Annotated[int, Field(ge=1)] | None = None
    """A row that was cut off by `sampling.max_new_tokens` is generated once more with so many."""
    logprobs: bool = False
    """Write the mean log-probability of the text's tokens, and for `choice` the probability of each choice."""
    vote: bool = False
    """Of `sampling.num_samples` answers keep the most frequent one, with an `agreement` column."""
    compare_to: str | None = None
    """A source column with an older label, which the audit compares the new ones with."""
    gate: Gate = Gate()

    @field_validator("json_schema", mode="before")
    @classmethod
    def _is_loaded(cls, value: Any) -> Any:
        return value if value is None else load_schema(value)

    @field_validator("pattern")
    @classmethod
    def _compiles(cls, pattern: str | None) -> str | None:
        if pattern is not None:
            try:
                regex.compile(pattern)
            except regex.error as error:
                raise ValueError(f"not a regular expression: {error}") from error
        return pattern

    @field_validator("choices")
    @classmethod
    def _can_be_told_apart(cls, choices: list[str] | None) -> list[str] | None:
        if choices is not None:
            if not choices or any(not choice or choice != choice.strip() for choice in choices):
                raise ValueError("name at least one choice, none of them empty or with spaces around it")
            if len(set(choices)) < len(choices):
                raise ValueError("a choice is named twice")
        return choices

    @field_validator("column")
    @classmethod
    def _is_free(cls, column: str) -> str:
        if column in RESERVED_COLUMNS:
            raise ValueError(f"{column!r} is a column that relabel writes itself; choose another name")
        return column

    @model_validator(mode="after")
    def _is_one_thing(self) -> Label:
        for parse, key in NEEDS.items():
            is_given = getattr(self, key) is not None
            if self.parse == parse and not is_given:
                raise ValueError(f"parse: {parse} needs {key}")
            if self.parse != parse and is_given:
                raise ValueError(f"{key} goes with parse: {parse}")
        if self.pattern is not None and self.constrain and regex.fullmatch(self.pattern, ""):
            raise ValueError("the pattern also takes an empty text, which is no label; let it need a character")
        if self.vote and self.parse not in ("choice", "json"):
            raise ValueError("vote: true counts equal answers: it goes with parse: choice or json")
        if (limits := self.gate.compares) and self.compare_to is None:
            raise ValueError(f"gate.{limits[0]} compares with an old column; name it in compare_to")
        return self

    @property
    def columns(self) -> list[str]:
        """The columns that the label itself becomes."""
        if self.pattern is not None:
            return list(regex.compile(self.pattern).groupindex) or [self.column]
        if self.json_schema is not None:
            return list(properties_of(self.json_schema)) or [self.column]
        return [self.column]

    @property
    def is_constrained(self) -> bool:
        """Whether the model is held to what the parser can take."""
        return self.constrain and self.parse in NEEDS


class NamedLabel(Label):
    """One of several labels of a row, each with a prompt of its own. Its columns begin with its name."""

    name: Annotated[str, Field(pattern=r"^[A-Za-z][A-Za-z0-9_]*$")]
    user: str | None = None
    """By default `prompt.user`."""
    system: str | None = None
    """By default `prompt.system`."""
    max_new_tokens: Annotated[int, Field(ge=1)] | None = None
    """By default `sampling.max_new_tokens`."""
