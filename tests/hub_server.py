"""A Hugging Face hub on loopback that serves folders as model and dataset repositories.

It implements the part of the hub's HTTP API that huggingface_hub, transformers and datasets read.
A repository's commit is a hash of its files: changing a file makes a new commit on `main` and
removes the old one. Large files are redirected with a linked SHA-256, as on the hub.
"""

import hashlib
import json
import os
import re
import subprocess
import sys
import threading
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import ClassVar
from urllib.parse import parse_qs, unquote, urlsplit

_API = re.compile(r"/api/(models|datasets)/([^/]+/[^/]+?)(?:/(revision|tree|paths-info)/(.+))?")
_FILE = re.compile(r"/(lfs/)?(datasets/)?([^/]+/[^/]+)/resolve/([^/]+)/(.+)")
_LARGE = (".safetensors", ".bin", ".gguf", ".parquet")


class Address(str):
    """The hub's URL, for HF_ENDPOINT; `requests` lists the requests received so far."""

    requests: list[str]


@contextmanager
def loopback_hub(repos: Mapping[str, Path], gated: Collection[str] = ()) -> Iterator[Address]:
    """Serve `{"me/model": folder, "datasets/me/data": folder}`; `gated` ones reply 403."""
    received: list[str] = []

    class Handler(_Handler):
        folders: ClassVar = {name: Path(folder) for name, folder in repos.items()}
        closed = frozenset(gated)
        requests = received

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads, server.block_on_close = True, False
    thread = threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True)
    thread.start()
    address = Address(f"http://127.0.0.1:{server.server_address[1]}")
    address.requests = received
    try:
        yield address
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def python_with_hub(
    code: str, endpoint: str, home: Path, *arguments: object, timeout: float = 60, **env: str
) -> subprocess.CompletedProcess[str]:
    """Run Python code in a process that uses only this hub and keeps its cache in `home`."""
    clean = {k: v for k, v in os.environ.items() if not k.upper().startswith(("HF_", "HTTP"))}
    clean |= {
        "HF_ENDPOINT": endpoint,
        "HF_HOME": str(home),
        "HF_HUB_DISABLE_XET": "1",
        "HF_HUB_DISABLE_TELEMETRY": "1",
        "NO_PROXY": "127.0.0.1",
    }
    command = [sys.executable, "-W", "error", "-c", code, *map(str, arguments)]
    return subprocess.run(
        command, env=clean | env, capture_output=True, text=True, timeout=timeout, check=False
    )


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    timeout = 10  # seconds; an idle connection must not keep its thread
    folders: ClassVar[Mapping[str, Path]]
    closed: ClassVar[Collection[str]]
    requests: ClassVar[list[str]]

    def log_message(self, format: str, *args: object) -> None:
        """Log nothing."""

    def do_HEAD(self) -> None:
        self._answer()

    def do_GET(self) -> None:
        self._answer()

    def do_POST(self) -> None:
        self._answer()

    def _answer(self) -> None:
        self.requests.append(f"{self.command} {self.path}")
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        path = unquote(urlsplit(self.path).path)
        if match := _FILE.fullmatch(path):
            large, kind, name, revision, file = match.groups()
            self._file((kind or "") + name, revision, file, redirected=bool(large))
        elif match := _API.fullmatch(path):
            kind, name, endpoint, rest = match.groups()
            self._api("datasets/" * (kind == "datasets") + name, endpoint, rest or "main", body)
        else:
            self._refuse(404, "EntryNotFound")

    def _api(self, name: str, endpoint: str | None, rest: str, body: bytes) -> None:
        revision, _, under = rest.partition("/")
        files = self._files(name, revision)
        if files is None:
            return
        if endpoint == "tree":
            deep = parse_qs(urlsplit(self.path).query).get("recursive", [""])[0].lower()
            inside = {p: f for p, f in files.items() if not under or p.startswith(under + "/")}
            if under and not inside:
                self._refuse(404, "EntryNotFound")
                return
            self._json(_tree(inside, under, deep=deep in ("true", "1")))
        elif endpoint == "paths-info":
            form = json.loads(body) if body[:1] == b"{" else parse_qs(body.decode())
            entries = _tree(files, "", deep=True) + _folders(files)
            self._json([entry for entry in entries if entry["path"] in form["paths"]])
        else:
            siblings = [{"rfilename": path} for path in sorted(files)]
            short = name.removeprefix("datasets/")
            flags = {"private": False, "gated": "auto" if name in self.closed else False}
            self._json({"id": short, "sha": _commit(files), "siblings": siblings, **flags})

    def _file(self, name: str, revision: str, path: str, *, redirected: bool) -> None:
        files = self._files(name, revision)
        if files is None:
            return
        if name in self.closed:
            self._refuse(403, "GatedRepo")
            return
        commit = {"X-Repo-Commit": _commit(files)}
        if path not in files:
            self._refuse(404, "EntryNotFound", commit)
            return
        content = files[path].read_bytes()
        headers = {**commit, "ETag": f'"{_blob(content)}"', "Accept-Ranges": "bytes"}
        if path.endswith(_LARGE):
            headers |= {
                "X-Linked-Etag": f'"{_sha256(content)}"',
                "X-Linked-Size": str(len(content)),
            }
            if not redirected:
                self._send(302, b"", {**headers, "Location": f"/lfs{self.path}"})
                return
        if byte_range := re.fullmatch(r"bytes=(\d+)-(\d*)", self.headers.get("Range", "")):
            start, end = int(byte_range[1]), int(byte_range[2] or len(content) - 1)
            headers["Content-Range"] = f"bytes {start}-{end}/{len(content)}"
            self._send(206, content[start : end + 1], headers)
        else:
            self._send(200, content, headers)

    def _files(self, name: str, revision: str) -> dict[str, Path] | None:
        """The repository's files by path, or None after an error reply."""
        folder = self.folders.get(name)
        if folder is None:
            self._refuse(404, "RepoNotFound")
            return None
        paths = (file for file in sorted(folder.rglob("*")) if file.is_file())
        files = {file.relative_to(folder).as_posix(): file for file in paths}
        if revision not in ("main", _commit(files)):
            self._refuse(404, "RevisionNotFound")
            return None
        return files

    def _json(self, value: object) -> None:
        self._send(200, json.dumps(value).encode(), {"Content-Type": "application/json"})

    def _refuse(self, status: int, code: str, headers: Mapping[str, str] | None = None) -> None:
        self._send(status, b"", {"X-Error-Code": code, "X-Error-Message": code, **(headers or {})})

    def _send(self, status: int, body: bytes, headers: Mapping[str, str]) -> None:
        self.send_response(status)
        for key, value in headers.items():
            self.send_header(key, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)


