"""Which rows begin with the same tokens (a system prompt, few-shot examples), so that these are computed once.

Plain sequences of integers: knows nothing of torch or models.
"""

from __future__ import annotations

from collections.abc import Sequence

SHORTEST = 16
"""A shorter prefix costs more to copy and to attend for apart than to compute."""
LEAST_SAVED = 256
"""Tokens that a prefix must save in all: it is computed by itself, while the rows wait."""
MOST = 4
"""Prefixes of one call: those that save most."""


def shared_prefixes(prompts: Sequence[Sequence[int]]) -> list[int]:
    """For each prompt the tokens of its start that others begin with too; 0 where that is not worth it.

    Prompts are grouped by their first SHORTEST tokens; each group shares what all of it has in common. At least the
    last token of a prompt stays its own: its logits are needed.
    """
    groups: dict[tuple[int, ...], list[int]] = {}
    for row, prompt in enumerate(prompts):
        if len(prompt) > SHORTEST:
            groups.setdefault(tuple(prompt[:SHORTEST]), []).append(row)
    found = [(_in_common([prompts[row] for row in rows]), rows) for rows in groups.values() if len(rows) > 1]
    worth_it = [(length, rows) for length, rows in found if (len(rows) - 1) * length >= LEAST_SAVED]
    shared = [0] * len(prompts)
    for length, rows in sorted(worth_it, key=lambda group: -(len(group[1]) - 1) * group[0])[:MOST]:
        for row in rows:
            shared[row] = length
    return shared


def find_prefix_groups(
    prompts: Sequence[Sequence[int]], groups: Sequence[int | None], firsts: Sequence[int]
) -> list[tuple[int, int] | None]:
    """For each prompt the number of its prefix group and how many tokens the group begins with, where a copy pays.

    `firsts` is how many tokens have to be in common at least: all those of a prompt's images.
    """
    members: dict[int, list[int]] = {}
    for row, group in enumerate(groups):
        if group is not None:
            members.setdefault(group, []).append(row)
    found: list[tuple[int, int] | None] = [None] * len(prompts)
    for number, rows in enumerate(members.values()):
        if len(rows) > 1:
            length = _in_common([prompts[row] for row in rows])
            if length >= max(SHORTEST, *(firsts[row] for row in rows)):
                for row in rows:
                    found[row] = number, length
    return found


def _in_common(prompts: Sequence[Sequence[int]]) -> int:
    """What all have in common is what the first and the last in order have, short of the shortest one's last token."""
    first, last = min(prompts, key=tuple), max(prompts, key=tuple)
    most = min(map(len, prompts)) - 1
    return next((at for at in range(most) if first[at] != last[at]), most)
