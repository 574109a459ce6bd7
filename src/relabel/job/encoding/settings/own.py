"""A row's own sampling settings, in the words of OpenAI's chat completions, over those of its spec.

Validated once, when the row is read; later stages trust what they are given. Total: any text gives settings or a
RowRejected that names fields of the API and never quotes the row. Knows nothing of messages, blocks or engines.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import lru_cache

from relabel.data.labels.reasoning import Start
from relabel.data.labels.reasoning_formats import THINK, ReasoningFormat
from relabel.engine import Constraint, Sampling, Thoughts
from relabel.engine.api.constraint import check_constraint
from relabel.errors import ArgumentRefused, RowRejected
from relabel.job.encoding.settings.fields import read_fields
from relabel.job.encoding.settings.form import CALLED, Form, form_of
from relabel.job.engine import constraint_of, sampling_of, thoughts_of
from relabel.rejected import Code
from relabel.spec import Label, Query
from relabel.spec.sections import NOT_OF_THE_TEMPLATE


@dataclass(frozen=True, slots=True, kw_only=True)
class OwnSettings:
    """What one row sets by itself, once it is validated; all else is its spec's."""

    max_new_tokens: int | None = None
    temperature: float | None = None
    top_p: float | None = None
    seed: int | None = None
    """From 0 to 2**64 - 1."""
    min_new_tokens: int | None = None
    top_k: int | None = None
    """0 keeps the whole vocabulary."""
    min_p: float | None = None
    repetition_penalty: float | None = None
    stop_token_ids: tuple[int, ...] = ()
    """Token ids at which a text ends; none takes those of the spec."""
    stop: tuple[str, ...] = ()
    """Stop strings; none takes those of the spec."""
    form: Form | None = None
    """What the texts are held to; none takes what the label of the spec holds them to."""
    template_variables: Mapping[str, object] = field(default_factory=dict)
    """Of the model's chat template, over those of the spec. Done with once the prompt is rendered."""

    def constraint(self, label: Label, thoughts: Thoughts | None = None) -> Constraint | None:
        """What the texts of one label are held to for this row, behind the thoughts."""
        if self.form is None:
            return constraint_of(label, thoughts)
        return Constraint(kind=self.form.kind, value=self.form.value, thoughts=thoughts)

    def over(self, query: Query, format: ReasoningFormat | None = THINK, start: Start = Start.BEFORE) -> Sampling:
        """The settings of one label's texts for this row: see `sampling_of`."""
        sampling = sampling_of(query, format, start)
        if self.form is not None:
            constraint = self.constraint(query.label, thoughts_of(query.label, format, start))
            sampling = replace(sampling, constraint=constraint, stop_strings=(), min_new_tokens=0)
        return replace(
            sampling,
            max_new_tokens=sampling.max_new_tokens if self.max_new_tokens is None else self.max_new_tokens,
            temperature=sampling.temperature if self.temperature is None else self.temperature,
            top_p=sampling.top_p if self.top_p is None else self.top_p,
            seed=sampling.seed if self.seed is None else self.seed,
            stop_strings=self.stop or sampling.stop_strings,
            stop_token_ids=self.stop_token_ids or sampling.stop_token_ids,
            min_new_tokens=sampling.min_new_tokens if self.min_new_tokens is None else self.min_new_tokens,
            top_k=sampling.top_k if self.top_k is None else self.top_k,
            min_p=sampling.min_p if self.min_p is None else self.min_p,
            repetition_penalty=(
                sampling.repetition_penalty if self.repetition_penalty is None else self.repetition_penalty
            ),
        )


def read_settings(text: object) -> OwnSettings:
    """The settings in the JSON text of a row. Raises RowRejected (settings)."""
    fields = read_fields(text)
    stop = (fields.stop,) if isinstance(fields.stop, str) else tuple(fields.stop or ())
    form = form_of(fields)
    if form is not None and (stop or fields.min_tokens):
        name = "stop" if stop else "min_tokens"
        raise RowRejected(Code.SETTINGS, f"{name} does not go with {form.name}, whose texts end by themselves")
    variables = fields.chat_template_kwargs or {}
    if named := sorted(NOT_OF_THE_TEMPLATE.keys() & variables.keys()):
        raise RowRejected(Code.SETTINGS, f"chat_template_kwargs: {named[0]} is no option of a chat template")
    return OwnSettings(
        max_new_tokens=fields.max_completion_tokens or fields.max_tokens,
        temperature=fields.temperature,
        top_p=fields.top_p,
        seed=None if fields.seed is None else fields.seed % 2**64,
        stop=stop,
        form=form,
        min_new_tokens=fields.min_tokens,
        top_k=None if fields.top_k is None else max(fields.top_k, 0),
        min_p=fields.min_p,
        repetition_penalty=fields.repetition_penalty,
        stop_token_ids=tuple(fields.stop_token_ids or ()),
        template_variables=variables,
    )


def check_settings(own: OwnSettings, query: Query) -> None:
    """Raises RowRejected (settings) where the settings of a row do not go with a label, or no text can be held to its
    form."""
    form = own.form
    if query.label.is_constrained and (form is not None or own.stop or own.min_new_tokens):
        name = "stop" if own.stop else form.name if form is not None else "min_tokens"
        raise RowRejected(Code.SETTINGS, f"{name} does not go with a label that is held to its own format")
    spec_min = 0 if form is not None else query.sampling.min_new_tokens
    min_new_tokens = spec_min if own.min_new_tokens is None else own.min_new_tokens
    if min_new_tokens > (own.max_new_tokens or query.sampling.max_new_tokens):
        least = "the sampling.min_new_tokens of the spec" if own.min_new_tokens is None else "min_tokens"
        raise RowRejected(Code.SETTINGS, f"max_tokens is under {least}")
    constraint = own.constraint(query.label)
    if form is not None and constraint is not None and not _can_hold(constraint):
        raise RowRejected(Code.SETTINGS, f"{form.name} has {CALLED[form.kind]} that texts cannot be held to")


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
