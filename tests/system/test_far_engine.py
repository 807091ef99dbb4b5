"""An engine that shares no file with this machine: files are copied to it and back, within limits, and told."""

from __future__ import annotations

import contextlib
import json
import signal
import socket
import subprocess
import threading
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest
from command import REPOSITORY, runner, started, table
from conftest import CONTAINER_PYTHON
from small_engine import small_engine, why_none
from tiny_lock import LIMITS, ended, job_of, tiny_lock, tiny_wheelhouse
from waiting import PATIENCE_S, until

import docker
from runner.cache import cache_folder
from runner.engines.docker.docker_engine import DockerEngine
from runner.engines.protocol import Cut, Image, Mount

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

pytestmark = [pytest.mark.docker, pytest.mark.slow, pytest.mark.timeout(600)]

MATRIX = """\
axes:
  six: [1.16.0]
  script: [{scripts}]
  python: ["{python}"]
experiment:
  timeout: 2m
  data: [{{sets: data}}, {{one.txt: "~/one.txt"}}]
  artifacts: ["*.txt"]
criterion: loss < 1e-4
seeds: 1
"""
GOOD = """\
import json, os, pathlib
import six
first = json.load(open("data/in.json"))["loss"]
assert open(os.path.expanduser("~/one.txt")).read() == "one"
for place in ("data/in.json", os.path.expanduser("~/one.txt")):
    try:
        open(place, "w")
    except OSError as error:
        print("can't be written", error.errno)
pathlib.Path("out.txt").write_text(six.__version__)
with open(os.environ["RUNNER_METRICS"], "a") as file:
    for epoch in range(5):
        file.write(json.dumps({"epoch": epoch, "loss": first * 10.0 ** -epoch}) + "\\n")
"""
SLOW = "import time\nprint('at work', flush=True)\ntime.sleep(600)\n"


def forwarded(host: str) -> tuple[socket.socket, str]:
    """An address of TCP behind which a local socket is, as `ssh -L` makes one; ends when the first is closed."""
    listening = socket.create_server(("127.0.0.1", 0))

    def carry(source: socket.socket, target: socket.socket) -> None:
        with contextlib.suppress(OSError):
            while data := source.recv(65536):
                target.sendall(data)
            target.shutdown(socket.SHUT_WR)

    def connect(near: socket.socket) -> None:
        with near, socket.socket(socket.AF_UNIX) as far:
            far.connect(host.removeprefix("unix://"))
            back = threading.Thread(target=carry, args=(far, near))
            back.start()
            carry(near, far)
            back.join()

    def serve() -> None:
        with contextlib.suppress(OSError):
            while True:
                near, _ = listening.accept()
                threading.Thread(target=connect, args=(near,)).start()

    threading.Thread(target=serve, daemon=True).start()
    return listening, f"tcp://127.0.0.1:{listening.getsockname()[1]}"


