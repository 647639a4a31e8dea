"""Small models, catalogs, wheels and a web server with faults, for the tests of the model store."""

import contextlib
import hashlib
import http.server
import threading
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import yaml

from edgevoice.modelcatalog import Catalog, read_catalog

FILES = {"model.bin": bytes(range(256)) * 400, "sub/words.txt": b"one\ntwo\n"}
"""What the sample model consists of: 102,400 bytes, and a small file in a folder."""


class Notes:
    """A progress that remembers."""

    def __init__(self, on_step: Callable[[str], None] | None = None) -> None:
        self.steps: list[str] = []
        self.advances: list[tuple[int, int]] = []
        self._on_step = on_step

    def step(self, text: str) -> None:
        self.steps.append(text)
        if self._on_step:
            self._on_step(text)

    def advance(self, done: int, total: int) -> None:
        self.advances.append((done, total))


def spec(data: bytes) -> dict[str, Any]:
    return {"size": len(data), "sha256": hashlib.sha256(data).hexdigest()}


def entry(*sources: dict[str, Any], files: dict[str, bytes] | None = FILES) -> dict[str, Any]:
    """A model of the catalog."""
    found: dict[str, Any] = {
        "task": "vad",
        "description": "A sample",
        "licence": "CC0-1.0",
        "author": "Nobody",
        "origin": "https://example.org/sample",
        "sources": list(sources),
    }
    if files is not None:
        found["files"] = {name: spec(data) for name, data in files.items()}
    return found


def write_catalog(path: Path, models: dict[str, Any]) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(yaml.safe_dump({"format": 1, "models": models}, sort_keys=False), encoding="utf-8")
    return path


def catalog(folder: Path, **models: dict[str, Any]) -> Catalog:
    return read_catalog(write_catalog(folder / "catalog.yaml", models))


def write_files(folder: Path, files: dict[str, bytes] = FILES) -> Path:
    for name, data in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(data)
    return folder


def write_wheel(folder: Path, package: str, *, tag: str = "py3-none-any", files: dict[str, bytes] = FILES) -> Path:
    """A wheel that pip accepts, with the files in ``<package>/data``."""
    folder.mkdir(parents=True, exist_ok=True)
    info = f"{package}-1.0.dist-info"
    members = {f"{package}/data/{name}": data for name, data in files.items()}
    members[f"{info}/METADATA"] = f"Metadata-Version: 2.1\nName: {package}\nVersion: 1.0\n".encode()
    members[f"{info}/WHEEL"] = f"Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: {tag}\n".encode()
    members[f"{info}/RECORD"] = "".join(f"{name},,\n" for name in [*members, f"{info}/RECORD"]).encode()
    path = folder / f"{package}-1.0-{tag}.whl"
    with zipfile.ZipFile(path, "w") as archive:
        for name, data in members.items():
            archive.writestr(name, data)
    return path


class Server:
    """A web server on the loopback that serves ``files`` and can be told to fail."""

    def __init__(self, files: dict[str, bytes]) -> None:
        self.files = files
        self.requests: list[tuple[str, str | None]] = []
        """(path, Range header) of each request."""
        self.cuts: list[int] = []
        """For the next answers: so many bytes of the body are sent, then the connection is closed."""
        self.statuses: list[int] = []
        """For the next answers: this status instead of the file."""
        self.ranges = True
        """Whether it knows the Range header."""
        self.base = ""

    def answer(self, request: http.server.BaseHTTPRequestHandler) -> None:
        wanted = request.headers.get("Range")
        self.requests.append((request.path, wanted))
        if self.statuses:
            request.send_error(self.statuses.pop(0))
            return
        body = self.files.get(request.path.removeprefix("/"))
        if body is None:
            request.send_error(404)
            return
        start = int(wanted.removeprefix("bytes=").removesuffix("-")) if wanted and self.ranges else 0
        if start >= len(body) and start:
            request.send_error(416)
            return
        request.send_response(206 if start else 200)
        if start:
            request.send_header("Content-Range", f"bytes {start}-{len(body) - 1}/{len(body)}")
        request.send_header("Content-Length", str(len(body) - start))
        request.end_headers()
        cut = self.cuts.pop(0) if self.cuts else len(body)
        request.wfile.write(body[start:][:cut])


@contextlib.contextmanager
def serving(files: dict[str, bytes]) -> Iterator[Server]:
    script = Server(files)

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            script.answer(self)

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the name of the base class
            pass

    with http.server.HTTPServer(("127.0.0.1", 0), Handler) as server:
        script.base = f"http://127.0.0.1:{server.server_port}/"
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield script
        finally:
            server.shutdown()
            thread.join()
