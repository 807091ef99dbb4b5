"""What a build makes of the docker command's words, with a script in its place."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import pytest
from waiting import PATIENCE_S, until

from runner.engines.docker.buildkit import BuildClient, Builder, ImageBuild, build_client
from runner.errors import BuildFailedError, EngineLostError, MachineError, StoppedError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    PathOf = Callable[..., list[Path]]

NOWHERE = "/nowhere"

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
def builder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Builder:
    """A builder whose docker command is a script that a test writes (`docker_is`)."""
    monkeypatch.setenv("RUNNER_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("DOCKER_HOST", "unix:///nowhere")
    return Builder(lambda: BuildClient(path=tmp_path / "docker", version="20.10", buildx=False))


def docker_is(script: str, folder: Path) -> Path:
    """Write the docker command; gives the file that it writes its arguments to, if it does."""
    command = folder / "docker"
    command.write_text(f"#!/bin/sh\ncd {folder}\n{script}\n")
    command.chmod(0o755)
    return folder / "arguments"


def build(folder: Path, builder: Builder) -> list[str]:
    said: list[str] = []
    image = ImageBuild(
        context=folder,
        dockerfile=folder / "Dockerfile",
        tag="some:tag",
        target="layer",
        arguments={"FROM": "below:1"},
        labels={"lock": "tiny"},
    )
    builder.build(image, said.append)
    return said


def test_a_build_has_no_network_and_none_of_the_users_proxies(builder: Builder, tmp_path: Path) -> None:
    arguments = docker_is(
        'printf "%s\\n" "$@" > arguments; echo "#5 0.4 Installed 1 package"; echo "#5 DONE 0.5s"', tmp_path
    )
    assert build(tmp_path, builder) == ["Installed 1 package"]
    given = arguments.read_text().splitlines()
    assert given[given.index("--network") + 1] == "none"
    assert {"HTTP_PROXY=", "https_proxy=", "NO_PROXY=", "FROM=below:1", "lock=tiny"} <= set(given)
    assert given[-1] == str(tmp_path)


def test_a_step_that_fails_is_told_in_its_own_words(builder: Builder, tmp_path: Path) -> None:
    docker_is(FAILED, tmp_path)
    with pytest.raises(BuildFailedError) as caught:
        build(tmp_path, builder)
    assert (caught.value.stage, str(caught.value)) == (
        "image-build",
        "error: Hash mismatch for thin\n  Expected: 00",
    )


def test_a_full_disk_is_the_machines_failure(builder: Builder, tmp_path: Path) -> None:
    docker_is('echo "#5 0.4 OSError: [Errno 28] No space left on device"; exit 1', tmp_path)
    with pytest.raises(MachineError, match=r"The disk of the Docker engine is full \(while building some:tag\)"):
        build(tmp_path, builder)


def test_a_lost_engine_is_asked_again(builder: Builder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tenacity.nap.time.sleep", lambda _: None)
    lost = 'echo "ERROR: Cannot connect to the Docker daemon at unix:///nowhere."; exit 1'
    docker_is(f"echo . >> arguments; [ $(wc -l < arguments) = 2 ] || {{ {lost}; }}", tmp_path)
    build(tmp_path, builder)
    (tmp_path / "arguments").unlink()
    docker_is(f"echo . >> arguments; {lost}", tmp_path)
    with pytest.raises(EngineLostError, match="The Docker engine was lost while building some:tag"):
        build(tmp_path, builder)
    assert (tmp_path / "arguments").read_text() == ".\n.\n.\n"


def test_stopping_ends_a_build_and_starts_no_other(builder: Builder, tmp_path: Path) -> None:
    started = docker_is("touch arguments; exec sleep 60", tmp_path)
    raised: list[Exception] = []

    def attempt() -> None:
        try:
            build(tmp_path, builder)
        except StoppedError as error:
            raised.append(error)

    thread = threading.Thread(target=attempt)
    thread.start()
    until(started.exists, "the build")
    builder.stop()
    thread.join(PATIENCE_S)
    assert len(raised) == 1
    with pytest.raises(StoppedError):
        build(tmp_path, builder)


def test_a_context_is_gone_after_its_build_and_the_next_one_of_a_thread_has_its_path(
    builder: Builder, tmp_path: Path
) -> None:
    docker_is("true", tmp_path)
    with builder.context() as context:
        assert context.is_relative_to(tmp_path / "cache")
        (context / "wheel").touch()
        with ThreadPoolExecutor(1) as pool:
            assert pool.submit(lambda: next(_path(builder))).result() != context
    assert not context.exists()
    with builder.context() as again:
        assert again == context
        assert not list(again.iterdir())


def _path(builder: Builder) -> Iterator[Path]:
    with builder.context() as context:
        yield context


BARE = 'case "$*" in --version) echo "Docker version 28.2.2, build e6534b4" ;; *) exit 1 ;; esac'
LEGACY = 'case "$*" in --version) echo "Docker version 20.10.24+dfsg1, build 297e128" ;; *) exit 1 ;; esac'
BUILDX = """case "$*" in
    --version) echo "Docker version 28.2.2, build e6534b4" ;;
    "buildx version") echo "github.com/docker/buildx v0.24.0 d0e5e86" ;;
esac"""


@pytest.fixture
def path_of(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> PathOf:
    """Put `docker` commands on PATH, in this order, and no other ones."""

    def put(*scripts: str) -> list[Path]:
        commands = []
        for number, script in enumerate(scripts):
            folder = tmp_path / str(number)
            folder.mkdir()
            command = folder / "docker"
            command.write_text(f"#!/bin/sh\n{script}\n")
            command.chmod(0o755)
            commands.append(command)
        monkeypatch.setenv("PATH", ":".join(str(command.parent) for command in commands))
        return commands

    return put


def test_the_first_command_that_can_build_is_taken_not_the_first_on_path(path_of: PathOf) -> None:
    _, legacy = path_of(BARE, LEGACY)
    client = build_client(NOWHERE)
    assert (client.path, client.buildx) == (legacy, False)
    assert str(client) == f"{legacy} (BuildKit of docker 20.10.24+dfsg1)"
    assert client.command("folder") == [str(legacy), "build", "--progress", "plain", "folder"]
    assert client.environment()["DOCKER_BUILDKIT"] == "1"


def test_a_command_with_buildx_loads_what_it_builds(path_of: PathOf) -> None:
    (command,) = path_of(BUILDX)
    client = build_client(NOWHERE)
    assert str(client) == f"{command} (buildx 0.24.0)"
    assert client.command("folder") == [str(command), "buildx", "build", "--load", "--progress", "plain", "folder"]


@pytest.mark.parametrize(
    ("scripts", "found"),
    [((BARE,), r"/0/docker \(28\.2\.2\) has no buildx plugin"), ((), "there is no docker command on PATH")],
)
def test_where_no_command_can_build_it_is_said_with_a_remedy(
    scripts: tuple[str, ...], found: str, path_of: PathOf
) -> None:
    path_of(*scripts)
    with pytest.raises(MachineError, match=f"(?s)No docker command here can build.*{found}.*Install the plugin"):
        build_client(NOWHERE)
