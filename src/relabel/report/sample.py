"""Which rows of an output are shown: a bounded number of a bounded number of parts, drawn by a seed, in which rejects
and flaws are there however few there are.

Reads stamps of all parts, and rows of the drawn ones, a part at a time. Knows nothing of sources or pages.
"""

from __future__ import annotations

import hashlib
import heapq
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar, cast

import pyarrow as pa

from relabel.data.output.census import Census
from relabel.data.output.manifest import Run
from relabel.data.quality.figures import Quality
from relabel.data.quality.flaws import refuses, repeats
from relabel.data.sources.plan import by_part
from relabel.data.sources.unit import Unit
from relabel.data.store.store import Store
from relabel.errors import PartDamaged
from relabel.job.stages.measure import Measured, measured_rows
from relabel.spec import Query
from relabel.spec.section import column_of

NUM_PARTS = 32
"""That are drawn of all, whatever is in them: the lengths on the page are of these."""
PARTS_OF_A_REASON = 2
MOST_ROWS = 4_096
"""Rows of one part that are looked at."""
Item = TypeVar("Item")


@dataclass(frozen=True, slots=True, kw_only=True)
class Drawn:
    """One row that was drawn."""

    unit: Unit
    record: Mapping[str, object]
    """Its output row by column."""
    measured: Mapping[str, Measured]
    """By the name of each label."""
    flaws: Mapping[str, tuple[str, ...]]
    """Kinds, by the name of each label."""

    @property
    def number(self) -> int:
        """Its place in the source file."""
        return cast(int, self.record["source_row"])


@dataclass(frozen=True, slots=True, kw_only=True)
class Sample:
    """What was drawn."""

    rows: Sequence[Drawn]
    """In the order of the source."""
    num_parts: int
    """That rows were read of."""
    lengths: Mapping[str, Sequence[int]]
    """Of the rows of parts that were drawn of all: prompt and output tokens and characters of labels."""


class Fewest(Generic[Item]):
    """The items whose ranks are the lowest, at most so many: a random sample where ranks are random."""

    def __init__(self, most: int) -> None:
        self._most, self._heap = most, list[tuple[int, int, Item]]()
        self._count = 0

    def add(self, rank: int, item: Item) -> None:
        self._count += 1
        entry = (-rank, self._count, item)
        if len(self._heap) < self._most:
            heapq.heappush(self._heap, entry)
        elif self._most and entry > self._heap[0]:
            heapq.heapreplace(self._heap, entry)

    def __iter__(self) -> Iterator[Item]:
        return (item for _, _, item in sorted(self._heap, reverse=True))


def draw(
    store: Store, run: Run, queries: Sequence[Query], quality: Mapping[str, Quality], num_rows: int, seed: int
) -> Sample:
    """Draw rows of what is published. The same seed draws the same rows of the same parts."""
    drawn, others = _parts(store, run, quality, seed)
    groups: dict[str, Fewest[Drawn]] = {}
    lengths: dict[str, list[int]] = {}
    num_parts = 0
    for unit in [*drawn, *others]:
        try:
            part = store.read(unit.part)
        except PartDamaged:  # the count of the run says so
            continue
        if not part.stamp.is_of(unit, run.fingerprint):  # it was replaced since it was counted
            continue
        num_parts += 1
        rows, num_random = _looked_at(unit, part.rows, seed)
        measured = {query.name: measured_rows(query, rows) for query in queries}
        if unit in drawn:
            _add_lengths(lengths, rows.slice(0, num_random), measured)
        for one in _rows(unit, rows, measured):
            group = groups.setdefault(_group_of(one), Fewest(num_rows))
            group.add(rank_of(seed, unit.file.path, str(one.number)), one)
    chosen = _chosen({name: list(group) for name, group in groups.items()}, num_rows)
    chosen.sort(key=lambda one: (one.unit.file.path, one.number))
    return Sample(rows=chosen, num_parts=num_parts, lengths=lengths)


def rank_of(seed: int, *names: str) -> int:
    """A number that is random over names, and the same for a seed in every process."""
    text = "\0".join((str(seed), *names)).encode(errors="surrogateescape")
    return int.from_bytes(hashlib.blake2b(text, digest_size=8).digest())


