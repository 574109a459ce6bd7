"""The answer that most samples of one row agree on. Knows labels as plain values, nothing of how they were parsed."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping, Sequence


def vote(answers: Sequence[Mapping[str, object] | None]) -> tuple[int, float] | None:
    """Where the winner is first found, and the share of all samples that gave it; None where no sample has a label.

    A rejected sample (None) has no vote but counts. Of answers with as many votes the earliest wins.
    """
    ballots = [None if answer is None else json.dumps(answer, sort_keys=True) for answer in answers]
    ranked = Counter(ballot for ballot in ballots if ballot is not None).most_common(1)
    if not ranked:
        return None
    [(winner, num_votes)] = ranked
    return ballots.index(winner), num_votes / len(answers)
