"""A small hub: as much of its API as its client speaks when it makes a dataset and commits files to it."""

import base64
import hashlib
import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import urlsplit

TOKEN = "hf_of_the_test"


class Hub:
    """Datasets by name: their visibility, and files by path. `fail_at` is the commit that is refused once."""

    def __init__(self):
        self.private, self.files, self.large = {}, {}, {}
        self.commits, self.uploads, self.fail_at = [], [], None
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), _Handler)
        self._server.hub = self
        self.endpoint = f"http://127.0.0.1:{self._server.server_port}"
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    def close(self):
        self._server.shutdown()
        self._server.server_close()


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    @property
    def hub(self):
        return self.server.hub

    def do_GET(self):
        path = urlsplit(self.path).path
        name = "/".join(path.split("/")[3:5])
        if self._refused():
            return
        if name not in self.hub.files:
            self._answer({"error": "Repository not found"}, 404, {"X-Error-Code": "RepoNotFound"})
        elif "/tree/" in path:
            files = self.hub.files[name].items()
            self._answer([{"type": "file", "path": file, "size": len(body), "oid": "0"} for file, body in files])
        else:
            self._answer({"id": name, "sha": "0" * 40, "private": self.hub.private[name], "siblings": []})

    def do_POST(self):
        body = self.rfile.read(int(self.headers["Content-Length"]))
        path = urlsplit(self.path).path
        name = "/".join(path.split("/")[3:5])
        if self._refused():
            return
        if path == "/api/repos/create":
            self._create(json.loads(body))
        elif path == "/api/validate-yaml":
            self._answer({"errors": [], "warnings": []})
        elif path.endswith("/info/lfs/objects/batch"):
            self._answer({"objects": [self._upload_of(one) for one in json.loads(body)["objects"]]})
        elif "/preupload/" in path:
            files = self.hub.files[name]
            self._answer({"files": [_mode_of(one["path"], files) for one in json.loads(body)["files"]]})
        else:
            self._commit(name, [json.loads(line) for line in body.splitlines()])

    def do_PUT(self):
        oid = self.path.rpartition("/")[2]
        self.hub.large[oid] = self.rfile.read(int(self.headers["Content-Length"]))
        self.hub.uploads.append(oid)
        self._answer({})

    def _create(self, asked):
        name = f"{asked['organization']}/{asked['name']}"
        # the client has called it both
        is_private = asked["private"] if "private" in asked else asked["visibility"] == "private"
        self.hub.private[name], self.hub.files[name] = is_private, {}
        self._answer({"url": f"{self.hub.endpoint}/datasets/{name}", "name": name})

    def _upload_of(self, asked):
        if asked["oid"] in self.hub.large:
            return asked
        return {**asked, "actions": {"upload": {"href": f"{self.hub.endpoint}/large/{asked['oid']}"}}}

    def _commit(self, name, lines):
        if len(self.hub.commits) == self.hub.fail_at:
            self.hub.fail_at = None
            self._answer({"error": "no such luck"}, 400)
            return
        files = self.hub.files[name]
        for line in lines:
            value = line["value"]
            if line["key"] == "lfsFile":
                files[value["path"]] = self.hub.large[value["oid"]]
            elif line["key"] == "file":
                files[value["path"]] = base64.b64decode(value["content"])
            elif line["key"] == "deletedFile":
                del files[value["path"]]
        self.hub.commits.append(lines[0]["value"]["summary"])
        self._answer({"commitUrl": f"{self.hub.endpoint}/datasets/{name}/commit/0", "commitOid": "0" * 40})

    def _refused(self):
        if self.headers["Authorization"] == f"Bearer {TOKEN}":
            return False
        self._answer({"error": "Invalid username or password."}, 401)
        return True

    def _answer(self, value, code=200, headers=()):
        body = json.dumps(value).encode()
        self.send_response(code)
        for key, what in {"Content-Type": "application/json", "Content-Length": len(body), **dict(headers)}.items():
            self.send_header(key, str(what))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass


def _mode_of(path, files):
    is_large, there = path.endswith(".parquet"), files.get(path)
    found = {"path": path, "uploadMode": "lfs" if is_large else "regular", "shouldIgnore": False}
    if there is not None:
        git = b"blob %d\0" % len(there) + there
        found["oid"] = hashlib.sha256(there).hexdigest() if is_large else hashlib.sha1(git).hexdigest()
    return found
