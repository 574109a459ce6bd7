"""Connecting to Ray: a cluster of our own on this machine, or the one that is named. Never a stranger's."""

from __future__ import annotations

import logging
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import ray

from relabel.errors import Refused
from relabel.spec import Resources

LOCAL = "local"


@contextmanager
def connected(address: str, resources: Resources) -> Iterator[None]:
    """Hold a connection to Ray: `local` starts a cluster here and ends it after; any other address is joined.

    `ray.init()` without an address would join whatever cluster it finds on the host.
    """
    if ray.is_initialized():
        yield
        return
    # Ray's C++ core writes to stderr past Python's logging: with this only fatal errors, and one line to say so
    os.environ.setdefault("RAY_BACKEND_LOG_LEVEL", "fatal")
    try:
        with _silent_stderr():
            _init(address, resources)
    except (ConnectionError, RuntimeError, ValueError) as error:
        raise Refused(f"cannot connect to Ray at {address!r}: {str(error).splitlines()[0]}") from error
    try:
        _check_gpus(address, resources)
        yield
    finally:
        ray.shutdown()


def _init(address: str, resources: Resources) -> None:
    quiet: dict[str, Any] = {"logging_level": logging.ERROR, "log_to_driver": False}
    if address != LOCAL:
        ray.init(address=address, **quiet)
        return
    # an actor on CPUs takes one; reading and publishing need another, or nothing would ever move
    num_cpus = max(os.cpu_count() or 1, resources.actors + 1 if not resources.gpus_per_actor else 2)
    ray.init(address=LOCAL, num_cpus=num_cpus, include_dashboard=False, **quiet)


@contextmanager
def _silent_stderr() -> Iterator[None]:
    sys.stderr.flush()
    kept, nowhere = os.dup(2), os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, 2)
    try:
        yield
    finally:
        os.dup2(kept, 2)
        os.close(kept)
        os.close(nowhere)


def _check_gpus(address: str, resources: Resources) -> None:
    """Refuse what this machine can never hold. Another cluster may still grow, so it is not asked."""
    has = ray.cluster_resources().get("GPU", 0)
    if address == LOCAL and resources.gpus_per_actor > has:
        raise Refused(
            f"resources.gpus_per_actor is {resources.gpus_per_actor:g}, but this machine has {has:g} GPUs: "
            "set it to 0 to run on CPUs, or connect to a cluster by --address"
        )
