"""A ledger that is damaged, somebody else's or made up: the parts are read, and the next ledger is sound."""

import json

import pyarrow as pa
import pytest

from relabel.data.output.audit import audit, conclude, resume
from relabel.data.output.ledger import LEDGER
from relabel.data.store.failpoints import Failpoint
from relabel.data.store.part import decode_footer, decode_rows, encode_part
from relabel.data.store.store import Store
from relabel.errors import PartDamaged, StoreFailed
from tests.data.output.counting import Counting, finish, plainly
from tests.data.output.planned import MINE, PARTS, PLAN
from tests.outputs import flip_bit


class Forger:
    """Makes other ledgers of a good one."""

    def __init__(self, data):
        self.data = data
        self.note = json.loads(decode_footer(memoryview(data), "it")[1])
        self.rows = decode_rows(pa.py_buffer(data), "it")

    def with_note(self, **changes):
        return encode_part(self.rows, {**self.note, **changes})

    def with_group(self, **changes):
        return self.with_note(groups=[{**self.note["groups"][0], **changes}])

    def with_column(self, name, values):
        field = self.rows.schema.field(name)
        at = self.rows.schema.get_field_index(name)
        return self.with_rows(self.rows.set_column(at, field, pa.array(values, field.type)))

    def with_rows(self, rows):
        return encode_part(rows, self.note)


