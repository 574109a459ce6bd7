"""One request to a server and its answer, within bounds of time and bytes. The only file that holds the key.

Knows HTTP; nothing of what is asked. Follows no redirect, keeps no cookie, and raises nothing that quotes an answer.
"""

from __future__ import annotations

import json
import os
import re
from dataclasses import dataclass
from types import TracebackType

import aiohttp

from relabel.engine.server.verdicts import Broken, Document, retry_after
from relabel.errors import ModelRefused

CONNECT_SECONDS = 30.0
KEEP_SECONDS = 4.0
"""An idle connection is kept: uvicorn, under most servers, closes it after 5, and who writes then loses a request."""
CHUNK = 64 * 2**10


@dataclass(frozen=True, slots=True, kw_only=True)
class Reply:
    """An answer that came whole."""

    status: int
    body: bytes
    retry_after: float | None
    """Seconds."""


class Unreachable(Broken):
    """Nobody listens at the address."""


class Wire:
    """One session for all servers. Made and used in one loop."""

    def __init__(self, key: str | None, timeout: float) -> None:
        headers = {"Accept": "application/json", "Accept-Encoding": "identity", "User-Agent": "relabel"}
        if key is not None:
            headers["Authorization"] = f"Bearer {key}"
        self._session = aiohttp.ClientSession(
            headers=headers,
            connector=aiohttp.TCPConnector(limit=0, keepalive_timeout=KEEP_SECONDS),
            cookie_jar=aiohttp.DummyCookieJar(),
            timeout=aiohttp.ClientTimeout(total=timeout, sock_connect=min(CONNECT_SECONDS, timeout)),
            trust_env=True,  # proxies, as other programs take them
            auto_decompress=False,
        )

    async def __aenter__(self) -> Wire:
        return self

    async def __aexit__(self, *_: type[BaseException] | BaseException | TracebackType | None) -> None:
        await self.close()

    async def close(self) -> None:
        """Give up whatever is under way."""
        await self._session.close()

    async def ask(self, url: str, body: Document | None = None, *, most_bytes: int = 2**20) -> Reply:
        """The answer to a POST of a JSON body, or to a GET. Raises Broken where none came whole, or too large a one."""
        method = "GET" if body is None else "POST"
        data = None if body is None else json.dumps(body, separators=(",", ":")).encode()
        headers = {} if data is None else {"Content-Type": "application/json"}
        try:
            async with self._session.request(
                method, url, data=data, headers=headers, allow_redirects=False
            ) as response:
                found = bytearray()
                async for chunk in response.content.iter_chunked(CHUNK):
                    found += chunk
                    if len(found) > most_bytes:
                        raise Broken("an answer that is too large")
                after = retry_after(response.headers.get("Retry-After"))
                return Reply(status=response.status, body=bytes(found), retry_after=after)
        except TimeoutError:
            raise Broken("no answer in time") from None
        except aiohttp.ClientConnectorError:
            raise Unreachable("no connection") from None
        except (aiohttp.ClientError, OSError, ValueError) as error:  # their texts may quote headers
            raise Broken(f"a broken connection ({type(error).__name__})") from None


def key_of(variable: str | None) -> str | None:
    """The key in an environment variable; None for none. Raises ModelRefused, which never quotes it."""
    if variable is None:
        return None
    key = os.environ.get(variable, "").strip()
    if not key:
        raise ModelRefused(
            f"the environment variable {variable} is not set where the engine runs: set it, or leave out "
            "server.api_key_env"
        )
    if not re.fullmatch(r"[\x21-\x7e]+", key):
        raise ModelRefused(f"the environment variable {variable} holds no key: it has blanks or other letters inside")
    return key
