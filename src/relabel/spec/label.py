"""What a label is, how it is taken from the generated text, and what is done where there is none.

Knows nothing of models or tokens.
"""

from __future__ import annotations

from typing import Annotated, Literal

import regex
from pydantic import Field, field_validator, model_validator

from relabel.spec.schemas.json_schema import JsonSchema, load_schema, properties_of
from relabel.spec.section import RESERVED_COLUMNS, Section

Fraction = Annotated[float, Field(ge=0, le=1)]
Temperature = Annotated[float, Field(gt=0, le=10)]
ReasoningName = Literal[
    "none",
    "think",
    "harmony",
    "solar",
    "mistral",
    "gemma4",
    "cohere",
    "seed_oss",
    "kimi_vl",
    "apertus",
    "longcat",
    "minimax_m3",
    "apriel",
    "glm_v",
    "granite",
    "granite33",
    "hunyuan",
    "openthinker",
    "thought",
    "thinking",
    "reasoning",
]
NEEDS = {"regex": "pattern", "choice": "choices", "json": "json_schema"}
"""The key that says what a parser expects; it goes with that parser alone."""


class Gate(Section):
    """Limits on the quality of a whole run. Where one is exceeded, the run ends with exit code 1, without `_SUCCESS`.

    Limits are shares from 0 to 1; all but `max_rejected` are checked only where they are given. They may change between
    runs of one recipe. Where no row at all has a label, no run is a success.
    """

    max_rejected: Fraction | None = 0.1
    """The largest share of all rows that may be rejected, from 0 to 1; `null` for any. Where the first rows are nearly
    all rejected for one reason and it allows less, the run is refused or stops early."""
    max_empty: Fraction | None = None
    """The largest share of all rows for which the model may write nothing, from 0 to 1. Such rows are rejected, too."""
    max_truncated: Fraction | None = None
    """The largest share of labels whose text `max_new_tokens` may cut off, from 0 to 1."""
    max_repeated: Fraction | None = None
    """The largest share of labels that may repeat themselves in a loop, from 0 to 1."""
    max_refused: Fraction | None = None
    """The largest share of labels that may refuse, such as `I cannot help with that`, from 0 to 1."""
    max_duplicates: Fraction | None = None
    """The largest share of labels that may repeat the label of another row, not counting one of each, from 0 to 1."""
    max_changed: Fraction | None = None
    """The largest share of labels that may differ from the column `compare_to`, from 0 to 1."""
    max_unchanged: Fraction | None = None
    """The largest share of labels that may equal the column `compare_to`, from 0 to 1."""
    max_length_drift: Annotated[float, Field(ge=0)] | None = None
    """How far the mean length may be from that of the column `compare_to`: 0.5 allows half to one and a half times
    it."""
    max_vocabulary_drift: Fraction | None = None
    """The largest distance between the words of the labels and those of the column `compare_to`: their Jensen-Shannon
    divergence, from 0 for equal frequencies to 1 for no word in common."""

    @property
    def compares(self) -> list[str]:
        """The limits that need an old column."""
        names = ("max_changed", "max_unchanged", "max_length_drift", "max_vocabulary_drift")
        return [name for name in names if getattr(self, name) is not None]


class Label(Section):
    """How a label is taken from the generated text, and what happens where the text holds none."""

    parse: Literal["text", "last_line", "regex", "choice", "json"] = "text"
    """The parser. `text` takes the whole text, stripped; `last_line` its last line that is not blank; `regex` the named
    groups of `pattern`; `choice` one of `choices`; `json` an object whose properties become typed columns."""
    column: str = "label"
    """The output column of the label. Named groups and the properties of a JSON schema name their own columns
    instead."""
    pattern: str | None = None
    """The regular expression of `parse: regex`. Each named group becomes a column; without any, the match is the
    label."""
    choices: list[str] | None = None
    """The possible labels of `parse: choice`. The label is always spelled as it is here."""
    json_schema: JsonSchema | None = None
    """The JSON schema of `parse: json`: inline, the path of a .json or .yaml file, or `module:Class` for a pydantic
    model."""
    constrain: bool = True
    """Constrained decoding: with `regex`, `choice` or `json` the model can only write what the parser takes. `false`
    checks the finished text alone."""
    reasoning: bool | ReasoningName = False
    """`true` lets a model think before a constrained label: the constraint begins where its answer does. What a model
    thinks goes to the column `reasoning` in any case, by the format that its tokenizer and chat template show. A name,
    for example `harmony`, is as `true` and sets the format; `none` leaves all texts as they are."""
    attempts: Annotated[int, Field(ge=1, le=16)] = 1
    """The most times that a row is generated while its text holds no label, each time with new random draws."""
    retry_temperatures: list[Temperature] = []
    """The temperatures of the second attempt, the third and so on; the last one stays. The default is `sampling`'s
    own."""
    max_new_tokens_on_retry: Annotated[int, Field(ge=1)] | None = None
    """The most tokens of a text that `sampling.max_new_tokens` cut off: it goes on once, up to here. The default is no
    second chance."""
    logprobs: bool = False
    """Adds the column `logprob`, the mean log-probability of the text's tokens, and with `parse: choice` the column
    `probabilities`, the probability of each choice."""
    vote: bool = False
    """Keeps the most frequent label of `sampling.num_samples` texts, and adds the column `agreement`, its share of
    them. Goes with `choice` and `json`."""
    compare_to: str | None = None
    """The source column of an older label. The report at the end of a run compares the new labels with it."""
    gate: Gate = Gate()
    """Limits on the quality of the whole run, each a share from 0 to 1. The default checks `max_rejected` alone."""

    @field_validator("json_schema", mode="before", json_schema_input_type=JsonSchema | str | None)
    @classmethod
    def _is_loaded(cls, value: object) -> JsonSchema | None:
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
    """The name that the columns of this label begin with: letters, digits and underscores, a letter first."""
    user: str | None = None
    """The template of the user's message for this label. The default is `prompt.user`."""
    system: str | None = None
    """The template of the system message for this label. The default is `prompt.system`."""
    max_new_tokens: Annotated[int, Field(ge=1)] | None = None
    """The most tokens of a generated text for this label. The default is `sampling.max_new_tokens`."""
