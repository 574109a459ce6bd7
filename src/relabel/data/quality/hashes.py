"""Hashes of labels, each with the number of parts that it is in: two arrays, so that a million of them are little and
are merged at once. Knows numbers alone."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping

import numpy as np
from numpy.typing import NDArray


class Hashes(Mapping[int, int]):
    """The number of parts by hash, in order of the hashes."""

    __slots__ = ("counts", "hashes")

    def __init__(self, hashes: NDArray[np.uint64], counts: NDArray[np.int64] | None = None) -> None:
        """`hashes` in order, each once; without `counts` each is in one part. Raises ValueError for anything else."""
        self.hashes = hashes
        self.counts = np.ones(len(hashes), np.int64) if counts is None else counts
        if len(self.counts) != len(hashes) or not (hashes[1:] > hashes[:-1]).all():
            raise ValueError("hashes are not in order, or not each has a count")

    @classmethod
    def of(cls, hashes: Iterable[int]) -> Hashes:
        """Those of one part, in any order."""
        return cls(np.array(sorted(hashes), np.uint64))

    @classmethod
    def together(cls, several: Iterable[Hashes]) -> Hashes:
        """Those of all, with the sums of their counts."""
        several = [_NONE, *several]
        hashes = np.concatenate([one.hashes for one in several])
        counts = np.concatenate([one.counts for one in several])
        order = np.argsort(hashes)
        hashes, counts = hashes[order], counts[order]
        starts = np.flatnonzero(np.concatenate(([True], hashes[1:] != hashes[:-1]))[: len(hashes)])
        return cls(hashes[starts], np.add.reduceat(counts, starts) if len(starts) else counts)

    def below(self, bound: int) -> Hashes:
        """Those that are smaller than this."""
        return self.first(int(np.searchsorted(self.hashes, np.uint64(bound)))) if bound < 2**64 else self

    def first(self, number: int) -> Hashes:
        """The smallest so many."""
        if number >= len(self):
            return self
        return Hashes(self.hashes[:number].copy(), self.counts[:number].copy())

    def __len__(self) -> int:
        return len(self.hashes)

    def __iter__(self) -> Iterator[int]:
        return iter(self.hashes.tolist())

    def __getitem__(self, hash: int) -> int:
        at = int(np.searchsorted(self.hashes, np.uint64(hash)))
        if at == len(self) or int(self.hashes[at]) != hash:
            raise KeyError(hash)
        return int(self.counts[at])

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Hashes):
            return NotImplemented
        return np.array_equal(self.hashes, other.hashes) and np.array_equal(self.counts, other.counts)


_NONE = Hashes(np.zeros(0, np.uint64))
