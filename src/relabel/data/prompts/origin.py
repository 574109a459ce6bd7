"""Texts that know which of their characters a template wrote itself; every other character is data.

A template sees the same text as ever: a `Traced` compares, measures and cuts like any other. What an operation of text
does not carry over is data, so that nothing which came from a row is ever taken for the template's. Knows nothing of
rows, of Jinja or of tokens.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable, Iterator
from typing import Any, SupportsIndex, cast

Spans = tuple[tuple[int, int], ...]
"""First character and the one after the last: in order, not empty, none touching another."""

MAX_REPEATS = 1000
"""Of a text that is the template's in part: how often it may be repeated and still be known for it."""


class Traced(str):
    """A text, and which of its characters a template wrote itself."""

    __slots__ = ("_own",)
    _own: Spans

    def __new__(cls, text: str = "", own: Spans = ()) -> Traced:
        self = str.__new__(cls, text)
        self._own = own
        return self

    # what a sandbox lets a template see begins without an underscore: these are for our own code
    def _is_own(self, start: int, stop: int) -> bool:
        at = bisect_right(self._own, (start, len(self))) - 1
        return at >= 0 and self._own[at][0] <= start and stop <= self._own[at][1]

    def _cut(self, start: int, stop: int) -> Traced:
        stop = max(start, stop)
        if not self._own:
            return Traced(str.__getitem__(self, slice(start, stop)))
        own = [(max(first, start) - start, min(last, stop) - start) for first, last in self._own]
        return Traced(str.__getitem__(self, slice(start, stop)), tuple(span for span in own if span[0] < span[1]))

    def _found(self, pieces: Iterable[str], gap: int = 0) -> list[Traced]:
        """Pieces of this text in their order, at least `gap` characters apart."""
        found: list[Traced] = []
        at = 0
        for piece in pieces:
            start = str.find(self, piece, at)
            found.append(self._cut(start, start + len(piece)))
            at = start + len(piece) + gap
        return found

    def __str__(self) -> str:
        return self

    def __getitem__(self, key: SupportsIndex | slice[Any, Any, Any]) -> Traced:
        text = str.__getitem__(self, key)
        if not self._own:
            return Traced(text)
        if isinstance(key, slice):
            start, stop, step = key.indices(len(self))
            return self._cut(start, stop) if step == 1 else join(self[at] for at in range(start, stop, step))
        at = range(len(self))[key]
        return self._cut(at, at + 1)

    def __iter__(self) -> Iterator[Traced]:
        return (self._cut(at, at + 1) for at in range(len(self))) if self._own else map(Traced, str.__iter__(self))

    def __add__(self, other: str) -> Traced:
        # text that is escaped for HTML escapes what it is added to; what only stands for a text knows how it is added
        is_text = type(other) in _TEXTS or (issubclass(type(other), str) and not hasattr(other, "__html__"))
        return join((self, other)) if is_text else NotImplemented

    def __radd__(self, other: str) -> Traced:
        return join((other, self)) if isinstance(cast(object, other), str) else NotImplemented

    def __mul__(self, times: SupportsIndex) -> Traced:
        text = str.__mul__(self, times)
        if self._own and not _is_whole(self) and 0 < int(times) <= MAX_REPEATS:
            return join([self] * int(times))
        return Traced(text, ((0, len(text)),) if text and _is_whole(self) else ())

    def __rmul__(self, times: SupportsIndex) -> Traced:
        return self * times

    def __mod__(self, values: object) -> Traced:
        text = str.__mod__(self, values)
        literals = str.count(self, "%")
        if not self._own or not isinstance(values, tuple) or str.count(self, "%s") != literals or "%%" in self:
            return Traced(text)
        spelled = [str(value) for value in cast(tuple[object, ...], values)]
        return join(_between(self.split("%s"), spelled))

    def join(self, texts: Iterable[str], /) -> Traced:
        texts = list(texts)
        str.join(self, texts)  # raises what it raises
        return join(_between(texts, [self] * (len(texts) - 1)))

    def split(self, sep: str | None = None, maxsplit: SupportsIndex = -1) -> list[Traced]:  # pyright: ignore[reportIncompatibleMethodOverride]
        pieces = str.split(self, sep, maxsplit)
        return self._found(pieces, len(sep or "")) if self._own else list(map(Traced, pieces))

    def rsplit(self, sep: str | None = None, maxsplit: SupportsIndex = -1) -> list[Traced]:  # pyright: ignore[reportIncompatibleMethodOverride]
        pieces = str.rsplit(self, sep, maxsplit)
        return self._found(pieces, len(sep or "")) if self._own else list(map(Traced, pieces))

    def splitlines(self, keepends: bool = False) -> list[Traced]:  # pyright: ignore[reportIncompatibleMethodOverride]
        pieces = str.splitlines(self, keepends)
        return self._found(pieces) if self._own else list(map(Traced, pieces))

    def partition(self, sep: str, /) -> tuple[Traced, Traced, Traced]:
        before, found, after = self._found(str.partition(self, sep))
        return before, found, after

    def rpartition(self, sep: str, /) -> tuple[Traced, Traced, Traced]:
        before, found = (len(piece) for piece in str.rpartition(self, sep)[:2])
        return self._cut(0, before), self._cut(before, before + found), self._cut(before + found, len(self))

    def replace(self, old: str, new: str, count: SupportsIndex = -1) -> Traced:  # pyright: ignore[reportIncompatibleMethodOverride]
        text = str.replace(self, old, new, count)
        if not old or not (self._own or own_of(new)):
            return Traced(text)
        pieces = self.split(old, count)
        return join(_between(pieces, [new] * (len(pieces) - 1)))

    def strip(self, chars: str | None = None, /) -> Traced:
        if not self._own:
            return Traced(str.strip(self, chars))
        return self.lstrip(chars).rstrip(chars)

    def lstrip(self, chars: str | None = None, /) -> Traced:
        return self._cut(len(self) - len(str.lstrip(self, chars)), len(self))

    def rstrip(self, chars: str | None = None, /) -> Traced:
        return self._cut(0, len(str.rstrip(self, chars)))

    def removeprefix(self, prefix: str, /) -> Traced:
        return self._cut(len(self) - len(str.removeprefix(self, prefix)), len(self))

    def removesuffix(self, suffix: str, /) -> Traced:
        return self._cut(0, len(str.removesuffix(self, suffix)))

    def lower(self) -> Traced:
        return self._letters(str.lower(self))

    def upper(self) -> Traced:
        return self._letters(str.upper(self))

    def title(self) -> Traced:
        return self._letters(str.title(self))

    def capitalize(self) -> Traced:
        return self._letters(str.capitalize(self))

    def swapcase(self) -> Traced:
        return self._letters(str.swapcase(self))

    def casefold(self) -> Traced:
        return self._letters(str.casefold(self))

    def _letters(self, text: str) -> Traced:
        """The text in other letters. No letter becomes none: of equal lengths, each became one."""
        if _is_whole(self):
            return own(text)
        return Traced(text, self._own if len(text) == len(self) else ())


