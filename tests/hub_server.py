"""A Hugging Face hub on a loopback port, for tests that load datasets and models by repository id.

``HubServer(root)`` serves the folders ``root/datasets/OWNER/NAME`` and ``root/models/OWNER/NAME``
as repositories with one branch, ``main``, and one commit, whose sha is a hash of the content. Each
request reads the folder anew. The server implements a part of the hub's HTTP protocol;
KIND is ``datasets`` or ``models``, REV is ``main`` or the sha:

- ``GET /api/KIND/ID`` and ``GET /api/KIND/ID/revision/REV``: the sha and the list of files;
- ``GET /api/KIND/ID/tree/REV[/FOLDER]?recursive=BOOL&expand=BOOL`` and
  ``POST /api/KIND/ID/paths-info/REV``: files and folders with their size and git blob id;
- ``HEAD`` and ``GET`` of ``/datasets/ID/resolve/REV/PATH`` (datasets) and ``/ID/resolve/REV/PATH``
  (models): a file, with ``ETag``, ``X-Repo-Commit`` and ``Content-Length``; a ``Range`` of bytes is
  honoured; weights also have their SHA-256 as ``X-Linked-Etag``, as large files on the hub do;
- ``POST /api/repos/create``, ``POST /api/validate-yaml``, ``POST /api/models/ID/preupload/main``
  and ``POST /api/models/ID/commit/main``: a client with a token creates a repository and commits
  files, all of them within the request.

``X-Error-Code`` names what is missing: ``RepoNotFound`` (401 without a token, 404 with one),
``RevisionNotFound`` and ``EntryNotFound`` (404), ``GatedRepo`` (401 without a token, 403 with one)
for the files of a gated repository. Every other address answers 404. Not implemented: pages of a
listing (there is always one), redirects to a storage network, LFS, Xet, private repositories and
the dataset viewer.

The libraries read their settings when they are imported, so only processes that were started with
``HubServer.environment`` use this server.
"""

import base64
import hashlib
import json
import os
import re
import threading
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path, PurePosixPath
from typing import Any, Self
from urllib.parse import parse_qs, unquote

_API = re.compile(
    r"/api/(?P<kind>datasets|models)/(?P<id>[^/]+(?:/[^/]+)?)"
    r"(?:/(?P<call>revision|tree|paths-info)/(?P<rev>[^/]+)(?:/(?P<path>.+))?)?"
)
_RESOLVE = re.compile(
    r"/(?:(?P<kind>datasets)/)?(?P<id>[^/]+(?:/[^/]+)?)/(?P<call>resolve)/(?P<rev>[^/]+)/(?P<path>.+)"
)
_UPLOAD = re.compile(
    r"/api/(?P<kind>models)/(?P<id>[^/]+/[^/]+)/(?P<call>preupload|commit)/(?P<rev>[^/]+)"
)
_REPOSITORY_ID = re.compile(r"\w[\w.-]*/\w[\w.-]*", re.ASCII)
_RANGE = re.compile(r"bytes=(\d*)-(\d*)")
_DATE = "2024-01-01T00:00:00.000Z"


def _blob_id(content: bytes) -> str:
    return hashlib.sha1(b"blob %d\0" % len(content) + content).hexdigest()


@dataclass(frozen=True)
class _Repository:
    id: str
    files: Mapping[str, bytes]

    @property
    def sha(self) -> str:
        return hashlib.sha1(
            "".join(
                f"{path}\0{_blob_id(content)}\n" for path, content in self.files.items()
            ).encode()
        ).hexdigest()

    @property
    def folders(self) -> set[str]:
        return {str(parent) for path in self.files for parent in PurePosixPath(path).parents} - {
            "."
        }

    def info(self) -> dict[str, Any]:
        described = {
            "id": self.id,
            "author": self.id.split("/")[0],
            "sha": self.sha,
            "lastModified": _DATE,
            "createdAt": _DATE,
        }
        counted = {
            "private": False,
            "gated": False,
            "disabled": False,
            "downloads": 0,
            "likes": 0,
            "tags": [],
        }
        return {**described, **counted, "siblings": [{"rfilename": path} for path in self.files]}

    def entry(self, path: str, expand: bool) -> dict[str, Any]:
        commit = (
            {"lastCommit": {"id": self.sha, "title": "Upload", "date": _DATE}} if expand else {}
        )
        if path in self.files:
            return {
                "type": "file",
                "path": path,
                "oid": _blob_id(self.files[path]),
                "size": len(self.files[path]),
                **commit,
            }
        return {
            "type": "directory",
            "path": path,
            "oid": hashlib.sha1(f"{self.sha}/{path}".encode()).hexdigest(),
            "size": 0,
            **commit,
        }

    def tree(self, folder: str, recursive: bool, expand: bool) -> list[dict[str, Any]]:
        inside = [
            path
            for path in sorted({*self.files, *self.folders})
            if path.startswith(folder and folder + "/")
        ]
        return [
            self.entry(path, expand)
            for path in inside
            if recursive or path.rpartition("/")[0] == folder
        ]


