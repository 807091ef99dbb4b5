"""What a build makes of the docker command's words, with a script in its place."""

from __future__ import annotations

import threading
import time
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import pytest

from runner.engines.docker import buildkit
from runner.engines.docker.buildkit import BuildClient, Builder, context_folder
from runner.errors import BuildFailedError, EngineLostError, MachineError, StoppedError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

FAILED = """cat <<'END'
#1 [internal] load build definition from Dockerfile
#1 DONE 0.1s
#5 [layer 2/2] RUN install
#5 0.412 error: Hash mismatch for thin
#5 0.413   Expected: 00
#5 ERROR: executor failed running [/bin/sh -c install]: exit code: 1
------
 > [layer 2/2] RUN install:
#5 0.412 error: Hash mismatch for thin
#5 0.413   Expected: 00
------
executor failed running [/bin/sh -c install]: exit code: 1
END
exit 1"""


@pytest.fixture
def docker_is(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], Path]:
    """Let a script stand in for the docker command; gives the file that it writes its arguments to, if it does."""
    monkeypatch.setenv("RUNNER_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("DOCKER_HOST", "unix:///nowhere")

    def put(script: str) -> Path:
        command = tmp_path / "docker"
        command.write_text(f"#!/bin/sh\ncd {tmp_path}\n{script}\n")
        command.chmod(0o755)
        client = BuildClient(path=command, version="20.10", buildx=False)
        monkeypatch.setattr(buildkit, "build_client", lambda: client)
        return tmp_path / "arguments"

    return put


def build(folder: Path, builder: Builder | None = None) -> list[str]:
    said: list[str] = []
    (builder or Builder()).build(
        folder,
        folder / "Dockerfile",
        tag="some:tag",
        target="layer",
        arguments={"FROM": "below:1"},
        labels={"lock": "tiny"},
        say=said.append,
    )
    return said


def test_a_build_has_no_network_and_none_of_the_users_proxies(docker_is: Callable[[str], Path], tmp_path: Path) -> None:
    arguments = docker_is('printf "%s\\n" "$@" > arguments; echo "#5 0.4 Installed 1 package"; echo "#5 DONE 0.5s"')
    assert build(tmp_path) == ["Installed 1 package"]
    given = arguments.read_text().splitlines()
    assert given[given.index("--network") + 1] == "none"
    assert {"HTTP_PROXY=", "https_proxy=", "NO_PROXY=", "FROM=below:1", "lock=tiny"} <= set(given)
    assert given[-1] == str(tmp_path)


def test_a_step_that_fails_is_told_in_its_own_words(docker_is: Callable[[str], Path], tmp_path: Path) -> None:
    docker_is(FAILED)
    with pytest.raises(BuildFailedError) as caught:
        build(tmp_path)
    assert (caught.value.stage, str(caught.value)) == (
        "image-build",
        "error: Hash mismatch for thin\n  Expected: 00",
    )


def test_a_full_disk_is_the_machines_failure(docker_is: Callable[[str], Path], tmp_path: Path) -> None:
    docker_is('echo "#5 0.4 OSError: [Errno 28] No space left on device"; exit 1')
    with pytest.raises(MachineError, match=r"The disk of the Docker engine is full \(while building some:tag\)"):
        build(tmp_path)


def test_a_lost_engine_is_asked_again(
    docker_is: Callable[[str], Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tenacity.nap.time.sleep", lambda _: None)
    lost = 'echo "ERROR: Cannot connect to the Docker daemon at unix:///nowhere."; exit 1'
    docker_is(f"echo . >> arguments; [ $(wc -l < arguments) = 2 ] || {{ {lost}; }}")
    build(tmp_path)
    (tmp_path / "arguments").unlink()
    docker_is(f"echo . >> arguments; {lost}")
    with pytest.raises(EngineLostError, match="The Docker engine was lost while building some:tag"):
        build(tmp_path)
    assert (tmp_path / "arguments").read_text() == ".\n.\n.\n"


def test_stopping_ends_a_build_and_starts_no_other(docker_is: Callable[[str], Path], tmp_path: Path) -> None:
    started = docker_is("touch arguments; exec sleep 60")
    builder = Builder()
    raised: list[Exception] = []

    def attempt() -> None:
        try:
            build(tmp_path, builder)
        except StoppedError as error:
            raised.append(error)

    thread = threading.Thread(target=attempt)
    thread.start()
    deadline = time.monotonic() + 10
    while not started.exists():
        assert time.monotonic() < deadline
        time.sleep(0.01)
    builder.stop()
    thread.join(10)
    assert len(raised) == 1
    with pytest.raises(StoppedError):
        build(tmp_path, builder)


def test_a_context_is_gone_after_its_build_and_the_next_one_of_a_thread_has_its_path(
    docker_is: Callable[[str], Path], tmp_path: Path
) -> None:
    docker_is("true")
    with context_folder() as context:
        assert context.is_relative_to(tmp_path / "cache")
        (context / "wheel").touch()
        with ThreadPoolExecutor(1) as pool:
            assert pool.submit(lambda: next(_path())).result() != context
    assert not context.exists()
    with context_folder() as again:
        assert again == context
        assert not list(again.iterdir())


def _path() -> Iterator[Path]:
    with context_folder() as context:
        yield context
