"""Which tokens of a draft are kept: those that were chosen, too, one after the other. Plain integers.

So a draft changes no text: each token is the one that was chosen behind tokens that were all chosen.
"""

from __future__ import annotations

from collections.abc import Sequence


def are_accepted(tokens: Sequence[int], assumed: Sequence[int | None]) -> list[bool]:
    """Which chosen tokens stand: all that come behind a draft of which the model chose each token itself.

    `assumed` is the drafted token behind each position, which the next one takes for granted; None ends a row.
    """
    stands, accepted = True, []
    for token, next_token in zip(tokens, assumed, strict=True):
        accepted.append(stands)
        stands = next_token is None or (stands and token == next_token)
    return accepted