FORGERIES = {
    "empty": lambda good: b"",
    "cut off": lambda good: good.data[: len(good.data) // 2],
    "without its beginning": lambda good: good.data[len(good.data) // 2 :],
    "JSON": lambda good: b"[1, 2, 3]",
    "a flipped bit of its footer": lambda good: good.data[:-60] + bytes([good.data[-60] ^ 1]) + good.data[-59:],
    "a part": lambda good: encode_part(pa.table({"x": [1]}), {"fingerprint": MINE}),
    "another format": lambda good: good.with_note(format=2),
    "a note without groups": lambda good: encode_part(good.rows, {"format": 1}),
    "groups of more parts": lambda good: good.with_group(num_parts=5),
    "no groups": lambda good: good.with_note(groups=[]),
    "figures of another version": lambda good: good.with_group(figures={"": {"num_rows": "many"}}),
    "parts twice": lambda good: good.with_rows(pa.concat_tables([good.rows, good.rows])),
    "a part without a name": lambda good: good.with_column("part", [None, *PARTS[1:]]),
    "numbers of no group": lambda good: good.with_column("group", [-7] * 4),
    "reasons that are none": lambda good: good.with_column("reasons", ["[]"] * 4),
    "no reasons": lambda good: good.with_column("reasons", [None] * 4),
    "a column less": lambda good: good.with_rows(good.rows.drop_columns(["digest"])),
    "other parts": lambda good: good.with_column("part", [f"x/{part}" for part in PARTS]),
    "other e-tags": lambda good: good.with_column("e_tag", ['"x"'] * 4),
    "no e-tags": lambda good: good.with_column("e_tag", [""] * 4),
    "other sizes": lambda good: good.with_column("size", [1] * 4),
    "other times": lambda good: good.with_column("modified", [1] * 4),
    "parts of another recipe": lambda good: good.with_column("fingerprint", ["another"] * 4),
}


@pytest.mark.parametrize("kind", sorted(FORGERIES.keys() - {"parts of another recipe"}))
def test_it_costs_time_and_nothing_else(tmp_path, kind):
    store = finish(Store(str(tmp_path)))
    good = (tmp_path / LEDGER).read_bytes()
    (tmp_path / LEDGER).write_bytes(FORGERIES[kind](Forger(good)))
    counting = Counting(str(tmp_path))
    assert resume(PLAN, counting, MINE).done == tuple(PLAN.units)
    report = conclude(PLAN, counting, MINE)
    assert counting.read_names == PARTS, "each part is read once, and the ledger that resume wrote is taken"
    assert (report.complete, report) == (True, plainly(store))


def test_a_ledger_that_says_another_recipe_of_parts_makes_them_stale(tmp_path):
    """Whoever can write a sound ledger into an output can write parts, too. It is the safe side to err on."""
    finish(Store(str(tmp_path)))
    forged = FORGERIES["parts of another recipe"](Forger((tmp_path / LEDGER).read_bytes()))
    (tmp_path / LEDGER).write_bytes(forged)
    assert not audit(PLAN, Store(str(tmp_path)), MINE).complete


def test_a_bit_that_flipped_in_it_is_found_or_changes_nothing(tmp_path):
    store = finish(Store(str(tmp_path)))
    good, report = (tmp_path / LEDGER).read_bytes(), plainly(store)
    for byte in range(0, len(good), 211):
        (tmp_path / LEDGER).write_bytes(good)
        flip_bit(tmp_path / LEDGER, byte, byte % 8)
        assert audit(PLAN, store, MINE) == report


def test_a_huge_one_is_not_read(tmp_path):
    store = finish(Store(str(tmp_path)))
    with open(tmp_path / LEDGER, "r+b") as file:
        file.truncate(2**40)
    report = audit(PLAN, store, MINE)
    assert report == plainly(store)


def test_one_that_would_fill_the_memory_is_not_decoded(tmp_path):
    """Four digests of 60 MB, each of one letter, take some kilobytes on the disk."""
    store = finish(Store(str(tmp_path)))
    good = Forger((tmp_path / LEDGER).read_bytes())
    long = pa.array(["x" * 60_000_000] * 4)
    bomb = good.rows.set_column(good.rows.schema.get_field_index("digest"), good.rows.schema.field("digest"), long)
    content = encode_part(bomb, good.note, ("digest",))
    assert len(content) < 2**20
    (tmp_path / LEDGER).write_bytes(content)
    with pytest.raises(PartDamaged, match="another table than is asked for"):
        store.read_table(LEDGER, good.rows.schema, 2**26)
    assert audit(PLAN, store, MINE) == plainly(store)


def test_that_of_another_output_of_the_same_recipe_says_nothing_of_this_one(tmp_path):
    theirs, mine = finish(Store(str(tmp_path / "theirs"))), finish(Store(str(tmp_path / "mine")))
    (tmp_path / "mine" / PARTS[0]).write_bytes(b"torn")
    (tmp_path / "mine" / LEDGER).write_bytes((tmp_path / "theirs" / LEDGER).read_bytes())
    assert audit(PLAN, theirs, MINE).complete
    assert audit(PLAN, mine, MINE).damaged == (PARTS[0],)


@pytest.mark.parametrize("failpoint", list(Failpoint)[:5])
def test_a_run_that_dies_while_it_writes_one_leaves_the_old_one_or_the_new_one(tmp_path, failpoint):
    finish(Store(str(tmp_path)))
    (tmp_path / PARTS[3]).unlink()
    before = (tmp_path / LEDGER).read_bytes()

    class Died(BaseException):
        pass

    def die(at, name):
        if (at, name) == (failpoint, LEDGER):
            raise Died

    with pytest.raises(Died):
        conclude(PLAN, Store(str(tmp_path), on_failpoint=die), MINE)
    is_new = failpoint in (Failpoint.NAMED, Failpoint.DONE)
    assert ((tmp_path / LEDGER).read_bytes() != before) == is_new
    store = Store(str(tmp_path))
    report = audit(PLAN, store, MINE)
    assert (report.missing, report) == ((PARTS[3],), plainly(store))


def test_where_it_cannot_be_written_the_run_says_so_and_is_no_success(tmp_path):
    """A store that takes no ledger would take no `_SUCCESS` either."""
    finish(Store(str(tmp_path))).delete(LEDGER)

    def full(at, name):
        if (at, name) == (Failpoint.STAGED, LEDGER):
            raise OSError("no space left on device")

    with pytest.raises(StoreFailed, match=r"cannot write .*/_ledger/parts: no space left"):
        conclude(PLAN, Store(str(tmp_path), on_failpoint=full), MINE)
    assert not (tmp_path / LEDGER).exists()
    assert conclude(PLAN, Store(str(tmp_path)), MINE).passed


def test_one_that_cannot_be_read_costs_time(tmp_path):
    store = finish(Store(str(tmp_path)))
    store.delete(LEDGER)
    (tmp_path / LEDGER).mkdir()
    assert audit(PLAN, store, MINE).complete


def test_an_output_of_which_nothing_is_known_has_none(tmp_path):
    store = Store(str(tmp_path))
    resume(PLAN, store, MINE)
    conclude(PLAN, store, MINE)
    assert not (tmp_path / LEDGER).exists()


def test_whoever_only_looks_writes_none(whole, out):
    audit(PLAN, whole, MINE)
    assert not (out / LEDGER).exists()
