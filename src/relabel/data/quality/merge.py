"""The figures of many parts as one. Knows figures alone, no labels and no rows."""

from __future__ import annotations

from collections.abc import Iterable

from relabel.data.quality.distinct import ALL, merge_distinct
from relabel.data.quality.examples import KINDS, first_examples
from relabel.data.quality.figures import COUNTS, Quality
from relabel.data.quality.vocabulary import add_words


def merge(qualities: Iterable[Quality], below: int = ALL) -> Quality:
    """The figures of all the parts together. In any order and in any groups, the same.

    Of the distinct labels only hashes that are `below` are sampled.
    """
    qualities = list(qualities)
    return Quality(
        **{name: sum(getattr(quality, name) for quality in qualities) for name in COUNTS},
        distinct=merge_distinct((quality.distinct for quality in qualities), below=below),
        words=add_words(quality.words for quality in qualities),
        old_words=add_words(quality.old_words for quality in qualities),
        examples=first_examples(
            {kind: [one for quality in qualities for one in quality.examples.get(kind, ())] for kind in KINDS}
        ),
    )
