"""The disk of the Docker engine fills while images are made: said in one message, and nothing half-made is an image."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from command import runner
from conftest import CONTAINER_PYTHON
from small_engine import MEGABYTE, SmallEngine, small_engine, why_none

import docker

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

pytestmark = [pytest.mark.slow, pytest.mark.docker, pytest.mark.network, pytest.mark.timeout(600)]

MATRIX = """\
axes:
  six: [{six}]
  python: ["{python}"]
experiment: {{script: train.py}}
"""


@pytest.fixture
def engine(not_run: Callable[[str], None], monkeypatch: pytest.MonkeyPatch) -> Iterator[SmallEngine]:
    if reason := why_none():
        not_run(reason)
    with small_engine() as made:
        monkeypatch.setenv("DOCKER_HOST", made.host)
        monkeypatch.setenv("RUNNER_BASE", "offline")
        yield made


def images(engine: SmallEngine) -> set[str]:
    """The kinds of images that there are: `debian`, `base`, `interpreter`, `layer`, `env`."""
    client = docker.DockerClient(base_url=engine.host)
    try:
        tags = {tag for image in client.images.list() for tag in image.tags}
        assert not [image for image in client.images.list(all=True) if not image.tags], "images without a name"
        return {tag.partition("/")[2].partition(":")[0] for tag in tags}
    finally:
        client.close()


def build(folder: Path, six: str) -> tuple[int, str]:
    """The exit code of `build`, and what it said last."""
    (folder / "matrix.yaml").write_text(MATRIX.format(six=six, python=CONTAINER_PYTHON))
    (folder / "train.py").touch()
    done = runner(folder, "build", "--engine", "docker")
    assert "Traceback" not in done.stderr
    return done.returncode, done.stderr.splitlines()[-1]


def is_full(said: str, doing: str) -> bool:
    return said.startswith(f"The disk of the Docker engine is full (while {doing}") and "`clean --older-than 0`" in said


def plan(folder: Path) -> str:
    done = runner(folder, "plan", "--engine", "docker")
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.usefixtures("cpython_3_7")
def test_a_disk_that_fills_at_any_step_is_said_and_the_build_goes_on_once_there_is_space(
    engine: SmallEngine, tmp_path: Path
) -> None:
    with engine.full_but(40 * MEGABYTE):
        code, said = build(tmp_path, "1.16.0")
    assert (code, is_full(said, "importing convergence-matrix/debian:")) == (4, True), said
    assert images(engine) == set()

    with engine.full_but(150 * MEGABYTE):
        code, said = build(tmp_path, "1.16.0")
    assert (code, is_full(said, "building convergence-matrix/base:")) == (4, True), said
    assert images(engine) == {"debian"}

    assert build(tmp_path, "1.16.0")[0] == 0
    assert images(engine) == {"debian", "base", "interpreter", "layer", "env"}

    with engine.full_but(2 * MEGABYTE):
        code, said = build(tmp_path, "1.15.0")
        assert "1 to make" in plan(tmp_path)
    assert (code, is_full(said, "building convergence-matrix/layer:")) == (4, True), said
    assert build(tmp_path, "1.15.0")[0] == 0
    assert "0 to make" in plan(tmp_path)