def _tree(files: Mapping[str, Path], under: str, *, deep: bool) -> list[dict[str, object]]:
    depth = under.count("/") + 1 if under else 0
    entries: list[dict[str, object]] = []
    for path, file in sorted(files.items()):
        if deep or path.count("/") == depth:
            content = file.read_bytes()
            entry = {"type": "file", "path": path, "size": len(content), "oid": _blob(content)}
            if path.endswith(_LARGE):
                lfs = {"oid": _sha256(content), "size": len(content), "pointerSize": 134}
                entry |= {"lfs": lfs}
            entries.append(entry)
    return entries if deep else entries + [f for f in _folders(files) if _depth(f) == depth]


def _folders(files: Mapping[str, Path]) -> list[dict[str, object]]:
    paths = {parent.as_posix() for path in files for parent in Path(path).parents} - {"."}
    return [{"type": "directory", "path": p, "size": 0, "oid": "0" * 40} for p in sorted(paths)]


def _depth(entry: Mapping[str, object]) -> int:
    return str(entry["path"]).count("/")


def _commit(files: Mapping[str, Path]) -> str:
    parts = (f"{path} {_blob(file.read_bytes())}\n" for path, file in sorted(files.items()))
    return hashlib.sha1("".join(parts).encode()).hexdigest()


def _blob(content: bytes) -> str:
    return hashlib.sha1(b"blob %d\0" % len(content) + content).hexdigest()


def _sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()
