"""A package index on this machine: pages as PEP 691 and 700 have them, and files that are made in memory."""

from __future__ import annotations

import base64
import functools
import hashlib
import html
import io
import json
import subprocess
import sys
import tarfile
import tempfile
import threading
import zipfile
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

from uv import find_uv_bin


def wheel(name, version, requires=(), files=None):
    """The bytes of a pure wheel."""
    info = f"{name}-{version}.dist-info"
    metadata = f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n"
    metadata += "".join(f"Requires-Dist: {line}\n" for line in requires)
    content = dict(files if files is not None else {f"{name}.py": f"version = {version!r}\n"})
    content |= {
        f"{info}/METADATA": metadata,
        f"{info}/WHEEL": "Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
    }
    lines = []
    for path, text in content.items():
        digest = base64.urlsafe_b64encode(hashlib.sha256(text.encode()).digest()).rstrip(b"=").decode()
        lines.append(f"{path},sha256={digest},{len(text)}")
    content[f"{info}/RECORD"] = "\n".join([*lines, f"{info}/RECORD,,"]) + "\n"
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for path, text in content.items():
            archive.writestr(zipfile.ZipInfo(path), text)
    return buffer.getvalue()


OWN_BACKEND = '[build-system]\nrequires = []\nbuild-backend = "backend"\nbackend-path = ["."]\n'


def sdist(name, version, setup, project=OWN_BACKEND):
    """The bytes of a source distribution, with its own build backend, so that building needs nothing else."""
    buffer = io.BytesIO()
    files = {
        "backend.py": setup,
        "pyproject.toml": project,
        "PKG-INFO": f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n",
    }
    with tarfile.open(fileobj=buffer, mode="w:gz") as archive:
        for path, text in files.items():
            member = tarfile.TarInfo(f"{name}-{version}/{path}")
            member.size = len(text)
            archive.addfile(member, io.BytesIO(text.encode()))
    return buffer.getvalue()


BUILDING_SETUPTOOLS = """
import os
import zipfile


def build_wheel(folder, settings=None, metadata=None):
    with open("PKG-INFO") as told:
        fields = dict(line.rstrip().split(": ") for line in told)
    name, version = fields["Name"], fields["Version"]
    info = f"{name}-{version}.dist-info"
    with zipfile.ZipFile(os.path.join(folder, f"{name}-{version}-py3-none-any.whl"), "w") as made:
        required = "Requires-Dist: setuptools\\n"
        made.writestr(f"{info}/METADATA", f"Metadata-Version: 2.1\\nName: {name}\\nVersion: {version}\\n{required}")
        made.writestr(f"{info}/WHEEL", "Wheel-Version: 1.0\\nRoot-Is-Purelib: true\\nTag: py3-none-any\\n")
        made.writestr(f"{info}/RECORD", "")
    return f"{name}-{version}-py3-none-any.whl"
"""
"""A build backend that makes a wheel which requires setuptools at run time."""


def undated(file):
    """A file of a page as indexes without PEP 700 have it."""
    return {key: value for key, value in file.items() if key not in {"upload-time", "size"}}


def html_page(files):
    """A page as PEP 503 has it."""
    lines = []
    for file in files:
        attributes = (
            f' data-requires-python="{html.escape(file["requires-python"])}"' if file["requires-python"] else ""
        )
        attributes += ' data-yanked=""' if file["yanked"] else ""
        link = f"{file['url']}#sha256={file['hashes']['sha256']}"
        lines.append(f'<a href="{html.escape(link)}"{attributes}>{file["filename"]}</a><br/>')
    return "<!DOCTYPE html><html><body>" + "\n".join(lines) + "</body></html>"


@functools.cache
def _what_uv_knows_of_the_interpreter():
    """The files of uv's cache in which it keeps what this interpreter said of itself: half a second per test saved."""
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / "empty.in").touch()
        settings = {"UV_CACHE_DIR": f"{folder}/uv", "UV_NO_CONFIG": "1", "PATH": ""}
        command = [find_uv_bin(), "pip", "compile", "empty.in", "--quiet", "--offline", "--python", sys.executable]
        subprocess.run(command, cwd=folder, env=settings, check=True, capture_output=True)
        files = [path for path in Path(folder, "uv").glob("interpreter-*/**/*") if path.is_file()]
        return {path.relative_to(folder): path.read_bytes() for path in files}


