"""A small HTTP server that remembers what it is sent."""

import json
import threading
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


class Listener:
    """What was sent: bodies as JSON and headers; and how it answers."""

    def __init__(self, status=204, location=None):
        self.url, self.bodies, self.headers = "", [], []
        self.status, self.location = status, location
        self.hangs = threading.Event()
        """Unset: it hangs before it answers."""
        self.hangs.set()

    def hear(self, body, headers):
        self.bodies.append(json.loads(body))
        self.headers.append(dict(headers))


@contextmanager
def listening_at(listener):
    class Handler(BaseHTTPRequestHandler):
        def do_POST(self):
            listener.hear(self.rfile.read(int(self.headers["Content-Length"])), self.headers)
            listener.hangs.wait(20)
            self.send_response(listener.status)
            if listener.location:
                self.send_header("Location", listener.location)
            self.end_headers()

        def log_message(self, *_):
            """Nothing on stderr."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    listener.url = f"http://127.0.0.1:{server.server_address[1]}/hook"
    try:
        yield listener
    finally:
        listener.hangs.set()
        server.shutdown()
        server.server_close()
        thread.join()
