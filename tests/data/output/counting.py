"""A store that notes which parts' stamps are read, and outputs whose labels are measured."""

from relabel.data.output.audit import audit, conclude
from relabel.data.output.ledger import LEDGER
from relabel.data.quality.measure import measure
from relabel.data.store.store import Store
from tests.data.output.planned import MINE, PLAN, begin_plan
from tests.outputs import publish


class Counting(Store):
    """Notes the name of every part whose stamp is read."""

    def __init__(self, url):
        super().__init__(url)
        self.read_names = []

    def read_stamps(self, parts):
        self.read_names += parts
        yield from super().read_stamps(parts)

    def read_stamp(self, part, size=None):
        self.read_names.append(part)
        return super().read_stamp(part, size)


def labels_of(unit, word="label"):
    """The quality of a label for each row: the first of a unit loops."""
    texts = ["round and " * 20, *(f"{word} {row}" for row in range(1, unit.num_rows))]
    return {"": measure(texts, ["stop"] * unit.num_rows, range(unit.first_row, unit.first_row + unit.num_rows))}


def finish(store, plan=PLAN):
    """Every part of a plan, counted by a run: it has a ledger."""
    for unit in begin_plan(store, plan).units:
        publish(store, unit, MINE, quality=labels_of(unit))
    assert conclude(plan, store, MINE).complete
    return store


def plainly(store, plan=PLAN):
    """What an audit says that has no ledger."""
    store.delete(LEDGER)
    return audit(plan, store, MINE)