@pytest.fixture(scope="module")
def far(
    docker_engine: DockerEngine, not_run: Callable[[str], None], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[str]:
    """The address of the engine; it has the base images of the other one."""
    if reason := why_none():
        not_run(reason)
    image = docker_engine.toolchain(CONTAINER_PYTHON).image  # type: ignore[attr-defined]
    hidden = (tmp_path_factory.getbasetemp(), cache_folder(), REPOSITORY)
    with small_engine(hidden=hidden) as engine:
        with subprocess.Popen(["docker", "save", image.tag, image.base_tag], stdout=subprocess.PIPE) as saved:
            load = ["docker", "--host", engine.host, "load"]
            subprocess.run(load, stdin=saved.stdout, check=True, capture_output=True)
        listening, address = forwarded(engine.host)
        with listening, pytest.MonkeyPatch.context() as patch:
            patch.setenv("DOCKER_HOST", address)
            patch.setenv("RUNNER_BASE", "offline")
            yield address


@pytest.fixture(scope="module")
def far_engine(far: str) -> Iterator[DockerEngine]:
    engine = DockerEngine.connect("offline")
    yield engine
    engine.close()
    assert left(far) == ([], []), "closed, it has nothing there"


@pytest.fixture(scope="module")
def far_image(far_engine: DockerEngine, tmp_path_factory: pytest.TempPathFactory) -> Image:
    wheelhouse = tiny_wheelhouse(tmp_path_factory.mktemp("wheels"))
    return far_engine.make(tiny_lock(wheelhouse, CONTAINER_PYTHON), wheelhouse, lambda _: None, labels={})


def left(host: str) -> tuple[list[str], list[str]]:
    """The containers and volumes of an engine."""
    client = docker.DockerClient(base_url=host)
    try:
        containers = [str(each.id) for each in client.containers.list(all=True, ignore_removed=True)]
        return containers, [str(each.id) for each in client.volumes.list()]
    finally:
        client.close()


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name, scripts in (("matrix.yaml", "good.py, bad.py"), ("slow.yaml", "slow.py, bad.py")):
        (tmp_path / name).write_text(MATRIX.format(python=CONTAINER_PYTHON, scripts=scripts))
    for name, text in (("good.py", GOOD), ("bad.py", "raise RuntimeError('broken')\n"), ("slow.py", SLOW)):
        (tmp_path / name).write_text(text)
    (tmp_path / "sets").mkdir()
    (tmp_path / "sets" / "in.json").write_text('{"loss": 0.001}')
    (tmp_path / "one.txt").write_text("one")
    return tmp_path


@pytest.mark.network
@pytest.mark.usefixtures("far")
def test_a_matrix_is_run_where_no_file_is_shared_and_that_is_told(folder: Path, far: str) -> None:
    done = runner(folder, "matrix.yaml", "--engine", "docker")
    rows = {row["script"]: row for row in table(folder, "docker")}
    assert {name: row["outcome"] for name, row in rows.items()} == {
        "good.py": "converges",
        "bad.py": "breaks (crashed-at-start)",
    }, done.stderr
    assert f"{far} shares none with this machine" in runner(folder, "doctor", "--engine", "docker").stdout.replace(
        "\n", ""
    )
    assert [path.read_text() for path in (folder / ".runner").glob("artifacts/*/*.txt")] == ["1.16.0"]
    logs = "".join(path.read_text() for path in (folder / ".runner" / "logs").iterdir())
    assert logs.count("can't be written 30") == 2, "data are on a file system that can't be written"
    assert "RuntimeError: broken" in logs
    assert list((folder / ".runner" / "jobs").iterdir()) == []
    assert left(far) == ([], [])


@pytest.mark.network
@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGKILL])
def test_a_run_that_is_ended_leaves_nothing_there_or_the_next_one_removes_it(
    folder: Path, far: str, how: signal.Signals
) -> None:
    with started(folder, "slow.yaml", "--engine", "docker", "--only", "script=slow.py") as process:
        try:
            until(
                lambda: b"at work" in b"".join(log.read_bytes() for log in folder.glob(".runner/jobs/*/log")), "the job"
            )
        finally:
            process.send_signal(how)
        process.communicate(timeout=PATIENCE_S)
    if how is signal.SIGINT:
        assert process.returncode == 130
    else:
        assert left(far)[0] != []
        assert "left over" in runner(folder, "slow.yaml", "--engine", "docker", "--only", "script=bad.py").stderr
    assert left(far) == ([], [])


def test_a_container_is_a_prison_there_too(far_engine: DockerEngine, far_image: Image, tmp_path: Path) -> None:
    (tmp_path / "data.txt").write_text("data")
    job = job_of("show_prison.py", tmp_path, mounts=(Mount(source=tmp_path / "data.txt", target="data.txt"),))
    assert ended(far_engine.run(far_image, job)) == (0, None, None), job.folder.log.read_text()
    seen = json.loads(job.folder.log.read_text())
    assert seen["uid"] == 65532
    same = ("interfaces", "root", "environment", "probe", "data", "capabilities", "no new privileges", "seccomp")
    assert [seen[name] for name in same] == [["lo"], *["OSError 30"] * 4, 0, "1", "2"]
    assert {seen[name] for name in ("remove the channel", "replace the channel")} <= {
        "PermissionError 13",
        "OSError 18",
    }
    assert seen["channel"] == "done"


