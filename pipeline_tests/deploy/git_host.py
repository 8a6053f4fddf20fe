"""A host on loopback: git's own server over HTTP for one repository, and a stand-in for GitHub's releases.

Both want the token. The releases follow docs.github.com/en/rest/releases as far as deploy/hosted asks for them.
"""

from __future__ import annotations

import base64
import json
import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler
from itertools import count
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

from pipeline_tests.loopback import Quiet, serving

TOKEN = "planted-token-of-the-hosted-ci"
REPOSITORY = "somebody/numbers"


@dataclass
class GitHost:
    """``asked`` are the requests of the API in order; ``broken_bytes`` damages the next asset that is uploaded."""

    repository: Path
    port: int = 0
    releases: dict[str, dict[str, Any]] = field(default_factory=dict)
    assets: dict[int, bytes] = field(default_factory=dict)
    asked: list[str] = field(default_factory=list)
    broken_bytes: bool = False
    ids: Iterator[int] = field(default_factory=lambda: count(1))

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def git(self, *arguments: str) -> str:
        """What git says of the bare repository."""
        done = subprocess.run(
            ["git", "-C", str(self.repository), *arguments], capture_output=True, text=True, timeout=60, check=True
        )
        return done.stdout.strip()

    def files(self, branch: str = "data") -> list[str]:
        return self.git("ls-tree", "-r", "--name-only", branch).splitlines()

    def every_object(self) -> bytes:
        """All that was ever pushed, commits and files of all times."""
        command = ["git", "-C", str(self.repository), "cat-file", "--batch-all-objects", "--batch"]
        return subprocess.run(command, capture_output=True, timeout=60, check=True).stdout

    def names(self, tag: str) -> list[str]:
        return [asset["name"] for asset in self.releases[tag]["assets"]]

    # The API, by method and path ----------------------------------------------------------------

    def answer(self, method: str, target: str, body: bytes) -> tuple[int, Any]:
        """Status and reply; bytes as they are, anything else as JSON."""
        address = urlsplit(target)
        self.asked.append(f"{method} {address.path}")
        place = address.path.removeprefix(f"/repos/{REPOSITORY}/releases")
        kind, _, last = place.lstrip("/").partition("/")
        if (method, kind) == ("GET", "tags"):
            return (200, self.releases[last]) if last in self.releases else (404, {"message": "Not Found"})
        if (method, place) == ("POST", ""):
            tag = json.loads(body)["tag_name"]
            upload = f"{self.url}/repos/{REPOSITORY}/releases/{tag}/assets{{?name,label}}"
            self.releases[tag] = {"tag_name": tag, "upload_url": upload, "assets": []}
            return 201, self.releases[tag]
        if kind == "assets":
            return self._asset(method, int(last), body)
        if (method, last) == ("POST", "assets"):
            return 201, self._upload(kind, parse_qs(address.query)["name"][0], body)
        raise AssertionError(f"nothing is known of {method} {target}")

    def _asset(self, method: str, number: int, body: bytes) -> tuple[int, Any]:
        if method == "GET":
            return 200, self.assets[number]
        for release in self.releases.values():
            for asset in release["assets"]:
                if asset["id"] == number and method == "PATCH":
                    asset |= json.loads(body)
                    return 200, asset
                if asset["id"] == number and method == "DELETE":
                    release["assets"].remove(asset)
                    return 204, b""
        return 404, {"message": "Not Found"}

    def _upload(self, tag: str, name: str, body: bytes) -> dict[str, Any]:
        assert name not in self.names(tag)
        asset = {"id": next(self.ids), "name": name, "state": "uploaded"}
        self.releases[tag]["assets"].append(asset)
        self.assets[int(str(asset["id"]))] = body[:-1] if self.broken_bytes else body
        self.broken_bytes = False
        return asset


@contextmanager
def git_host(folder: Path) -> Iterator[GitHost]:
    """An empty bare repository in ``folder`` and its server, which ends with the block."""
    repository = folder / f"{REPOSITORY}.git"
    subprocess.run(["git", "init", "--quiet", "--bare", str(repository)], timeout=60, check=True)
    subprocess.run(["git", "-C", str(repository), "config", "http.receivepack", "true"], timeout=60, check=True)
    host = GitHost(repository)

    class Handler(Quiet):
        def serve(self) -> None:
            body = self._body()
            if self.headers.get("Authorization") not in (_basic(), f"Bearer {TOKEN}"):
                self._reply(401, b"", {"WWW-Authenticate": "Basic"})
            elif self.path.startswith("/repos/"):
                status, found = host.answer(self.command, self.path, body)
                self._reply(status, found if isinstance(found, bytes) else json.dumps(found).encode(), {})
            else:
                self._reply(*_git_backend(folder, self, body))

        do_GET = do_POST = do_PUT = do_PATCH = do_DELETE = serve

        def _body(self) -> bytes:
            if self.headers.get("Transfer-Encoding") != "chunked":
                return self.rfile.read(int(self.headers.get("Content-Length", 0)))
            parts = []
            while size := int(self.rfile.readline(), 16):
                parts.append(self.rfile.read(size))
                self.rfile.readline()
            self.rfile.readline()
            return b"".join(parts)

        def _reply(self, status: int, body: bytes, headers: dict[str, str]) -> None:
            self.send_response(status)
            for name, value in headers.items():
                self.send_header(name, value)
            if status != 204:
                self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

    with serving(Handler) as host.port:
        yield host


def _basic() -> str:
    return "Basic " + base64.b64encode(f"x-access-token:{TOKEN}".encode()).decode()


def _git_backend(root: Path, request: BaseHTTPRequestHandler, body: bytes) -> tuple[int, bytes, dict[str, str]]:
    """One request of a git client, answered by git's own CGI program."""
    address = urlsplit(request.path)
    owner, name, *rest = address.path.strip("/").split("/")
    variables = {
        "GIT_PROJECT_ROOT": str(root),
        "GIT_HTTP_EXPORT_ALL": "1",
        "PATH_INFO": f"/{owner}/{name.removesuffix('.git')}.git/{'/'.join(rest)}",
        "QUERY_STRING": address.query,
        "REQUEST_METHOD": request.command,
        "CONTENT_TYPE": request.headers.get("Content-Type", ""),
        "CONTENT_LENGTH": str(len(body)),
        "HTTP_CONTENT_ENCODING": request.headers.get("Content-Encoding", ""),
        "HTTP_GIT_PROTOCOL": request.headers.get("Git-Protocol", ""),
        "REMOTE_USER": "x-access-token",
    }
    environment = {**os.environ, **variables}
    done = subprocess.run(["git", "http-backend"], input=body, env=environment, capture_output=True, check=True)
    head, _, content = done.stdout.partition(b"\r\n\r\n")
    headers = dict(line.split(": ", 1) for line in head.decode().splitlines())
    status = int(headers.pop("Status", "200").split()[0])
    return status, content, headers
