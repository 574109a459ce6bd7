"""A server between an object store and its client, at which one request, or each, meets a fault."""

from __future__ import annotations

import http.client
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import urlsplit

ANSWERS = {
    "busy": (503, b"<Error><Code>SlowDown</Code><Message>Please reduce your request rate.</Message></Error>"),
    "denied": (403, b"<Error><Code>AccessDenied</Code><Message>Access Denied</Message></Error>"),
}
EVERY = -1


class Proxy:
    """Forwards everything to the server behind it, but for what `fail` says."""

    def __init__(self, behind: str) -> None:
        self.behind, self.url = urlsplit(behind).netloc, ""
        self.has_failed = False
        self._fault, self._nth = "", 0
        self._lock = threading.Lock()

    def fail(self, fault: str, nth: int = EVERY) -> None:
        """`busy`, `denied`, `slow`, `lost` (done, but never answered), `dropped` (not done), `cut` (half an answer)."""
        self._fault, self._nth, self.has_failed = fault, nth, False

    def fault(self) -> str:
        """What the request that has just come meets."""
        with self._lock:
            is_hit = self._nth in (1, EVERY)
            self._nth -= self._nth > 0
            self.has_failed |= is_hit
            return self._fault if is_hit else ""


@contextmanager
def proxied(behind: str) -> Iterator[Proxy]:
    """A proxy that listens on a port of its own for as long as the block runs."""
    proxy = Proxy(behind)

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        disable_nagle_algorithm = True  # head and body are two writes: 40 ms each

        def handle_one_request(self) -> None:
            self.raw_requestline = self.rfile.readline()
            if not self.raw_requestline or not self.parse_request():
                self.close_connection = True
                return
            body = self.rfile.read(int(self.headers.get("content-length", 0)))
            fault = proxy.fault()
            if fault in ANSWERS:
                self.answer(*ANSWERS[fault], {})
            elif fault == "dropped":
                self.close_connection = True
            else:
                self.forward(body, fault)

        def forward(self, body: bytes, fault: str) -> None:
            server = http.client.HTTPConnection(proxy.behind)
            server.request(self.command, self.path, body, dict(self.headers))
            answer = server.getresponse()
            content = answer.read()
            server.close()
            if fault == "slow":
                time.sleep(0.1)
            if fault == "lost":
                self.close_connection = True
                return
            self.answer(answer.status, content, dict(answer.getheaders()), is_cut=fault == "cut")

        def answer(self, status: int, content: bytes, headers: dict[str, str], is_cut: bool = False) -> None:
            is_head = self.command == "HEAD"
            self.send_response_only(status)
            for name, value in headers.items():
                if name.lower() not in ("transfer-encoding", "connection") and (is_head or name != "content-length"):
                    self.send_header(name, value)
            if not is_head:
                self.send_header("content-length", str(len(content)))
            self.end_headers()
            if not is_head:
                self.wfile.write(content[: len(content) // 2] if is_cut else content)
            self.close_connection |= is_cut

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    proxy.url = f"http://127.0.0.1:{server.server_port}"
    try:
        yield proxy
    finally:
        server.shutdown()
        server.server_close()