def fill_cache(folder):
    """Make a runner's cache in which uv knows this interpreter."""
    for path, content in _what_uv_knows_of_the_interpreter().items():
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_bytes(content)
    return folder


class FakeIndex:
    """An index under http://127.0.0.1; `asked` is every request, `credentials` what came with the last one.

    `html` and `times` make it give pages without upload times, `wanted_credentials` makes it refuse all others.
    """

    def __init__(self):
        self.pages = {}
        self.contents = {}
        self.asked = []
        self.wanted_credentials = None
        self.credentials = None
        self.broken = False
        self.html = False
        self.times = True
        self.etags = True
        index = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self):
                index.answer(self)

            do_HEAD = do_GET  # noqa: N815 - the name that the standard library calls

            def log_message(self, *_):
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        self.thread = threading.Thread(target=self.server.serve_forever, kwargs={"poll_interval": 0.01})
        self.thread.start()

    @property
    def host(self):
        return f"127.0.0.1:{self.server.server_port}"

    @property
    def url(self):
        return f"http://{self.host}/simple"

    def add(self, filename, content, uploaded, *, requires_python=None, yanked=False, sha256=None):
        name = filename.split("-")[0].replace("_", "-").lower()
        self.contents[filename] = content
        self.pages.setdefault(name, []).append(
            {
                "filename": filename,
                "url": f"../../files/{filename}",
                "hashes": {"sha256": sha256 or hashlib.sha256(content).hexdigest()},
                "requires-python": requires_python,
                "size": len(content),
                "upload-time": f"{uploaded}T12:00:00.000000Z",
                "yanked": yanked,
            }
        )

    def add_wheel(self, name, version, uploaded, requires=(), *, tag="py3-none-any", files=None, **options):
        content = wheel(name, version, requires, files)
        self.add(f"{name}-{version}-{tag}.whl", content, uploaded, **options)

    def add_stack(self, tag):
        """A base that brings a needed package and, like TensorFlow from 2.6 on, an axis package of its own."""
        self.add_wheel("tensorflow", "2.0", "2026-03-01", ["numpy", "keras>=2"], tag=tag)
        for version, day in (("1.0", "2026-01-01"), ("1.1", "2026-03-05"), ("1.2", "2026-06-01")):
            self.add_wheel("numpy", version, day)
        self.add_wheel("keras", "2.0", "2026-02-01", ["numpy"])
        self.add_wheel("keras", "2.1", "2026-06-01", ["numpy"])
        self.add_wheel("keras", "2.2", "2026-06-15", ["numpy>=1.1", "yaml"])
        self.add_wheel("yaml", "5", "2026-02-01")
        self.add_wheel("yaml", "6", "2026-06-10")

    def answer(self, request):
        self.asked.append(request.path)
        self.credentials = request.headers.get("Authorization")
        kind, name = request.path.strip("/").split("/", 1)
        if self.wanted_credentials not in {None, self.credentials}:
            self.send(request, 401, b"", "text/plain")
        elif self.broken:
            self.send(request, 503, b"", "text/plain")
        elif kind == "files" and name in self.contents:
            self.send(request, 200, self.contents[name], "application/octet-stream")
        elif kind == "simple" and name in self.pages:
            self.page(request, name)
        else:
            self.send(request, 404, b"", "text/plain")

    def page(self, request, name):
        if self.html:
            self.send(request, 200, html_page(self.pages[name]).encode(), "text/html")
            return
        files = [file if self.times else undated(file) for file in self.pages[name]]
        body = json.dumps({"meta": {"api-version": "1.1"}, "name": name, "files": files}).encode()
        etag = hashlib.sha256(body).hexdigest()
        if self.etags and request.headers.get("If-None-Match") == etag:
            self.send(request, 304, b"", "text/plain")
            return
        self.send(request, 200, body, "application/vnd.pypi.simple.v1+json", etag if self.etags else None)

    def send(self, request, status, body, kind, etag=None):
        request.send_response(status)
        request.send_header("Content-Type", kind)
        request.send_header("Content-Length", str(len(body)))
        if etag:
            request.send_header("ETag", etag)
        request.end_headers()
        if request.command == "GET":
            request.wfile.write(body)

    def stop(self):
        self.server.shutdown()
        self.thread.join()
        self.server.server_close()
