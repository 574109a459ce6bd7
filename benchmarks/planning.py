"""Seconds to plan 200 Parquet files of 100 row groups: 20,000 units.

    python benchmarks/planning.py

The last line on stdout is one line of JSON.
"""

import json
import tempfile
import time
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from relabel.data.sources.planning import make_plan
from relabel.spec import Source


def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        for k in range(200):
            pq.write_table(pa.table({"id": range(102_400)}), Path(folder) / f"{k:03d}.parquet", row_group_size=1024)
        started = time.perf_counter()
        plan = make_plan(Source(path=folder, format="parquet"), 1024)
        seconds = time.perf_counter() - started
    print(json.dumps({"units": plan.num_units, "rows": plan.num_rows, "seconds": round(seconds, 2)}))


if __name__ == "__main__":
    main()
