"""Connecting to Ray: a cluster of our own on this machine, or the one that is named. Never a stranger's."""

from __future__ import annotations

import logging
import os
import re
import signal
import socket
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from types import FrameType

import ray
import ray.exceptions

from relabel.errors import Refused, RunFailed
from relabel.spec import Resources

log = logging.getLogger("relabel")

LOCAL = "local"
"""The address of a Ray that is started on this machine, for this run."""
TOKEN = (
    "a cluster with token authentication wants its token: set RAY_AUTH_MODE=token, and RAY_AUTH_TOKEN or put the token "
    "into ~/.ray/auth_token"
)

Handler = Callable[[int, FrameType | None], object] | int | signal.Handlers | None
"""What may stand for a signal in Python."""


@contextmanager
def connected(address: str, resources: Resources) -> Iterator[None]:
    """Hold a connection to Ray: `local` starts a cluster here and ends it after; any other address is joined.

    `ray.init()` without an address would join whatever cluster it finds on the host.
    """
    if ray.is_initialized():
        yield
        return
    if address.startswith("ray://"):
        raise Refused(
            "ray:// (Ray Client) is not supported: use `ray job submit`, or --address auto on a node of the cluster"
        )
    # Ray's C++ core writes to stderr past Python's logging: with this only fatal errors, and one line to say so
    os.environ.setdefault("RAY_BACKEND_LOG_LEVEL", "fatal")
    # a cluster of our own starts its workers at niceness 15 else, behind whatever the machine does besides: the engine
    # then makes 8 % fewer tokens; readers and publishers give way by themselves
    os.environ.setdefault("RAY_worker_niceness", "0")
    log.info("starting Ray" if address == LOCAL else f"connecting to Ray at {address}")
    # what each task went through, for a dashboard that a Ray of our own has none of
    os.environ.setdefault("RAY_task_events_report_interval_ms", "0")
    try:
        with _silent_stderr(), _kept_signals():
            _init(address, resources)
    except (ConnectionError, RuntimeError, ValueError, ray.exceptions.AuthenticationError) as error:
        remedy = TOKEN if _asks_for_a_token(error) else "correct --address or leave it out"
        raise Refused(f"cannot connect to Ray at {address!r}: {_first_line(error)}; {remedy}") from error
    except Exception as error:  # Ray raises a plain one where its own processes are not up in time
        raise RunFailed(f"Ray did not start: {_first_line(error)}; the same command goes on from here") from error
    try:
        _check_gpus(address, resources)
        yield
    finally:
        ray.shutdown()


def _asks_for_a_token(error: Exception) -> bool:
    """Whether it may be for want of a token. Ray tells that on the stderr of its core alone: but somebody answers."""
    if isinstance(error, ray.exceptions.AuthenticationError):
        return True
    found = re.search(r"at (\S+):(\d+)$", _first_line(error))
    if found is None:
        return False
    try:
        socket.create_connection((found[1], int(found[2])), timeout=3).close()
    except OSError:
        return False
    return True


def _first_line(error: Exception) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0]


def _init(address: str, resources: Resources) -> None:
    init = partial(ray.init, logging_level=logging.ERROR, log_to_driver=False)
    if address != LOCAL:
        init(address=address)
        return
    # an actor on CPUs takes one; reading and publishing need another, or nothing would ever move
    needed = resources.fewest_actors + 1 if not resources.gpus_per_actor else 2
    raised = needed if needed > (os.cpu_count() or 1) else None  # None: as many as Ray finds, quotas of containers seen
    init(address=LOCAL, num_cpus=raised, include_dashboard=False)


@contextmanager
def _kept_signals() -> Iterator[None]:
    """Ray takes SIGTERM for itself, several times while it starts; here it ends a run as Ctrl-C does, at any moment."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    ours, install = signal.getsignal(signal.SIGTERM), signal.signal

    def install_others(number: int, handler: Handler) -> Handler:
        return ours if number == signal.SIGTERM else install(number, handler)

    signal.signal = install_others
    try:
        yield
    finally:
        signal.signal = install
        signal.signal(signal.SIGTERM, ours)  # from Ray's C++ core, which would abort with a stack trace


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
