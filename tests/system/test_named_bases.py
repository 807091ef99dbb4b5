"""Base images that a matrix names, for real: two, each with a file of its own, below two versions of one package."""

from __future__ import annotations

import io
import json
import tarfile
from typing import TYPE_CHECKING

import pytest
from command import runner, table

import docker
from runner.environments.lock import Ground

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from runner.engines.docker.docker_engine import DockerEngine

pytestmark = [pytest.mark.docker, pytest.mark.slow]
PYTHON = "3.7"
OLD, NEW, BARE = "cm-test/old:1", "cm-test/new:1", "cm-test/bare:1"
SCRIPT = """\
import json, os, six
mark = open("/etc/mark").read()
print(mark, "below", six.__version__, "library path", os.environ["LD_LIBRARY_PATH"])
with open(os.environ["RUNNER_METRICS"], "w") as file:
    file.write(json.dumps({"epoch": 1, "loss": 1.0}))
"""
MATRIX = f"""\
axes: {{six: [1.15.0, 1.16.0]}}
experiment: {{script: train.py}}
base_image: [{{image: "{OLD}", when: six<1.16}}, "{NEW}"]
seeds: 1
"""
CHANGES = ["USER nobody", 'ENTRYPOINT ["/bin/echo", "in the way"]', "ENV LD_LIBRARY_PATH=/opt/cuda/lib64"]


@pytest.fixture
def marked(docker_engine: DockerEngine) -> Iterator[Callable[[str, str], None]]:
    """Makes a base image of the usual one, under a name, with a file of its own; all go in the end."""
    client = docker.from_env()
    usual = docker_engine._images.interpreter(Ground(PYTHON), lambda _: None).base_tag

    def make(name: str, mark: str) -> None:
        container = client.containers.create(usual, ["true"])
        packed = io.BytesIO()
        with tarfile.open(fileobj=packed, mode="w") as archive:
            entry = tarfile.TarInfo("mark")
            entry.size, entry.mode = len(mark), 0o644
            archive.addfile(entry, io.BytesIO(mark.encode()))
        container.put_archive("/etc", packed.getvalue())
        container.commit(*name.split(":"), changes=CHANGES)
        container.remove()

    yield make
    for image in docker_engine.images():
        if image.lock_name.startswith(("six-", "base:named-")):
            docker_engine.remove_image(image.reference)
    for name in (OLD, NEW, BARE):
        if client.images.list(name):
            client.images.remove(name)
    client.close()


def cells(folder: Path) -> dict[str, dict[str, str]]:
    """The cells of the last run by their version."""
    shown = (runner(folder, "show", f"six={version}", "--format", "json") for version in ("1.15.0", "1.16.0"))
    return {cell["values"]["six"]: cell for cell in (json.loads(one.stdout) for one in shown)}


def logged(folder: Path) -> list[str]:
    return sorted(path.read_text().splitlines()[0] for path in (folder / ".runner" / "logs").glob("*.log"))


def test_each_cell_runs_on_its_own_base_image_and_another_one_of_that_name_runs_its_trials_anew(
    marked: Callable[[str, str], None], tmp_path: Path
) -> None:
    (tmp_path / "train.py").write_text(SCRIPT)
    (tmp_path / "matrix.yaml").write_text(MATRIX)
    marked(OLD, "old")
    marked(NEW, "new")
    done = runner(tmp_path, "run", "--engine", "docker")
    assert "2 trials ran now" in done.stdout, done.stdout + done.stderr
    path = "library path /opt/cuda/lib64"
    assert logged(tmp_path) == [f"new below 1.16.0 {path}", f"old below 1.15.0 {path}"]
    first = cells(tmp_path)
    assert [one["base_image"] for one in first.values()] == [OLD, NEW]
    assert len({one["base_identity"] for one in first.values()} | {one["image"] for one in first.values()}) == 4
    with_docker = docker.from_env()
    with_docker.images.get(OLD).tag(*NEW.split(":"))
    with_docker.close()
    planned = json.loads(runner(tmp_path, "plan", "--engine", "docker", "--format", "json").stdout)
    assert [(one["base image"], one["finished"]) for one in planned] == [(OLD, 1), (NEW, 0)]
    assert [one["seeds"] for one in table(tmp_path, "docker")] == [1, 1]  # a look: as the last run had them
    again = runner(tmp_path, "run", "--engine", "docker")
    assert "1 trial ran now" in again.stdout, again.stdout + again.stderr
    assert logged(tmp_path)[-2:] == [f"old below 1.15.0 {path}", f"old below 1.16.0 {path}"]
    second = cells(tmp_path)
    assert {one["base_identity"] for one in second.values()} == {first["1.15.0"]["base_identity"]}


def test_an_image_that_is_not_there_or_has_no_cpython_is_told_before_anything_is_made(
    docker_engine: DockerEngine, marked: Callable[[str, str], None], tmp_path: Path
) -> None:
    (tmp_path / "train.py").write_text(SCRIPT)
    text = "axes: {six: [1.15.0]}\nexperiment: {script: train.py}\nseeds: 1\nbase_image: "
    (tmp_path / "matrix.yaml").write_text(f"{text}cm-test/nowhere:1\n")
    done = runner(tmp_path, "run", "--engine", "docker")
    assert done.returncode == 4, done.stderr
    assert "The base image cm-test/nowhere:1 can't be had for linux/" in done.stderr
    assert "`docker build --tag cm-test/nowhere:1`" in done.stderr
    with_docker = docker.from_env()
    empty = io.BytesIO()
    tarfile.open(fileobj=empty, mode="w").close()
    with_docker.api.import_image_from_data(empty.getvalue(), *BARE.split(":"))
    with_docker.close()
    (tmp_path / "matrix.yaml").write_text(text + BARE)
    done = runner(tmp_path, "run", "--engine", "docker")
    assert done.returncode == 2, done.stderr
    assert f"The base image {BARE} has no CPython that trials can run with" in done.stderr
    assert not (tmp_path / "locks").exists()
    assert not any(BARE.split(":", maxsplit=1)[0] in image.reference for image in docker_engine.images())
