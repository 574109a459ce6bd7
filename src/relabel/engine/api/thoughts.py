"""What may stand in a text before what a constraint describes, as rules of a grammar of llguidance.

Knows marks and which tokens they have; nothing of families of models.
https://github.com/guidance-ai/llguidance/blob/main/docs/syntax.md
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Thoughts:
    """The marks around free text that comes before an answer."""

    openings: tuple[str, ...] = ()
    """Marks that a thought begins with. Without any, the text itself begins none."""
    closings: tuple[str, ...]
    """Marks behind which the answer begins."""
    between: str = ""
    """What ends each thought, where a closing stands before every answer; empty where a closing ends the only one."""
    answer_opening: str = ""
    """A mark that may stand before the answer itself; empty for none."""
    is_open: bool = False
    """Whether the prompt has begun a thought already."""

    def rules(self, tokens: Mapping[str, int]) -> str:
        """The rule `start`, down to a rule `answer` that is not among them. `tokens`: ids of tokens, by their text."""
        marks = _Marks(tokens)
        opening, closing = marks.one_of("opening", self.openings), marks.one_of("closing", self.closings)
        answer = f"{marks.maybe('framed', self.answer_opening)} answer"
        if self.between:
            goes_on = marks.free_until("rest", (self.between,))
            thought = f"{opening} {goes_on}" if self.openings else ""
            more = f"({thought})*" if thought else ""
            start = f"start: {goes_on if self.is_open else ''} {more} {closing} {answer}"
        elif self.is_open:
            start = f"start: {marks.free_until('rest', self.closings)} GAP {answer}"
        elif self.openings:
            thought = f"GAP {opening} {marks.free_until('rest', self.closings)} GAP {answer}"
            start = f"start: thinks | direct\nthinks: {thought}\ndirect: / ?/ {answer}"
        else:
            start = f"start: / ?/ {answer}"
        return "\n".join([start, "GAP: /\\s{0,2}/", *marks.rules, ""])


class _Marks:
    """Marks as parts of rules: a token where the tokenizer has one for a part of it, else text."""

    def __init__(self, tokens: Mapping[str, int]) -> None:
        self._tokens = tokens
        names = sorted(tokens, key=len, reverse=True)
        self._pattern = re.compile("|".join(map(re.escape, names)) or r"(?!)")
        self.rules: list[str] = []

    def one_of(self, name: str, marks: tuple[str, ...]) -> str:
        """The name of a rule for any of the marks."""
        if marks:
            self.rules.append(f"{name}: {' | '.join(self._spelled(mark) for mark in marks)}")
        return name

    def maybe(self, name: str, mark: str) -> str:
        """The name of a rule for a mark that may be left out, and white space behind it; empty for no mark."""
        if not mark:
            return ""
        self.rules.append(f"{name}: ({self._spelled(mark)} GAP)?")
        return name

    def free_until(self, name: str, marks: tuple[str, ...]) -> str:
        """The name of a rule for free text up to the first of the marks, as a token and as text that spells it."""
        ways = [way for mark in marks for way in self._ways(mark)]
        names = [f"{name}_{index}" for index in range(len(ways))]
        self.rules += [f"{one}{way}" for one, way in zip(names, ways, strict=True)]
        self.rules.append(f"{name}: {' | '.join(names)}")
        return name

    def _ways(self, mark: str) -> Iterator[str]:
        if self._pattern.search(mark):
            yield f": /(?s:.*)/ {self._spelled(mark)}"
        if not self._pattern.match(mark) or self._pattern.fullmatch(mark):
            yield f"[suffix={json.dumps(mark)}]: /(?s:.*)/"

    def _spelled(self, mark: str) -> str:
        parts: list[str] = []
        end = 0
        for found in self._pattern.finditer(mark):
            parts += [json.dumps(mark[end : found.start()])] * (found.start() > end)
            parts.append(f"<[{self._tokens[found.group()]}]>")
            end = found.end()
        parts += [json.dumps(mark[end:])] * (end < len(mark))
        return " ".join(parts)
