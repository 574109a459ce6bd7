"""Seconds and requests to plan, to resume and to count an output whose parts are finished, by this machine's clock.

    python benchmarks/resume.py --parts 100000 [--store s3://BUCKET/FOLDER] [--files 1000] [--keep FOLDER]

Makes a source of small Parquet files on this disk and the parts of its units, once: `--keep` names a folder that holds
both from one time to the next. Each part has eight rows and the stamp of one of 1,024 different labels. `first` is what
a run does that finds no ledger, `next` the run after it. The last line on stdout is one line of JSON.
"""

import argparse
import asyncio
import json
import resource
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

import numpy as np
import obstore
import pyarrow as pa
import pyarrow.parquet as pq

from relabel.data.labels.columns import output_schema
from relabel.data.output.audit import conclude, resume
from relabel.data.output.binding import open_run
from relabel.data.output.ledger import LEDGER
from relabel.data.output.manifest import read_run
from relabel.data.output.recipe import fingerprint
from relabel.data.output.status import status
from relabel.data.quality.distinct import Distinct
from relabel.data.quality.figures import Quality
from relabel.data.quality.hashes import Hashes
from relabel.data.sources.plan import Plan
from relabel.data.sources.planning import make_plan
from relabel.data.sources.unit import Unit
from relabel.data.store.part import encode_part
from relabel.data.store.stamp import make_stamp
from relabel.data.store.store import Store
from relabel.spec import Label, Source
from relabel.storage.clouds import writable

RECIPE = {"sampling": {"seed": 1}, "label": {"parse": "text", "column": "caption"}, "output": {"keep": []}}
MINE = fingerprint(RECIPE)
UNIT_ROWS = 8
T = TypeVar("T")
REQUESTS: Counter[str] = Counter()


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--parts", type=int, default=10_000)
    parser.add_argument("--files", type=int, default=0, help="by default one for 100 parts")
    parser.add_argument("--store", help="the output; by default a folder beside the source")
    parser.add_argument("--keep", type=Path)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        base = options.keep or Path(folder)
        num_files = options.files or max(1, options.parts // 100)
        make_source(base / "source", options.parts, num_files)
        measure(base / "source", options.store or str(base / "out"))


def measure(folder: Path, url: str) -> None:
    source, store = Source(path=str(folder), format="parquet"), Store(url)
    count_requests()
    figures: dict[str, object] = {}
    before = peak_mb()
    plan = timed(figures, "plan", lambda: make_plan(source, UNIT_ROWS))
    run = timed(figures, "open", lambda: open_run(store, RECIPE, unit_rows=8, versions={}, replan=lambda _: plan))
    units = list(run.plan.units)
    if len(store.parts()) < len(units):
        print(f"making {len(units)} parts", flush=True)
        publish(url, units)
    store.delete(LEDGER)
    for name in ("first", "next"):
        store = Store(url)  # another process would know nothing
        plan = timed(figures, f"{name}_plan", lambda: plan_again(source, store))  # noqa: B023
        start = timed(figures, f"{name}_resume", lambda: resume(plan, store, MINE))  # noqa: B023
        report = timed(figures, f"{name}_conclude", lambda: conclude(plan, store, MINE))  # noqa: B023
        assert (len(start.done), report.published, report.complete) == (len(units), len(units), True), report.problems
    found = timed(figures, "status", lambda: status(Store(url, create=False)))
    assert found.report.quality == report.quality
    size = len(bytes(obstore.get(writable(url) if "://" in url else obstore.store.LocalStore(url), LEDGER).bytes()))
    figures |= {"parts": len(units), "growth_mb": peak_mb() - before, "ledger_bytes_per_part": round(size / len(units))}
    print(json.dumps(figures))


def plan_again(source: Source, store: Store) -> Plan:
    known = read_run(store)
    assert known is not None
    return make_plan(source, UNIT_ROWS, known.plan)


def timed(figures: dict[str, object], name: str, work: Callable[[], T]) -> T:
    REQUESTS.clear()
    started, worked = time.perf_counter(), time.process_time()
    result = work()
    seconds, busy = time.perf_counter() - started, time.process_time() - worked
    figures[name] = {"seconds": round(seconds, 2), "processor": round(busy, 2), "requests": dict(REQUESTS)}
    print(name, figures[name], f"{peak_mb()} MB", flush=True)
    return result


def count_requests() -> None:
    """What obstore is asked for, of whatever store: a page of a listing has a thousand names."""
    for name, kind in (
        *(("get", "get"), ("get_async", "get"), ("get_range", "get"), ("head", "head")),
        *(("put", "put"), ("delete", "delete")),
    ):
        setattr(obstore, name, counting(getattr(obstore, name), kind))
    pages = obstore.list

    def counted_pages(*arguments: object, **options: object) -> object:
        for page in pages(*arguments, **options):
            REQUESTS["list"] += 1
            yield page

    obstore.list = counted_pages


def counting(call: Callable[..., object], kind: str) -> Callable[..., object]:
    def counted(*arguments: object, **options: object) -> object:
        REQUESTS[kind] += 1
        return call(*arguments, **options)

    return counted


def make_source(folder: Path, parts: int, files: int) -> None:
    if folder.exists():
        return
    folder.mkdir(parents=True)
    for number in range(files):
        rows = UNIT_ROWS * (parts // files)
        pq.write_table(pa.table({"id": range(rows)}), folder / f"{number:06d}.parquet", row_group_size=UNIT_ROWS * 16)


def publish(url: str, units: list[Unit]) -> None:
    objects = writable(url) if "://" in url else obstore.store.LocalStore(url)

    async def put_all() -> None:
        for first in range(0, len(units), 256):
            some = units[first : first + 256]
            await asyncio.gather(*(obstore.put_async(objects, unit.part, part_of(unit)) for unit in some))

    asyncio.run(put_all())


def part_of(unit: Unit) -> bytes:
    generator = np.random.default_rng([unit.index, int(unit.file.path[:6])])
    hashes = np.sort(generator.integers(0, 2**64, 1024, np.uint64)).tolist()
    distinct = Distinct(total=1024, below=hashes[256], parts=Hashes.of(hashes[:256]))
    quality = Quality(num_rows=1024, num_labels=1024, length=40_000, distinct=distinct)
    return encode_part(ROWS, make_stamp(unit, MINE, ROWS, {"": quality}, digest=generator.bytes(16).hex()).to_json())


def rows() -> pa.Table:
    schema = output_schema(pa.schema([]), {"": Label(column="caption")})
    texts = {"source_file": "a", "caption": "a label", "text": "a label", "status": "ok"}
    columns = {name: [texts.get(name)] * UNIT_ROWS for name in schema.names} | {"source_row": list(range(UNIT_ROWS))}
    return pa.table(columns, schema=schema)


ROWS = rows()


def peak_mb() -> int:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024


if __name__ == "__main__":
    main()
