"""A hub on this machine: what huggingface_hub asks to create a repository and to commit files to it."""

import base64
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any


class FakeHub(ThreadingHTTPServer):
    """Keeps what it is asked, and the files that it is given.

    fails: the status of the answer to a path that holds a word.
    """

    def __init__(self, fails: dict[str, int]) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.fails = fails
        self.requests: list[str] = []
        self.created: dict[str, Any] = {}
        self.files: dict[str, bytes] = {}
        self.tokens: set[str | None] = set()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"


class Handler(BaseHTTPRequestHandler):
    server: FakeHub

    def do_POST(self) -> None:
        size = int(self.headers.get("Content-Length") or 0)
        body = self.rfile.read(size) if size else self._chunks()
        self.server.requests.append(f"POST {self.path}")
        self.server.tokens.add(self.headers.get("Authorization"))
        status = next((status for word, status in self.server.fails.items() if word in self.path), None)
        if status is not None:
            self._answer({"error": f"refused with {status}"}, status)
        elif self.path == "/api/repos/create":
            self.server.created = json.loads(body)
            self._answer({"url": f"{self.server.url}/me/tiny", "name": "me/tiny", "id": "1"})
        elif self.path == "/api/validate-yaml":
            self._answer({"errors": [], "warnings": []})
        elif "/preupload/" in self.path:
            files = json.loads(body)["files"]
            told = [
                {"path": f["path"], "uploadMode": "regular", "shouldIgnore": False, "oid": None}
                for f in files
            ]
            self._answer({"files": told})
        elif "/commit/" in self.path:
            for line in body.splitlines():
                entry = json.loads(line)
                if entry["key"] == "file":
                    self.server.files[entry["value"]["path"]] = base64.b64decode(entry["value"]["content"])
            commit = "0" * 40
            self._answer({"commitUrl": f"{self.server.url}/me/tiny/commit/{commit}", "commitOid": commit})
        else:
            self._answer({"error": "not found"}, 404)

    def do_GET(self) -> None:
        self.server.requests.append(f"GET {self.path}")
        info = {"id": "me/tiny", "sha": "0" * 40, "siblings": [], "private": False}
        if self.server.created and self.path.startswith("/api/models/me/tiny"):
            self._answer(info)
        else:
            self._answer({"error": "Repository not found"}, 404, "RepoNotFound")

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002
        """Say nothing."""

    def _chunks(self) -> bytes:
        if self.headers.get("Transfer-Encoding") != "chunked":
            return b""
        parts = []
        while size := int(self.rfile.readline(), 16):
            parts.append(self.rfile.read(size))
            self.rfile.readline()
        self.rfile.readline()
        return b"".join(parts)

    def _answer(self, value: Any, status: int = 200, code: str = "") -> None:
        data = json.dumps(value).encode()
        self.send_response(status)
        self.send_header("X-Error-Code", code)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)


@contextmanager
def fake_hub(**fails: int) -> Iterator[FakeHub]:
    """A hub that runs while the block does."""
    hub = FakeHub(fails)
    thread = threading.Thread(target=hub.serve_forever, daemon=True)
    thread.start()
    try:
        yield hub
    finally:
        hub.shutdown()
        hub.server_close()
