"""How large a job can get: units of one row through the shipped driver on Ray, around an engine that costs nothing.

    OMP_NUM_THREADS=1 python benchmarks/scale.py --units 400000 --seconds 60 [--store s3://bucket/prefix]

first_receipt_seconds   from the start of the run, planning and the start of Ray included, until the first unit is done
units_per_second        from then on
driver_growth_mb        the most memory of its own that the driver's process held, less what it held before the run
requests                what the store was asked by all processes, as the server counts them; 0 of a disk, which is not
                        asked over a network. `reads` are GET, HEAD and LIST, `writes` are PUT, POST and DELETE

The server of s3:// is moto, in a process of its own, unless AWS_ENDPOINT_URL names another; what that is asked is not
counted. The last line on stdout is one line of JSON.
"""

import importlib.metadata
import json
import multiprocessing
import os
import platform
import tempfile
import threading
import time
import urllib.request
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Annotated

import typer

from relabel.data.sources.unit import Unit
from relabel.demo import MODEL_PATH
from relabel.engine.scripted import ScriptedEngine
from relabel.job.cluster.execute import OnRay
from relabel.job.course import Course
from relabel.job.job import Job
from relabel.job.receipt import Receipt
from relabel.job.run import run
from relabel.spec import Spec, make_spec

ROWS_PER_FILE = 1000
PACKAGES = ("ray", "pyarrow", "obstore")
READS, COUNTS = {"GET", "HEAD", "LIST"}, "/counts"


def engine(_: Spec) -> ScriptedEngine:
    return ScriptedEngine(lambda _: "a label")


def write_source(folder: Path, num_units: int) -> None:
    folder.mkdir()
    for first in range(0, num_units, ROWS_PER_FILE):
        rows = range(first, min(first + ROWS_PER_FILE, num_units))
        (folder / f"{first:09d}.jsonl").write_text("".join(f'{{"text": "row {row}"}}\n' for row in rows))


def spec_of(source: Path, output: str) -> Spec:
    return make_spec(
        {
            "source": {"path": str(source / "*.jsonl"), "format": "jsonl", "unit_rows": 1},
            "prompt": {"user": "{{ text }}"},
            "model": {"path": str(MODEL_PATH)},
            "output": {"path": output},
            "resources": {"gpus_per_actor": 0},
        }
    )


def held_mb() -> float:
    """Memory of this process that is its own, in MB."""
    status = Path("/proc/self/status").read_text()
    return int(status.partition("RssAnon:")[2].split()[0]) / 1024


class Measured:
    """The executor on Ray, which ends some seconds after the first unit is done, and what it has seen."""

    def __init__(self, seconds: float | None) -> None:
        self.started = time.perf_counter()
        self.before = self.most = held_mb()
        self.first = self.last = 0.0
        self.units = 0
        self._seconds = seconds
        threading.Thread(target=self._watch, daemon=True).start()

    @contextmanager
    def __call__(
        self, units: Sequence[Unit], job: Job, *, num_rows: int, course: Course
    ) -> Iterator[Iterator[Receipt]]:
        with OnRay("local", load=engine)(units, job, num_rows=num_rows, course=course) as receipts:
            yield self._until(receipts)

    def _until(self, receipts: Iterator[Receipt]) -> Iterator[Receipt]:
        for receipt in receipts:
            assert receipt.failure is None, receipt
            self.units += 1
            self.last = time.perf_counter()
            self.first = self.first or self.last
            yield receipt
            if self._seconds is not None and self.last > self.first + self._seconds:
                return

    def _watch(self) -> None:
        while True:
            self.most = max(self.most, held_mb())
            time.sleep(0.2)


def serve(bucket: str, told: Connection) -> None:
    """An S3 server that counts what it is asked."""
    from moto.server import DomainDispatcherApplication, create_backend_app
    from werkzeug.serving import make_server

    moto, counts = DomainDispatcherApplication(create_backend_app), Counter[str]()

    def counted(environ: dict[str, str], start_response: object) -> Iterable[bytes]:
        if environ["PATH_INFO"] == COUNTS:
            start_response("200 OK", [])
            return [json.dumps(counts).encode()]
        counts["LIST" if "list-type" in environ["QUERY_STRING"] else environ["REQUEST_METHOD"]] += 1
        return moto(environ, start_response)

    server = make_server("127.0.0.1", 0, counted, threaded=True)
    told.send(server.server_port)
    server.serve_forever()


@contextmanager
def counting(store: str | None) -> Iterator[str | None]:
    """The address of a server for this store that counts; None where there is none."""
    if store is None or not store.startswith("s3://") or "AWS_ENDPOINT_URL" in os.environ:
        yield None
        return
    ours, theirs = multiprocessing.Pipe()
    bucket = store.removeprefix("s3://").partition("/")[0]
    server = multiprocessing.get_context("spawn").Process(target=serve, args=(bucket, theirs), daemon=True)
    server.start()
    address = f"http://127.0.0.1:{ours.recv()}"
    keys = {"AWS_ACCESS_KEY_ID": "testing", "AWS_SECRET_ACCESS_KEY": "testing", "AWS_DEFAULT_REGION": "us-east-1"}
    os.environ.update({"AWS_ENDPOINT_URL": address, **keys})
    urllib.request.urlopen(urllib.request.Request(f"{address}/{bucket}", method="PUT")).close()
    yield address
    server.kill()


def requests_of(address: str | None, store: str | None) -> dict[str, object]:
    if address is None:
        return {"requests": None if store is not None and "://" in store else 0}
    with urllib.request.urlopen(f"{address}{COUNTS}") as answer:
        kinds = json.load(answer)
    reads = sum(number for kind, number in kinds.items() if kind in READS)
    total = sum(kinds.values()) - 1  # less the bucket
    return {"requests": total, "reads": reads, "writes": total - reads, "requests_by_kind": kinds}


def main(
    units: Annotated[int, typer.Option(help="units, each of one row")] = 2000,
    seconds: Annotated[float | None, typer.Option(help="end so long after the first unit is done")] = None,
    store: Annotated[str | None, typer.Option(help="where the parts go; by default a folder that is deleted")] = None,
    out: Annotated[Path | None, typer.Option(help="a file to which the figures are added, a line")] = None,
) -> None:
    """Label rows that cost nothing, and print one line of JSON."""
    with tempfile.TemporaryDirectory() as folder, counting(store) as address:
        write_source(Path(folder) / "data", units)
        measured = Measured(seconds)
        run(spec_of(Path(folder) / "data", store or f"{folder}/out"), execute=measured)
        requests = requests_of(address, store)
    took = measured.last - measured.first
    figures = {
        "units": units,
        "rows_per_unit": 1,
        "units_done": measured.units,
        "store": store or "local disk",
        "first_receipt_seconds": round(measured.first - measured.started, 1),
        "units_per_second": round((measured.units - 1) / took, 1) if took else None,
        "driver_growth_mb": round(measured.most - measured.before),
        **requests,
        "cores": os.cpu_count(),
        "load": round(os.getloadavg()[0], 1),
        "machine": platform.machine(),
        "versions": {name: importlib.metadata.version(name) for name in PACKAGES},
    }
    if out:
        with out.open("a") as lines:
            lines.write(json.dumps(figures) + "\n")
    print(json.dumps(figures))


if __name__ == "__main__":
    typer.run(main)
