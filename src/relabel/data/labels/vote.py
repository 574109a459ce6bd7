"""The answer that most samples of one row agree on. Knows answers as plain values, nothing of how they were parsed."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping, Sequence


def vote(answers: Sequence[Mapping[str, object] | None]) -> tuple[int, float] | None:
    """The index of the first sample that has the winning answer, and the share of all samples that have it.

    None where no sample has an answer. A rejected sample is None: it has no vote, and it counts in the share. Of
    answers with equally many votes the earliest wins.
    """
    ballots = [None if answer is None else json.dumps(answer, sort_keys=True) for answer in answers]
    ranked = Counter(ballot for ballot in ballots if ballot is not None).most_common(1)
    if not ranked:
        return None
    [(winner, num_votes)] = ranked
    return ballots.index(winner), num_votes / len(answers)