def _parts(store: Store, run: Run, quality: Mapping[str, Quality], seed: int) -> tuple[list[Unit], list[Unit]]:
    """Units whose parts are drawn of all, and of those that hold rejects of each reason or flaws of each kind."""
    units = by_part(run.plan)
    every, by_code = Fewest[str](NUM_PARTS), dict[str, Fewest[str]]()
    for counted in Census(store, units, run.fingerprint).stamps():
        if not counted.is_sound or counted.stamp is None:
            continue
        rank = rank_of(seed, counted.part)
        every.add(rank, counted.part)
        for code in counted.stamp.reasons:
            by_code.setdefault(code, Fewest(PARTS_OF_A_REASON)).add(rank, counted.part)
    drawn = dict.fromkeys(every)
    others = dict.fromkeys(part for code in sorted(by_code) for part in by_code[code])
    flawed = [unit.part for one in quality.values() for unit in _of_flaws(run, one)]
    others |= dict.fromkeys(flawed)
    return [units[part] for part in drawn], [units[part] for part in others if part not in drawn]


def _of_flaws(run: Run, quality: Quality) -> Iterator[Unit]:
    """The unit of the first example of each kind of flaw."""
    files = {planned.file.path: planned.units for planned in run.plan.files}
    for kind, references in quality.examples.items():
        if kind == "changed" or not references or references[0][0] not in files:
            continue
        path, row = references[0]
        yield from (unit for unit in files[path] if unit.first_row <= row < unit.first_row + unit.num_rows)


def _looked_at(unit: Unit, rows: pa.Table, seed: int) -> tuple[pa.Table, int]:
    """The rows of a part that are looked at: of a large one some at random, so many as is said, and then rejects."""
    if rows.num_rows <= MOST_ROWS:
        return rows, rows.num_rows
    ranks = Fewest[int](MOST_ROWS)
    for at in range(rows.num_rows):
        ranks.add(rank_of(seed, unit.part, str(at)), at)
    places = dict.fromkeys(ranks)
    rejects = [at for at, status in enumerate(rows["status"].to_pylist()) if status == "rejected" and at not in places]
    return rows.take([*places, *rejects[:MOST_ROWS]]), len(places)


def _rows(unit: Unit, rows: pa.Table, measured: Mapping[str, Sequence[Measured]]) -> Iterator[Drawn]:
    for at, record in enumerate(row for batch in rows.to_batches(1024) for row in batch.to_pylist()):
        own = {name: each[at] for name, each in measured.items()}
        flaws = {name: tuple(_flaws(one)) for name, one in own.items()}
        yield Drawn(unit=unit, record=record, measured=own, flaws=flaws)


def _flaws(one: Measured) -> Iterator[str]:
    """As `data/quality` counts them."""
    if one.text is not None:
        text = " ".join(one.text.split())
        if one.finish_reason == "length":
            yield "truncated"
        if repeats(text):
            yield "repeated"
        if refuses(text):
            yield "refused"


def _add_lengths(lengths: dict[str, list[int]], rows: pa.Table, measured: Mapping[str, Sequence[Measured]]) -> None:
    for name, each in measured.items():
        behind = f" of {name}" if name else ""
        for key, what in (("prompt_tokens", "prompt tokens"), ("output_tokens", "output tokens")):
            lengths.setdefault(f"{what}{behind}", []).extend(rows[column_of(name, key)].drop_null().to_pylist())
        texts = [one.text for one in each[: rows.num_rows] if one.text is not None]
        lengths.setdefault(f"characters of the label{behind}", []).extend(map(len, texts))


def _group_of(one: Drawn) -> str:
    if one.record["status"] == "rejected":
        return f"rejected {str(one.record['reason']).partition(':')[0]}"
    flaws = sorted({flaw for each in one.flaws.values() for flaw in each})
    return f"flaw {flaws[0]}" if flaws else ""


def _chosen(groups: Mapping[str, list[Drawn]], num_rows: int) -> list[Drawn]:
    """Half of the rows are of those with nothing wrong, as far as there are others; those by turns of each group."""
    plain = groups.get("", [])
    wrong = [groups[name] for name in sorted(groups) if name]
    turns = [group[turn] for turn in range(num_rows) for group in wrong if turn < len(group)]
    num_wrong = min(len(turns), max(num_rows - len(plain), num_rows // 2))
    return [*turns[:num_wrong], *plain[: num_rows - num_wrong]]
