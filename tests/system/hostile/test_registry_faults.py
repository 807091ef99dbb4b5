"""A registry that stalls, breaks off, or gives something else than was asked for: said once, and nothing is kept."""

from __future__ import annotations

import http.client
import json
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING

import pytest
from registries import images_of, pushed, registry_here

import docker
from runner.errors import MachineError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from docker import DockerClient

pytestmark = [pytest.mark.slow, pytest.mark.docker, pytest.mark.timeout(600)]
SILENCE_S = 5
"""How long a registry may give nothing, in this test."""


class Proxy(ThreadingHTTPServer):
    """Stands before a registry; `fault` says what it does to layers, or to manifests that are asked for by digest."""

    daemon_threads = True

    def __init__(self, port: int) -> None:
        super().__init__(("localhost", 0), Handler)
        self.registry = port
        self.fault = ""
        self.over = threading.Event()

    @property
    def address(self) -> str:
        return f"localhost:{self.server_address[1]}"


class Handler(BaseHTTPRequestHandler):
    """Passes a request on, and the answer back."""

    protocol_version = "HTTP/1.1"
    server: Proxy

    def do_GET(self) -> None:
        connection = http.client.HTTPConnection("localhost", self.server.registry, timeout=30)
        headers = {name: text for name, text in self.headers.items() if name.lower() != "host"}
        connection.request(self.command, self.path, headers=headers)
        answer = connection.getresponse()
        body = answer.read()
        is_layer = "/blobs/sha256:" in self.path and answer.getheader("Content-Type") == "application/octet-stream"
        self.send_response(answer.status)
        for name, text in answer.getheaders():
            if name.lower() not in {"transfer-encoding", "connection", "content-length", "date", "server"}:
                self.send_header(name, text)
        if self.server.fault == "other manifest" and "/manifests/sha256:" in self.path and self.command == "GET":
            body = json.dumps(json.loads(body), indent=1).encode()  # the same, in other words
        if self.server.fault == "other layer" and is_layer and self.command == "GET":
            body = body[:-20] + bytes(20)
        self.send_header(
            "Content-Length", answer.getheader("Content-Length") if self.command == "HEAD" else str(len(body))
        )
        self.end_headers()
        if self.command == "HEAD":
            return
        if self.server.fault in {"stalls", "breaks off"} and is_layer:
            self.wfile.write(body[: len(body) // 2])
            self.wfile.flush()
            if self.server.fault == "stalls":
                self.server.over.wait(120)
            self.close_connection = True
            return
        self.wfile.write(body)

    do_HEAD = do_GET  # noqa: N815 - as the library calls it

    def log_message(self, *_: object) -> None:
        """Say nothing."""


@pytest.fixture
def client() -> Iterator[DockerClient]:
    made = docker.from_env()
    yield made
    made.close()


@pytest.fixture
def proxy(tmp_path: Path, not_run: Callable[[str], None]) -> Iterator[Proxy]:
    with registry_here(tmp_path, not_run) as port:
        made = Proxy(port)
        thread = threading.Thread(target=made.serve_forever)
        thread.start()
        yield made
        made.over.set()
        made.shutdown()
        thread.join()
        made.server_close()


@pytest.mark.parametrize("fault", ["stalls", "breaks off", "other layer", "other manifest"])
def test_what_a_registry_does_wrong_is_said_and_nothing_of_it_is_kept(
    client: DockerClient, proxy: Proxy, fault: str, tmp_path: Path
) -> None:
    digest = pushed(client, f"localhost:{proxy.registry}/python:3.7-slim", tmp_path)
    tag = f"{proxy.address}/python:3.7-slim"
    (tmp_path / "base-images.toml").write_text(f'[images]\n"3.7" = "{tag}"\n')
    lock = f'[images]\n"3.7" = {{ image = "{tag}", digest = "{digest}", pulled = "2026-11-01" }}\n'
    (tmp_path / "base-images.lock").write_text(lock)
    proxy.fault = fault
    started = time.monotonic()
    with pytest.raises(MachineError, match=r"python@sha256:\w+ cannot be pulled: (.|\n)*`--base offline`") as said:
        images_of(client, tmp_path, silence_s=SILENCE_S).provide("3.7", lambda _: None)
    assert time.monotonic() - started < 180
    assert len(str(said.value).splitlines()) == 2
    kept = [name for image in client.images.list() for name in image.tags + (image.attrs["RepoDigests"] or [])]
    assert [name for name in kept if name.startswith(proxy.address)] == []
    assert (tmp_path / "base-images.lock").read_text() == lock

    proxy.fault = ""
    proxy.over.set()
    made = images_of(client, tmp_path).provide("3.7", lambda _: None)
    assert made.identity == digest
    client.images.remove(client.images.get(made.tag).id or "", force=True)
