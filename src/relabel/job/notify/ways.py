"""One way to tell somebody: a POST of a line of JSON, or a program that reads it. What fails is said in a few words.

Secrets are read here, from the environment of the command, and never stand in what is said of a failure: an address
may be one, and so may whatever a server or a program answers.
"""

from __future__ import annotations

import http.client
import os
import re
import shutil
import signal
import subprocess
import urllib.error
import urllib.request
from collections.abc import Callable, Mapping
from contextlib import suppress
from http.client import HTTPMessage
from typing import IO

from relabel.errors import SpecError
from relabel.spec import Notify
from relabel.spec.running.notify import address_of
from relabel.version import __version__

Tell = Callable[[bytes, float], str | None]
"""Hands on a line within so many seconds: None, or why that failed."""


def settle(way: Notify, place: str) -> Tell:
    """What tells this way. Raises SpecError where a variable is not set, or the program is not there.

    `place` is the way's in the spec, such as `notify[0]`.
    """
    if way.command:
        if shutil.which(way.command[0]) is None:
            raise SpecError(f"{place}.command: there is no such program on this machine, or it may not be run")
        return _program(list(way.command))
    url = way.url
    if way.url_env is not None:
        url = _variable(way.url_env, f"{place}.url_env")
        if address_of(url) is None:
            raise SpecError(f"{place}.url_env: the variable {way.url_env} holds no address that begins with http")
    headers = {"Content-Type": "application/json", "User-Agent": f"relabel/{__version__}"}
    if way.bearer_env is not None:
        headers["Authorization"] = f"Bearer {_variable(way.bearer_env, f'{place}.bearer_env')}"
    return _post(url or "", headers)


def _variable(name: str, place: str) -> str:
    value = os.environ.get(name, "").strip()
    if not value:
        raise SpecError(f"{place}: the environment variable {name} is not set where the command runs")
    if not re.fullmatch(r"[\x21-\x7e]+", value):
        raise SpecError(f"{place}: the environment variable {name} has blanks or other letters inside")
    return value


class _NoWayOn(urllib.request.HTTPRedirectHandler):
    """Another host is not told the key."""

    def redirect_request(
        self, req: urllib.request.Request, fp: IO[bytes], code: int, msg: str, headers: HTTPMessage, newurl: str
    ) -> None:
        return None


def _post(url: str, headers: Mapping[str, str]) -> Tell:
    def tell(line: bytes, seconds: float) -> str | None:
        request = urllib.request.Request(url, data=line, headers=dict(headers), method="POST")
        try:
            with urllib.request.build_opener(_NoWayOn).open(request, timeout=seconds):
                return None
        except urllib.error.HTTPError as error:
            error.close()
            return f"it answered with HTTP {error.code}"
        except TimeoutError:
            return "no answer in time"
        except urllib.error.URLError as error:  # its text may quote the address
            return "no answer in time" if isinstance(error.reason, TimeoutError) else "it cannot be reached"
        except (OSError, ValueError, http.client.HTTPException) as error:
            return f"it cannot be asked ({type(error).__name__})"

    return tell


def _program(command: list[str]) -> Tell:
    def tell(line: bytes, seconds: float) -> str | None:
        nowhere = subprocess.DEVNULL  # stdout is for figures, and what it writes may be a secret
        try:
            process = subprocess.Popen(
                command, stdin=subprocess.PIPE, stdout=nowhere, stderr=nowhere, start_new_session=True
            )
        except OSError as error:
            return f"it cannot be started ({type(error).__name__})"
        try:
            process.communicate(line, timeout=seconds)
        except subprocess.TimeoutExpired:
            with suppress(ProcessLookupError):  # and whatever it has started
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()
            return "it did not end in time"
        return f"it ended with exit code {process.returncode}" if process.returncode else None

    return tell
