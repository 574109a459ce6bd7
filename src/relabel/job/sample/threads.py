"""How many cores an engine in this process computes on: as many as it has in the actor of a run. Knows torch alone."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def threads_of_an_actor(gpus: float) -> Iterator[None]:
    """An actor without a GPU is given one core by Ray, and its engine one thread.

    With torch's own number, one for each core, two rows of a preview took 218 s on a busy machine; with one thread 15.
    """
    if gpus or "OMP_NUM_THREADS" in os.environ:
        yield
        return
    from relabel.engine.continuous.threads import one_thread  # torch: seconds, and only for whoever generates

    with one_thread():
        yield
