"""Figures of one label over the rows of a part, or of many parts: whether the labels are any good.

They hold counts, hashes and row numbers: must never hold a label's text. Knows neither how a label is measured nor how
parts are merged.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Annotated, cast

from pydantic import ConfigDict, PlainSerializer, PlainValidator, StrictInt, TypeAdapter, with_config

from relabel.data.quality.distinct import Distinct
from relabel.data.quality.examples import Examples
from relabel.data.quality.vocabulary import divergence


@with_config(ConfigDict(extra="forbid"))
@dataclass(frozen=True, slots=True, kw_only=True)
class Quality:
    """Counts of labels, if not said otherwise. Runs of white space are one space in all of them."""

    num_rows: StrictInt = 0
    """Rows of the part, with a label or without."""
    num_labels: StrictInt = 0
    """Rows that have a label."""
    empty: StrictInt = 0
    """Rows that have no label because the model wrote nothing."""
    truncated: StrictInt = 0
    """Labels that `max_new_tokens` cut off."""
    repeated: StrictInt = 0
    """Labels that repeat themselves."""
    refused: StrictInt = 0
    """Labels that refuse to answer."""
    length: StrictInt = 0
    """Characters of all labels."""
    compared: StrictInt = 0
    """Rows that have a label and an old one."""
    changed: StrictInt = 0
    """Labels that differ from the old one of their row."""
    compared_length: StrictInt = 0
    """Characters of the labels that were compared with an old one."""
    old_length: StrictInt = 0
    """Characters of the old labels that were compared."""
    distinct: Annotated[Distinct, PlainValidator(Distinct.from_json), PlainSerializer(Distinct.to_json)] = field(
        default_factory=Distinct
    )
    """The distinct labels, as a sample."""
    words: tuple[StrictInt, ...] = ()
    """Words of the labels that were compared, by bucket; empty where none was."""
    old_words: tuple[StrictInt, ...] = ()
    """Words of the old labels that were compared, by bucket; empty where none was."""
    examples: Examples = field(default_factory=dict)
    """The first few rows of each kind of flaw."""

    @property
    def unchanged(self) -> int:
        return self.compared - self.changed

    @property
    def duplicates(self) -> float:
        """Labels that another row has too, less one of each: exact or an estimate, as `Distinct.count` is."""
        return self.num_labels - self.distinct.count()

    def rates(self) -> dict[str, float | None]:
        """Shares of the labels, and how far they are from the old ones; None where there is nothing to divide by.

        `empty` is a share of all rows, as no label is empty. `length_drift` is signed: -0.25 where the labels are a
        quarter shorter than the old ones.
        """
        figures = {
            "empty": _ratio(self.empty, self.num_rows),
            **{name: _ratio(getattr(self, name), self.num_labels) for name in ("truncated", "repeated", "refused")},
            "duplicates": _ratio(self.duplicates, self.num_labels),
            "unchanged": _ratio(self.unchanged, self.compared),
            "changed": _ratio(self.changed, self.compared),
            "length_drift": _ratio(self.compared_length - self.old_length, self.old_length),
        }
        return {**figures, "vocabulary_drift": divergence(self.words, self.old_words)}

    def in_file(self, file: str) -> Quality:
        """The same, with the name of the file that the part was made from."""
        if not self.examples:
            return self
        examples = {
            kind: tuple((name or file, row) for name, row in references) for kind, references in self.examples.items()
        }
        return replace(self, examples=examples)

    def summary(self) -> dict[str, object]:
        """What a person reads of it: rates, counts and examples."""
        return {
            "rates": {name: rate if rate is None else round(rate, 6) for name, rate in self.rates().items()},
            "counts": {
                **{name: getattr(self, name) for name in COUNTS},
                "unchanged": self.unchanged,
                "duplicates": round(self.duplicates),
            },
            "examples": _plain(self.examples),
        }

    def to_json(self) -> dict[str, object]:
        """Everything, in some 7 KB for a part of 1,024 rows; what is nought or empty is left out."""
        return cast(dict[str, object], _QUALITY.dump_python(self, mode="json", exclude_defaults=True))

    @classmethod
    def from_json(cls, value: object) -> Quality:
        """The figures that `to_json` wrote. Raises ValueError for anything else."""
        return _QUALITY.validate_python(value)


_QUALITY = TypeAdapter(Quality)
COUNTS = (
    *("num_rows", "num_labels", "empty", "truncated", "repeated", "refused", "length"),
    *("compared", "changed", "compared_length", "old_length"),
)
"""Fields that add up over parts."""


def _ratio(part: float, whole: float) -> float | None:
    return part / whole if whole else None


def _plain(examples: Examples) -> dict[str, list[list[str | int]]]:
    return {kind: [list(reference) for reference in references] for kind, references in examples.items()}