def test_what_a_job_says_is_at_home_while_it_runs(far_engine: DockerEngine, far_image: Image, tmp_path: Path) -> None:
    job = job_of("sleep_long.py", tmp_path)
    (job.folder.work / "sleep_long.py").write_text(
        "import os, time\nopen(os.environ['RUNNER_METRICS'], 'a').write('first')\n"
        "while not os.path.exists('/tmp/never'): time.sleep(0.1)\n"
    )
    job = replace(job, limits=replace(LIMITS, timeout_s=8.0, grace_s=0.1))
    endings = []
    running = threading.Thread(target=lambda: endings.append(far_engine.run(far_image, job)))
    running.start()
    until(lambda: job.folder.metrics.exists() and job.folder.metrics.read_text() == "first", "what it says")
    assert running.is_alive()
    running.join(PATIENCE_S)
    assert endings[0].cut is Cut.TIMEOUT


def test_the_disk_is_limited_there_too(far_engine: DockerEngine, far_image: Image, tmp_path: Path) -> None:
    job = job_of("fill_disk.py", tmp_path, limits=replace(LIMITS, disk_bytes=8 * 1024**2))
    assert far_engine.run(far_image, job).cut is Cut.DISK
    assert sum(path.stat().st_size for path in job.folder.work.iterdir()) <= 8 * 1024**2


def test_links_that_a_job_leaves_there_do_not_come_home(
    far_engine: DockerEngine, far_image: Image, tmp_path: Path
) -> None:
    job = job_of("plant_links.py", tmp_path, argv=("plant_links.py", str(tmp_path)))
    assert ended(far_engine.run(far_image, job)) == (0, None, None)
    assert [path.name for path in job.folder.work.iterdir()] == ["plant_links.py"]


def test_a_shell_there_sees_what_a_job_sees(far_engine: DockerEngine, far_image: Image, tmp_path: Path) -> None:
    command, variables = far_engine.shell_command(far_image, job_of("show_prison.py", tmp_path))
    typed = "id -u; pwd; echo $HOME; ls; touch /planted\n"
    done = subprocess.run(command, env=variables, input=typed, capture_output=True, text=True, check=False)
    assert done.stdout.split() == ["65532", "/work", "/home/runner", "show_prison.py"], done.stderr
    assert "Read-only file system" in done.stderr


def test_uv_works_there_on_files_from_here(far_engine: DockerEngine, tmp_path: Path) -> None:
    folder = tmp_path / "resolving"
    folder.mkdir()
    wheels = tiny_wheelhouse(folder).wheels
    assert len(wheels) == 1
    (folder / "wanted.txt").write_text("tiny\n")
    words = (
        "pip compile --offline --no-index --find-links /folder wanted.txt --output-file locked.txt --generate-hashes"
    )
    done = far_engine.toolchain(CONTAINER_PYTHON).uv(words.split(), folder=folder)
    assert done.returncode == 0, done.stderr
    assert f"tiny==1.0 \\\n    --hash=sha256:{wheels[0].sha256}" in (folder / "locked.txt").read_text()


def test_a_stranger_s_build_runs_there_and_its_wheel_comes_home(far_engine: DockerEngine, tmp_path: Path) -> None:
    source = tmp_path / "project"
    source.mkdir()
    (source / "pyproject.toml").write_text(
        '[build-system]\nrequires = []\nbuild-backend = "backend"\nbackend-path = ["."]\n'
    )
    (source / "backend.py").write_text(
        "import os, zipfile\n"
        "def build_wheel(folder, config_settings=None, metadata_directory=None):\n"
        "    name = 'mine-1.0-py3-none-any.whl'\n"
        "    with zipfile.ZipFile(os.path.join(folder, name), 'w') as wheel:\n"
        "        wheel.writestr('mine.py', 'UID = %d' % os.getuid())\n"
        "        about = 'Metadata-Version: 2.1\\nName: mine\\nVersion: 1.0\\n'\n"
        "        wheel.writestr('mine-1.0.dist-info/METADATA', about)\n"
        "        wheel.writestr('mine-1.0.dist-info/WHEEL', 'Wheel-Version: 1.0\\nTag: py3-none-any\\n')\n"
        "        wheel.writestr('mine-1.0.dist-info/RECORD', '')\n"
        "    return name\n"
    )
    done = far_engine.toolchain(CONTAINER_PYTHON).build("project", [], folder=tmp_path)
    assert done.returncode == 0, done.stderr
    assert [path.name for path in (tmp_path / "made").glob("*.whl")] == ["mine-1.0-py3-none-any.whl"]
