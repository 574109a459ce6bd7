"""A small server that answers for object stores and web servers, as each key or each listing is scripted."""

import http.server
import threading
from contextlib import contextmanager
from urllib.parse import unquote, urlsplit

HANG_UP = "hang up"


def fault(status, code=""):
    """An answer as S3, Google and Azure spell it."""
    return status, f"<?xml version='1.0'?><Error><Code>{code}</Code><Message>of {code}</Message></Error>".encode()


@contextmanager
def server(answers, listing=(200, b"<ListBucketResult></ListBucketResult>")):
    """The URL of a server that gives `answers[name]` for the last name of a path.

    An answer is HANG_UP or `(status, body, headers)`. Headers may be left out; one that is empty is not sent.
    """

    class Handler(http.server.BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self):
            url = urlsplit(self.path)
            answer = (
                listing
                if "list-type" in url.query or "comp=list" in url.query
                else answers[unquote(url.path).rpartition("/")[2]]
            )
            if answer == HANG_UP:
                self.close_connection = True
                return
            status, body, *others = answer
            headers = {
                "Content-Length": str(len(body)),
                "Last-Modified": "Wed, 21 Oct 2015 07:28:00 GMT",
                "ETag": '"1"',
            } | dict(*others)
            self.send_response(status)
            for name, value in headers.items():
                if value:
                    self.send_header(name, value)
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_):
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as made:
        threading.Thread(target=made.serve_forever, args=(0.01,), daemon=True).start()
        yield f"http://127.0.0.1:{made.server_port}"
        made.shutdown()
