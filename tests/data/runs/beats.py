"""Words of runs."""

from relabel.data.runs.beat import Beat, Engines


def beat(run="20261128T220000Z-aaaaaaaa", **fields):
    own = {
        "command": "run",
        "version": "1",
        "host": "gpu-1",
        "pid": 7,
        "started": 1000.0,
        "said": 1100.0,
        "state": "running",
        "num_units": 12,
        "num_rows": 120,
        "engines": Engines(name="relabel", up=2, planned=2, gpus=4.0),
        "gpu_hours": 3.0,
    }
    return Beat(run=run, **{**own, **fields})
