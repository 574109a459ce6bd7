"""The figures of one part, measured from the texts of its labels.

Knows texts and why they ended; nothing of how a label was parsed, nor of other parts.
"""

from __future__ import annotations

from collections.abc import Sequence

from relabel.data.labels.parsers import NOTHING_WRITTEN
from relabel.data.quality.distinct import distinct
from relabel.data.quality.examples import first_examples
from relabel.data.quality.figures import Quality
from relabel.data.quality.flaws import refuses, repeats
from relabel.data.quality.vocabulary import count_words


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
        examples=first_examples({kind: [("", rows[at]) for at in places] for kind, places in found.items()}),
    )
