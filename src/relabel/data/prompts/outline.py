"""What a template writes around texts that it does not look into: made once, and filled for every row.

The template is rendered with a `Blank` in the place of each text. A blank can be written, joined to others and
stripped. Where the template asks whether it is empty, begins, ends with or holds something, the text that it stands for
answers, and the outline is of those rows alone whose texts answer the same. Whatever else is done with a blank ends it:
there is no outline, and each row is rendered by itself. Knows nothing of Jinja, of rows or of tokens.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Hashable, Iterable, Sequence
from itertools import groupby
from operator import itemgetter
from typing import NoReturn, cast

from relabel.data.prompts.origin import Traced, join

Fill = Callable[[Sequence[str]], str]
"""Of texts what a template makes of them."""
Write = Callable[[Sequence[Traced]], Iterable[str]]
"""Of texts what a template writes, in pieces. Must read nothing else that differs between two calls."""

MAX_OUTLINES = 8
"""Of texts that answer differently. Rows beyond them are rendered by themselves."""
MAX_FAILED = 8
"""Rows for which a template fails before no further outline is tried. One row may fail where the next does not; a
template that cannot take a blank fails for all of them, and each would be rendered twice."""
MAX_KEYS = 256
"""Shapes of rows, such as the numbers of messages in their chats."""


class LookedAt(Exception):
    """A template wants to know more of a text than its outline may depend on."""


class _Trace:
    """One rendering with blanks."""

    __slots__ = ("answers", "is_looked_at", "texts")

    def __init__(self, texts: Sequence[str]) -> None:
        self.texts = texts
        self.answers: list[tuple[Callable[[Sequence[str]], bool], bool]] = []
        self.is_looked_at = False

    def ask(self, question: Callable[[Sequence[str]], bool]) -> bool:
        answer = question(self.texts)
        self.answers.append((question, answer))
        return answer


def _looked_at(self: Blank, *_: object, **__: object) -> NoReturn:
    self._trace.is_looked_at = True  # pyright: ignore[reportPrivateUsage]  who catches the error hides it from nobody
    raise LookedAt


class Blank:
    """Stands for a text, and is none: nothing written in C can read what it does not hold."""

    __slots__ = ("_fill", "_trace")

    def __init__(self, fill: Fill, trace: _Trace) -> None:
        self._fill, self._trace = fill, trace

    __class__ = property(lambda self: Traced)  # pyright: ignore[reportIncompatibleMethodOverride]  `is string` is true of any text

    def strip(self, chars: str | None = None) -> Blank:
        return self._stripped("strip", chars)

    def lstrip(self, chars: str | None = None) -> Blank:
        return self._stripped("lstrip", chars)

    def rstrip(self, chars: str | None = None) -> Blank:
        return self._stripped("rstrip", chars)

    def startswith(self, begin: str) -> bool:
        fill, begin = self._fill, self._known(begin)
        return self._trace.ask(lambda texts: fill(texts).startswith(begin))

    def endswith(self, end: str) -> bool:
        fill, end = self._fill, self._known(end)
        return self._trace.ask(lambda texts: fill(texts).endswith(end))

    def __contains__(self, part: str) -> bool:
        fill, part = self._fill, self._known(part)
        return self._trace.ask(lambda texts: part in fill(texts))

    def __bool__(self) -> bool:
        fill = self._fill
        return self._trace.ask(lambda texts: bool(fill(texts)))

    def __eq__(self, other: object) -> bool:
        if type(other) not in _TEXTS:
            return _looked_at(self) if isinstance(other, str) else NotImplemented
        fill = self._fill
        return self._trace.ask(lambda texts: fill(texts) == other)

    def __add__(self, other: str) -> Blank:
        return self._joined((self, self._part(other)))

    def __radd__(self, other: str) -> Blank:
        return self._joined((self._part(other), self))

    def __getattr__(self, name: str) -> NoReturn:
        if hasattr(Traced, name):
            _looked_at(self)
        raise AttributeError(name)

    # fmt: off
    __str__ = __repr__ = __format__ = __hash__ = __bytes__ = __int__ = __float__ = __complex__ = _looked_at
    __index__ = __len__ = __iter__ = __reversed__ = __getitem__ = __lt__ = __le__ = __gt__ = __ge__ = _looked_at
    __mul__ = __rmul__ = __mod__ = __rmod__ = _looked_at
    # fmt: on

    def _stripped(self, name: str, chars: str | None) -> Blank:
        fill, chars = self._fill, None if chars is None else self._known(chars)
        method = _STRIPS[name]
        return Blank(lambda texts: method(fill(texts), chars), self._trace)

    def _joined(self, parts: Sequence[object]) -> Blank:
        return Blank(_filling(parts), self._trace)

    def _known(self, text: object) -> str:
        """A text that stands in the template, or in its variables."""
        return cast(str, text) if type(text) in _TEXTS else _looked_at(self)

    def _part(self, text: object) -> object:
        return text if type(text) is Blank else self._known(text)


_TEXTS = (Traced, str)
_STRIPS: dict[str, Callable[[str, str | None], str]] = {
    "strip": lambda text, chars: text.strip(chars),
    "lstrip": lambda text, chars: text.lstrip(chars),
    "rstrip": lambda text, chars: text.rstrip(chars),
}


def written(value: object) -> str:
    """The text of a value, as a template writes it; of a blank the blank."""
    return cast(str, value) if type(value) is Blank else str(value)


def joined(texts: Iterable[str]) -> Traced:
    """The texts as one, some of which may be blanks: see `origin.join`."""
    texts = list(texts)
    blank = next((cast(object, text) for text in texts if type(text) is Blank), None)
    if blank is None:
        return join(texts)
    return cast(Traced, cast(Blank, blank)._joined(texts))  # pyright: ignore[reportPrivateUsage]


def _filling(parts: Sequence[object]) -> Fill:
    if len(parts) == 1 and type(parts[0]) is Blank:
        return parts[0]._fill  # pyright: ignore[reportPrivateUsage]
    known: list[Traced | Fill] = []
    for is_blank, some in groupby(parts, lambda part: type(part) is Blank):
        if is_blank:
            known += [blank._fill for blank in cast("Iterable[Blank]", some)]  # pyright: ignore[reportPrivateUsage]
        else:
            known.append(join(cast("Iterable[str]", some)))
    return lambda texts: join([part if isinstance(part, Traced) else part(texts) for part in known])


class Outline:
    """What a template writes around texts that answer its questions in one way."""

    def __init__(self, fill: Fill, answers: Sequence[tuple[Callable[[Sequence[str]], bool], bool]]) -> None:
        self._fill, self._answers = fill, tuple(answers)

    def filled(self, texts: Sequence[str]) -> Traced | None:
        """What the template writes of these texts; None where they answer otherwise."""
        for question, answer in self._answers:
            if question(texts) is not answer:
                return None
        text = self._fill(texts)
        return text if type(text) is Traced else join((text,))


class Outlines:
    """The outlines of one template."""

    def __init__(self) -> None:
        self._known: dict[Hashable, list[Outline] | None] = {}
        self._num_failed = Counter[Hashable]()

    def text(self, key: Hashable, texts: Sequence[str], write: Write) -> Traced | None:
        """What the template writes of these texts, or None where it is to be rendered.

        `key`: whatever else its text depends on.
        """
        outlines = self._known.get(key, [])
        if outlines is None:
            return None
        for outline in outlines:
            if (text := outline.filled(texts)) is not None:
                return text
        if len(outlines) == MAX_OUTLINES or (not outlines and len(self._known) == MAX_KEYS):
            return None
        if self._num_failed[key] == MAX_FAILED:
            return None
        try:
            outline = outline_of(texts, write)
        except TimeoutError:  # the limit of whoever renders
            raise
        except Exception:  # noqa: BLE001  whatever it raises, it raises again where the row is rendered
            self._known[key] = outlines
            self._num_failed[key] += 1
            return None
        self._known[key] = None if outline is None else [*outlines, outline]
        return outline and outline.filled(texts)


def outline_of(texts: Sequence[str], write: Write) -> Outline | None:
    """That of these texts and of all that answer like them; None where the template looks into them.

    Raises what the template raises, of texts that it does not look into.
    """
    trace = _Trace(tuple(texts))
    blanks = [Blank(itemgetter(at), trace) for at in range(len(texts))]
    try:
        whole = joined(write(cast("Sequence[Traced]", blanks)))
    except TimeoutError:  # the limit of whoever renders, which is told once
        raise
    except Exception:
        if trace.is_looked_at:
            return None
        raise
    return None if trace.is_looked_at else Outline(_filling((whole,)), trace.answers)