class _Handler(BaseHTTPRequestHandler):
    server: "HubServer"
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True

    def log_message(self, *_args: object) -> None:
        """Stay silent: ``HubServer.requests`` is the log."""

    def _send(self, status: int, body: bytes, headers: Mapping[str, str]) -> None:
        self.send_response(status)
        for name, value in {**headers, "Content-Length": str(len(body))}.items():
            self.send_header(name, value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def _send_json(
        self, value: object, status: int = 200, headers: Mapping[str, str] | None = None
    ) -> None:
        self._send(
            status,
            json.dumps(value).encode(),
            {"Content-Type": "application/json; charset=utf-8", **(headers or {})},
        )

    def _send_error(
        self, status: int, message: str, headers: Mapping[str, str] | None = None
    ) -> None:
        self._send_json({"error": message}, status, {"X-Error-Message": message, **(headers or {})})

    def _send_file(self, address: str, content: bytes, sha: str) -> None:
        headers = {
            "Content-Type": "application/octet-stream",
            "Accept-Ranges": "bytes",
            "X-Repo-Commit": sha,
        }
        headers["ETag"] = f'"{_blob_id(content)}"'
        if address.endswith(".safetensors"):  # a large file
            headers["X-Linked-Etag"] = f'"{hashlib.sha256(content).hexdigest()}"'
        span = _RANGE.fullmatch(self.headers.get("Range", ""))
        if self.command == "HEAD" or span is None or not any(span.groups()):
            return self._send(200, content, headers)
        first, last = span.groups()
        start = int(first) if first else max(len(content) - int(last), 0)
        stop = min(int(last) + 1, len(content)) if first and last else len(content)
        if start >= stop:
            return self._send(416, b"", {**headers, "Content-Range": f"bytes */{len(content)}"})
        self._send(
            206,
            content[start:stop],
            {**headers, "Content-Range": f"bytes {start}-{stop - 1}/{len(content)}"},
        )

    def _upload(self, address: str, body: str) -> bool:
        """Answer a request that creates or changes a repository; return whether it is one."""
        match = _UPLOAD.fullmatch(address)
        if match is None and address not in ("/api/repos/create", "/api/validate-yaml"):
            return False
        if "Authorization" not in self.headers:
            self._send_error(401, "Invalid username or password.")
        elif address == "/api/validate-yaml":
            self._send_json({"errors": [], "warnings": []})
        elif match is None:
            created = json.loads(body)
            id_ = "/".join(filter(None, (created.get("organization"), created["name"])))
            (self.server.root / "models" / id_).mkdir(parents=True, exist_ok=True)
            self._send_json({"url": f"{self.server.url}/{id_}", "id": id_})
        elif match["call"] == "preupload":
            paths = [file["path"] for file in json.loads(body)["files"]]
            modes = [
                {"path": path, "uploadMode": "regular", "shouldIgnore": False} for path in paths
            ]
            self._send_json({"files": modes})
        else:
            for line in map(json.loads, body.splitlines()):
                if line["key"] == "file":
                    path = self.server.root / "models" / match["id"] / line["value"]["path"]
                    path.parent.mkdir(parents=True, exist_ok=True)
                    path.write_bytes(base64.b64decode(line["value"]["content"]))
            repository = self.server.repository("models", match["id"])
            assert repository is not None
            address = f"{self.server.url}/{match['id']}/commit/{repository.sha}"
            self._send_json({"success": True, "commitOid": repository.sha, "commitUrl": address})
        return True

    def do_GET(self) -> None:
        address, _, query = self.path.partition("?")
        body = self.rfile.read(int(self.headers.get("Content-Length", 0))).decode()
        self.server.requests.append((self.command, address))
        if self.command == "POST" and self._upload(address, body):
            return None
        match = _API.fullmatch(address) or _RESOLVE.fullmatch(address)
        if match is None or (self.command == "POST") != (match["call"] == "paths-info"):
            return self._send_error(404, "Not Found")
        kind, id_, call, revision, path = (
            unquote(match[name] or "") for name in ("kind", "id", "call", "rev", "path")
        )
        repository = self.server.repository(kind or "models", id_)
        if repository is None:
            missing = (
                (404, "Repository not found")
                if "Authorization" in self.headers
                else (401, "Invalid username or password.")
            )
            return self._send_error(*missing, {"X-Error-Code": "RepoNotFound"})
        if revision not in ("", "main", repository.sha):
            return self._send_error(
                404, f"Invalid rev id: {revision}", {"X-Error-Code": "RevisionNotFound"}
            )
        options = parse_qs(body if call == "paths-info" else query)
        recursive, expand = (
            options.get(name, [""])[0].lower() in ("true", "1") for name in ("recursive", "expand")
        )
        if call == "paths-info":
            paths = {*repository.files, *repository.folders}
            self._send_json(
                [
                    repository.entry(name, expand)
                    for name in options.get("paths", [])
                    if name in paths
                ]
            )
        elif call == "tree" and (not path or path in repository.folders):
            self._send_json(repository.tree(path, recursive, expand))
        elif call == "resolve" and id_ in self.server.gated:
            status = 403 if "Authorization" in self.headers else 401
            self._send_error(status, f"Access to {id_} is gated", {"X-Error-Code": "GatedRepo"})
        elif call == "resolve" and path in repository.files:
            self._send_file(path, repository.files[path], repository.sha)
        elif call in ("tree", "resolve"):
            self._send_error(
                404,
                "Entry not found",
                {"X-Error-Code": "EntryNotFound", "X-Repo-Commit": repository.sha},
            )
        else:
            self._send_json(repository.info())

    do_HEAD = do_POST = do_GET


class HubServer(ThreadingHTTPServer):
    """A hub of the repositories under ``root``, which serves inside its ``with`` block.

    ``requests`` lists the method and the path, without query, of each request in order of arrival.
    """

    request_queue_size = 64

    def __init__(self, root: Path, gated: Collection[str] = ()) -> None:
        """
        Args:
            root: the folder of the repositories.
            gated: ids of the repositories whose files nobody may have.
        """
        super().__init__(("127.0.0.1", 0), _Handler)
        self.root = root
        self.gated = gated
        self.url = f"http://127.0.0.1:{self.server_port}"
        self.requests: list[tuple[str, str]] = []

    def __enter__(self) -> Self:
        threading.Thread(target=self.serve_forever, args=(0.05,), daemon=True).start()
        return self

    def __exit__(self, *_exception: object) -> None:
        self.shutdown()
        self.server_close()

    def repository(self, kind: str, id_: str) -> _Repository | None:
        """Return a repository with its present content; None if there is none of that id."""
        folder = self.root / kind / id_
        if not _REPOSITORY_ID.fullmatch(id_) or not folder.is_dir():
            return None
        paths = sorted(path for path in folder.rglob("*") if path.is_file())
        return _Repository(
            id_, {path.relative_to(folder).as_posix(): path.read_bytes() for path in paths}
        )

    def environment(self, home: Path) -> dict[str, str]:
        """Return an environment for processes that use this server and keep caches in ``home``."""
        foreign = re.compile(r"(HF_|HUGGING|TRANSFORMERS_).*|.*_PROXY", re.IGNORECASE)
        own = {name: value for name, value in os.environ.items() if not foreign.fullmatch(name)}
        switches = {"HF_HUB_DISABLE_XET": "1", "HF_HUB_DISABLE_TELEMETRY": "1"}
        return {**own, **switches, "HF_ENDPOINT": self.url, "HF_HOME": str(home)}
