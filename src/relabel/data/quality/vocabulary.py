"""Which words texts are made of, and how far two sets of texts are from each other by their words.

Knows counts of words in 256 buckets, never the words: such counts are small, they add up, and they give no text away.
"""

from __future__ import annotations

import re
import zlib
from collections import Counter
from collections.abc import Iterable, Sequence

import numpy as np

NUM_BUCKETS = 256
"""Buckets of the hashes of words; each count stands for all words of its bucket."""
# Scripts without spaces (Thai to Khmer, kana, Chinese characters) have no words to find: there each character is one.
_ALONE = "\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff"
_WORD = re.compile(rf"[{_ALONE}]|[^\W{_ALONE}]+")


def count_words(texts: Iterable[str]) -> tuple[int, ...]:
    """The number of words in each bucket, whatever their case: [buckets]."""
    words = Counter(word for text in texts for word in _WORD.findall(text.casefold()))
    counts = [0] * NUM_BUCKETS
    for word, count in words.items():
        counts[zlib.crc32(word.encode("utf-8", "surrogatepass")) % NUM_BUCKETS] += count
    return tuple(counts)


def add_words(counts: Iterable[Sequence[int]]) -> tuple[int, ...]:
    """The sum of counts of words, bucket by bucket: [buckets], or empty where all of them are empty."""
    filled = [one for one in counts if one]
    return tuple(np.sum(np.array(filled, np.int64), axis=0).tolist()) if filled else ()


def divergence(new: Sequence[int], old: Sequence[int]) -> float | None:
    """The Jensen-Shannon divergence of two counts of words to base 2, or None where one of them has no words.

    It is 0 for equal shares of words, and 1 for no word in common.

    Few words look further apart than they are: n and m words drawn from one and the same vocabulary are about
    46 * (1/n + 1/m) apart, that is 0.09 for a thousand words each and 0.001 for a hundred thousand. Words that share a
    bucket make it smaller than it would be word by word, never larger.
    """
    if not sum(new) or not sum(old):
        return None
    p, q = np.array(new) / sum(new), np.array(old) / sum(old)
    mean = (p + q) / 2
    bits = sum(float(np.sum(side[side > 0] * np.log2(side[side > 0] / mean[side > 0]))) for side in (p, q))
    return min(max(bits / 2, 0.0), 1.0)
