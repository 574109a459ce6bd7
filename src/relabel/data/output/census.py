"""What every part that is there says of itself, each read once: from the ledger, where the store lists the version that
the ledger knows, else from the part.

Knows which parts are sound, and the quality of all these together; not what is to be done about others.
"""

# pyarrow has no types, so that nothing that comes from it has one.
# pyright: reportMissingTypeStubs=false, reportUnknownMemberType=false, reportUnknownVariableType=false
# pyright: reportUnknownArgumentType=false, reportUnknownParameterType=false, reportUnknownLambdaType=false
from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace

import numpy as np
import pyarrow as pa

from relabel.data.output.ledger import ALONE, Ledger, parts_in, read_ledger, rows_of, write_ledger
from relabel.data.quality.figures import Quality
from relabel.data.quality.groups import Figures, Groups
from relabel.data.sources.unit import Unit
from relabel.data.store.objects import Listed
from relabel.data.store.stamp import Stamp
from relabel.data.store.store import Store

_BATCH_ROWS = 4096


@dataclass(frozen=True, slots=True, kw_only=True)
class Counted:
    """A part that is there."""

    part: str
    stamp: Stamp | None
    """Without its quality; None where it cannot be read back."""
    is_sound: bool
    """Whether it is the part of its unit by this recipe."""
    is_as_listed: bool
    """Whether the stamp is that of the version that was listed."""


class Census:
    """The parts of an output as they were listed when it was made."""

    def __init__(self, store: Store, units: Mapping[str, Unit], fingerprint: str) -> None:
        """`units`: those of a plan by the names of their parts."""
        self.parts = store.parts()
        self._store, self._units, self._fingerprint = store, units, fingerprint
        self._old = read_ledger(store, len(self.parts)) if self.parts else None
        self._groups = Groups(self._old.groups, self._old.below) if self._old else Groups()
        self._rows = rows_of([])
        self._is_sound = np.zeros(0, bool)
        self._numbers = np.zeros(0, np.int64)
        self._is_changed = False

    def stamps(self) -> Iterator[Counted]:
        """Every part once, in no order. To be taken to its end, and once."""
        tables, sound, numbers = list[pa.Table](), list[bool](), list[int]()
        known = set[str]()
        if self._old is not None:
            yield from self._known(self._old, known, tables, sound, numbers)
        new: list[tuple[str, Listed, Stamp, int]] = []
        unknown = {part: listed for part, listed in self.parts.items() if part not in known}
        for part, stamp, is_as_listed in self._store.read_stamps(unknown):
            counted = self._counted(part, stamp and replace(stamp, quality={}), is_as_listed)
            number = self._take_in(stamp, is_as_listed) if stamp and counted.is_sound else ALONE
            if counted.stamp is not None and is_as_listed:
                new.append((part, unknown[part], counted.stamp, number))
                sound.append(counted.is_sound)
                numbers.append(number)
            if len(new) == _BATCH_ROWS:
                tables.append(rows_of(new))
                new.clear()
            yield counted
        self._is_changed |= bool(unknown)
        self._rows = pa.concat_tables([*tables, rows_of(new)])
        self._is_sound, self._numbers = np.array(sound, bool), np.array(numbers, np.int64)

    def quality(self) -> dict[str, Quality]:
        """That of each label by name, over all sound parts. After `stamps`."""
        self._read_qualities()
        total = self._groups.total()
        if total is None:
            # Hashes that are needed now were left out when there were more parts: all of them are read once more.
            self._groups.clear()
            self._numbers[:] = ALONE
            self._read_qualities()
            total = self._groups.total()
        return total or {}

    def save(self) -> None:
        """Write down what is known now, if it is another than was written down."""
        if not self._is_changed:
            return
        new, groups, below = self._groups.kept()
        numbers = pa.array([new.get(number, ALONE) for number in self._numbers.tolist()], pa.int64())
        rows = self._rows.set_column(self._rows.schema.get_field_index("group"), self._rows.field("group"), numbers)
        write_ledger(self._store, Ledger(rows=rows, groups=tuple(groups), below=below))

    def _known(
        self, ledger: Ledger, known: set[str], tables: list[pa.Table], sound: list[bool], numbers: list[int]
    ) -> Iterator[Counted]:
        """The parts that are as the ledger knows them. A group that has lost one of its parts is none any more."""
        is_there = np.zeros(len(ledger.rows), bool)
        alive = [0] * len(ledger.groups)
        for row, (part, listed, stamp, number) in enumerate(parts_in(ledger.rows)):
            if not listed.e_tag or self.parts.get(part) != listed:
                continue
            is_there[row] = True
            known.add(part)
            counted = self._counted(part, stamp, True)
            sound.append(counted.is_sound)
            numbers.append(number if counted.is_sound else ALONE)
            if number != ALONE and counted.is_sound:
                alive[number] += 1
            yield counted
        broken = {number for number, group in enumerate(ledger.groups) if alive[number] != group.num_parts}
        self._groups.drop(broken)
        numbers[:] = [ALONE if number in broken else number for number in numbers]
        is_whole = bool(is_there.all())
        self._is_changed |= bool(broken) or not is_whole
        tables.append(ledger.rows if is_whole else ledger.rows.filter(pa.array(is_there)))  # the array imports pandas

    def _counted(self, part: str, stamp: Stamp | None, is_as_listed: bool) -> Counted:
        unit = self._units.get(part)
        is_sound = unit is not None and stamp is not None and stamp.is_of(unit, self._fingerprint)
        return Counted(part=part, stamp=stamp, is_sound=is_sound, is_as_listed=is_as_listed)

    def _read_qualities(self) -> None:
        """Those of the sound parts that are in no group."""
        rows = np.flatnonzero(self._is_sound & (self._numbers == ALONE)).tolist()
        if not rows:
            return
        names = self._rows["part"].take(pa.array(rows, pa.int64())).to_pylist()
        read = self._store.read_stamps({part: self.parts[part] for part in names})
        for row, (part, stamp, is_as_listed) in zip(rows, read, strict=True):
            if self._counted(part, stamp, is_as_listed).is_sound and stamp:
                self._numbers[row] = self._take_in(stamp, is_as_listed)
                self._is_changed = True

    def _take_in(self, stamp: Stamp, is_as_listed: bool) -> int:
        """Take in the quality of one part; the number of its group, ALONE where the part is another than was listed."""
        figures: Figures = {name: one.in_file(stamp.source_file) for name, one in stamp.quality.items()}
        if is_as_listed:
            return self._groups.add(figures)
        self._groups.add_alone(figures)
        return ALONE
