"""What an engine is asked, as lengths by row: what of each prompt is computed once for many, and how long texts become.

Knows requests; nothing of blocks, clocks or files.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from relabel.engine import Request
from relabel.engine.scheduling.prefix import find_prefix_groups, shared_prefixes
from relabel.job.forecast.texts import Text


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """One request and the length of its text."""

    request: Request
    most: int
    """New tokens that it may have."""
    chosen: int
    """Tokens that are chosen for it, one that ends it included."""


def texts_by_row(asked: Sequence[Asked], unit_rows: int) -> dict[int, list[Text]]:
    """The texts of one call by the row that they are of, as the continuous engine shares what prompts begin with.

    It shares among the rows of one call, which in a run are those of a unit: here so many after each other.
    """
    rows: dict[int, list[Text]] = {}
    calls: dict[int, list[tuple[int, Asked]]] = {}
    for at, one in enumerate(asked):
        row = at if one.request.group is None else one.request.group
        calls.setdefault(row // unit_rows, []).append((row, one))
    for call in calls.values():
        for (row, _), text in zip(call, _texts([one for _, one in call]), strict=True):
            rows.setdefault(row, []).append(text)
    return rows


def _texts(asked: Sequence[Asked]) -> list[Text]:
    requests = [one.request for one in asked]
    shared = shared_prefixes([() if request.tensors else request.prompt_ids for request in requests])
    groups = find_prefix_groups(
        [request.prompt_ids for request in requests],
        [request.group for request in requests],
        # of prompts with images: as if an image came last, so that nothing is shared where it is not sure
        [len(request.prompt_ids) if request.tensors else 0 for request in requests],
    )
    return [
        Text(
            prompt=len(one.request.prompt_ids),
            most=one.most,
            chosen=one.chosen,
            shared=shared[at],
            in_common=(groups[at] or (0, 0))[1],
            is_whole=bool(one.request.tensors),
        )
        for at, one in enumerate(asked)
    ]


def chosen_of(num_tokens: int, finish_reason: str | None, most: int) -> int:
    """Tokens that were chosen for a text of so many: one more where one ended it."""
    return max(1, min(most, num_tokens + (finish_reason == "stop")))