_TEXTS = (Traced, str)


def own(text: str) -> Traced:
    """A text that the template wrote."""
    return Traced(text, ((0, len(text)),) if text else ())


def own_of(text: str) -> Spans:
    """The spans of a text that the template wrote; none of any text that is not traced."""
    return text._own if isinstance(text, Traced) else ()  # pyright: ignore[reportPrivateUsage]


def is_own(text: str, start: int, stop: int) -> bool:
    """Whether the template wrote these characters, every one of them."""
    return isinstance(text, Traced) and text._is_own(start, stop)  # pyright: ignore[reportPrivateUsage]


def are_own(text: str, places: Iterable[tuple[int, int]]) -> bool:
    """The same of several places, each behind the one before."""
    spans, at = own_of(text), 0
    for start, stop in places:
        while at < len(spans) and spans[at][1] < stop:
            at += 1
        if at == len(spans) or start < spans[at][0]:
            return False
    return True


def join(texts: Iterable[str]) -> Traced:
    """The texts as one. Raises TypeError where one is none."""
    texts = list(texts)
    if len(texts) == 1 and type(texts[0]) is Traced:
        return texts[0]
    whole = "".join(texts)
    spans: list[tuple[int, int]] = []
    at, end = 0, -1
    for text in texts:
        if type(text) is Traced and (own := text._own):  # pyright: ignore[reportPrivateUsage]
            for first, last in own:
                if end == at + first:
                    spans[-1] = (spans[-1][0], at + last)
                else:
                    spans.append((at + first, at + last))
                end = at + last
        at += len(text)
    return Traced(whole, tuple(spans))


def plain(text: str) -> str:
    """The text without what is known of it."""
    return str.__str__(text)


def _is_whole(text: Traced) -> bool:
    return own_of(text) == ((0, len(text)),)


def _between(pieces: Iterable[str], gaps: Iterable[str]) -> Iterator[str]:
    """Pieces with a gap behind each but the last."""
    gaps = iter(gaps)
    for at, piece in enumerate(pieces):
        if at:
            yield next(gaps)
        yield piece
