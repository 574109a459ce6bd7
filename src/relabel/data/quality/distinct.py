"""How many distinct labels there are, in a part or in the whole run, from a sample that merges.

The sample is the labels with the smallest 64-bit hashes: one and the same in every part, so that a label which several
parts have is found again. Knows hashes, not labels.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Annotated, Self

import numpy as np
from pydantic import ConfigDict, Field, StrictInt, StrictStr, TypeAdapter, with_config

from relabel.data.quality.hashes import Hashes

ALL = 2**64
NUM_OF_PART, NUM_OF_RUN = 256, 65_536
"""Hashes that a sample has at most: 256 take 4 KB of a stamp in hex, 65,536 take some 8 MB of the driver."""
_SURE = 4
"""Standard errors between two estimates that are no accident: 1 in 30,000."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Distinct:
    """The distinct labels of one part or of several."""

    total: int = 0
    """Distinct labels of each part, summed: what a part has twice is counted exactly, and once."""
    below: int = ALL
    """The sample is all labels whose hash is below: every label, or a fraction of `below / ALL` of them."""
    parts: Hashes = field(default_factory=lambda: Hashes.of(()))
    """The hash of each label in the sample, and in how many parts it is."""

    def count(self) -> float:
        """The number of distinct labels.

        Exact where no part has more than 256 of them and the run no more than 65,536.
        Otherwise an estimate from n sampled labels, for which there are two ways. `total` by the mean number of parts
        that a label is in has a relative standard error of c / sqrt(n), c being the standard deviation of that
        number by its mean: 0 where no two parts share a label. But it does not see a few labels that are in very many
        parts and not in the sample. The share of all hashes below the threshold sees them, with a relative standard
        error of up to 1 / sqrt(n): 6 % at n = 256, 0.4 % at n = 65,536. It takes over where it says less by more than
        four of these, so that in large runs some 2 % of the distinct labels is the most that stays unseen.
        """
        sampled = len(self.parts)
        if self.below == ALL or not sampled:
            return sampled
        by_parts = self.total * sampled / int(self.parts.counts.sum())
        share = self.below / ALL
        by_share = sampled / share
        error = by_share * ((1 - share) / sampled) ** 0.5
        return by_share if by_share + _SURE * error < by_parts else by_parts

    def to_json(self) -> dict[str, object]:
        counts = self.parts.counts.tolist()
        return {
            "total": self.total,
            "hashes": self.parts.hashes.astype(">u8").tobytes().hex(),
            **({"below": self.below} if self.below < ALL else {}),
            **({"parts": counts} if max(counts, default=1) > 1 else {}),
        }

    @classmethod
    def from_json(cls, value: object) -> Self:
        """The sample that `to_json` wrote. Raises ValueError for anything else."""
        found = _COMPACT.validate_python(value)
        hashes = np.frombuffer(bytes.fromhex(found.hashes), ">u8").astype(np.uint64)
        parts = Hashes(hashes, None if found.parts is None else np.array(found.parts, np.int64))
        return cls(total=found.total, below=found.below, parts=parts)


_Count = Annotated[StrictInt, Field(ge=1, lt=2**63)]


@with_config(ConfigDict(extra="forbid"))
@dataclass(frozen=True, slots=True, kw_only=True)
class _Compact:
    """A sample as it stands in JSON: its hashes in hex, and how many parts have each, if any has more than one."""

    total: StrictInt
    hashes: StrictStr
    below: StrictInt = ALL
    parts: list[_Count] | None = None


_COMPACT = TypeAdapter(_Compact)


def distinct(labels: Iterable[str], at_most: int = NUM_OF_PART) -> Distinct:
    """The distinct labels of one part, from a sample of at most so many."""
    hashes = Hashes.of({hash_of(label) for label in labels})
    return _smallest(hashes, len(hashes), ALL, at_most)


def merge_distinct(samples: Iterable[Distinct], at_most: int = NUM_OF_RUN, below: int = ALL) -> Distinct:
    """The distinct labels of all parts together, sampled from those hashes that are `below`. In any order and in any
    groups, the same."""
    samples = list(samples)
    below = min((below, *(sample.below for sample in samples)))
    parts = Hashes.together(sample.parts.below(below) for sample in samples)
    return _smallest(parts, sum(sample.total for sample in samples), below, at_most)


def hash_of(label: str) -> int:
    return int.from_bytes(hashlib.blake2b(label.encode("utf-8", "surrogatepass"), digest_size=8).digest(), "big")


def _smallest(parts: Hashes, total: int, below: int, most: int) -> Distinct:
    if len(parts) > most:
        below = int(parts.hashes[most])
    return Distinct(total=total, below=below, parts=parts.first(most))
