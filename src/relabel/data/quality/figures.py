"""Figures of one label over the rows of a part, or of many parts: whether the labels are any good.

Figures of parts merge into those of the run. They hold counts, hashes and row numbers: must never hold a label's text.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Annotated, cast

from pydantic import ConfigDict, PlainSerializer, PlainValidator, StrictInt, StrictStr, TypeAdapter, with_config

from relabel.data.labels.parsers import NOTHING_WRITTEN
from relabel.data.quality.distinct import Distinct, distinct, merge_distinct
from relabel.data.quality.flaws import refuses, repeats
from relabel.data.quality.vocabulary import add_words, count_words, divergence

NUM_EXAMPLES = 3
"""Rows that are named for each kind."""
KINDS = ("empty", "truncated", "repeated", "refused", "changed")
"""Kinds of rows of which examples are kept."""
Reference = tuple[StrictStr, StrictInt]
"""A file and a row in it. The file is empty where it is the one that the part was made from: its stamp names that."""


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
    examples: Mapping[str, tuple[Reference, ...]] = field(default_factory=dict)
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
        examples = {
            kind: tuple((name or file, row) for name, row in references) for kind, references in self.examples.items()
        }
        return replace(self, examples=examples)

    def summary(self) -> dict[str, object]:
        """What a person reads of it: rates, counts and examples."""
        return {
            "rates": {name: rate if rate is None else round(rate, 6) for name, rate in self.rates().items()},
            "counts": {
                **{name: getattr(self, name) for name in _COUNTS},
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
_COUNTS = (
    *("num_rows", "num_labels", "empty", "truncated", "repeated", "refused", "length"),
    *("compared", "changed", "compared_length", "old_length"),
)


def measure(
    texts: Sequence[str | None],
    finish_reasons: Sequence[str | None],
    rows: Sequence[int],
    old: Sequence[str | None] | None = None,
    reasons: Sequence[str | None] | None = None,
) -> Quality:
    """The figures of one part: for each row the label or None, why its text ended, its number, and its old label.

    `reasons` say why rows were rejected for this label; without them no row counts as empty.
    """
    labels = {at: " ".join(text.split()) for at, text in enumerate(texts) if text is not None}
    before = {at: " ".join(text.split()) for at in labels if old is not None and (text := old[at]) is not None}
    found = {
        "empty": [at for at, reason in enumerate(reasons or ()) if reason == str(NOTHING_WRITTEN)],
        "truncated": [at for at in labels if finish_reasons[at] == "length"],
        "repeated": [at for at, label in labels.items() if repeats(label)],
        "refused": [at for at, label in labels.items() if refuses(label)],
        "changed": [at for at, label in before.items() if labels[at] != label],
    }
    return Quality(
        num_rows=len(texts),
        num_labels=len(labels),
        **{kind: len(places) for kind, places in found.items()},
        length=sum(map(len, labels.values())),
        compared=len(before),
        compared_length=sum(len(labels[at]) for at in before),
        old_length=sum(map(len, before.values())),
        distinct=distinct(labels.values()),
        words=count_words(labels[at] for at in before) if before else (),
        old_words=count_words(before.values()) if before else (),
        examples=_first({kind: [("", rows[at]) for at in places] for kind, places in found.items()}),
    )


def merge(qualities: Iterable[Quality]) -> Quality:
    """The figures of all the parts together. In any order and in any groups, the same."""
    qualities = list(qualities)
    return Quality(
        **{name: sum(getattr(quality, name) for quality in qualities) for name in _COUNTS},
        distinct=merge_distinct(quality.distinct for quality in qualities),
        words=add_words(quality.words for quality in qualities),
        old_words=add_words(quality.old_words for quality in qualities),
        examples=_first(
            {kind: [one for quality in qualities for one in quality.examples.get(kind, ())] for kind in KINDS}
        ),
    )


def _ratio(part: float, whole: float) -> float | None:
    return part / whole if whole else None


def _first(examples: Mapping[str, Iterable[Reference]]) -> dict[str, tuple[Reference, ...]]:
    """Of each kind that has any."""
    return {kind: tuple(sorted(found)[:NUM_EXAMPLES]) for kind, found in examples.items() if found}


def _plain(examples: Mapping[str, tuple[Reference, ...]]) -> dict[str, list[list[str | int]]]:
    return {kind: [list(reference) for reference in references] for kind, references in examples.items()}
