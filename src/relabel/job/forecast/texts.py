"""A sampled row as the engine sees it: how long the prompt of each of its texts is, and how long the text becomes.

Plain integers; no tokens and no texts.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Text:
    """One text that is to be generated."""

    prompt: int
    """Tokens of the prompt; at least one."""
    most: int
    """New tokens that it may have, for which memory is held; at least one."""
    chosen: int
    """Tokens that are chosen for it, one that ends it included; from one to `most`."""
    shared: int = 0
    """Tokens that many prompts begin with, which are computed once for all of them."""
    in_common: int = 0
    """Tokens that the prompts of one row begin with alike: its first text computes them for the others."""
    is_whole: bool = False
    """Whether its prompt has images, and is computed in one piece."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SampledRow:
    """One row of a sample."""

    drawn: int
    """Which draw it is of: rows of one unit that was drawn first are alike, and say less together."""
    texts: tuple[Text, ...]
    """All attempts at all its texts; none of a row that is rejected before it is generated."""
    prompt: int = 0
    """Tokens of its prompts for all labels, along which the rows of a sample are spread."""
    output_tokens: int | None = None
    """Tokens that were generated for it, those that ended texts not counted; None where none was generated."""
