"""Two workers of a cluster with a Docker engine each: what one makes and pushes the other one pulls by its digest."""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING

import pytest
from command import runner
from conftest import CONTAINER_PYTHON
from dask_cluster import dask_cluster
from registries import registry_beside, registry_here
from small_engine import copy_image, small_engine, why_none

from runner.cache import cache_folder
from runner.engines.protocol import EngineKind, Image
from runner.environments.lock import Ground
from runner.trials.store import Store

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from small_engine import SmallEngine

    from runner.engines.docker.docker_engine import DockerEngine

MATRIX = """\
axes: {six: [1.16.0], python: ["3.7"], env: [NUMBER=0, NUMBER=1, NUMBER=2, NUMBER=3]}
experiment: {script: trains.py, timeout: 5m}
criterion: loss < 1
seeds: 1
"""
SCRIPT = """\
import json, os, time
import six
time.sleep(5)  # one engine is not done with all before the other one has the image
with open(os.environ["RUNNER_METRICS"], "a") as metrics:
    metrics.write(json.dumps({"epoch": 1, "loss": int(os.environ["NUMBER"]) / 10}) + "\\n")
"""


@pytest.mark.slow
@pytest.mark.docker
@pytest.mark.network
def test_a_worker_that_lacks_an_image_pulls_what_another_one_pushed(
    docker_engine: DockerEngine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, not_run: Callable[[str], None]
) -> None:
    if reason := why_none():
        not_run(reason)
    folder = tmp_path / "there"
    folder.mkdir()
    (folder / "matrix.yaml").write_text(MATRIX)
    (folder / "trains.py").write_text(SCRIPT)
    with (
        registry_here(tmp_path, not_run) as port,
        small_engine(starts=False) as engine,
        engine.running() as process,
        registry_beside(tmp_path, process.pid),
        dask_cluster(tmp_path / "cluster") as cluster,
    ):
        cache = cluster.folder / "cache-two"
        give_base(docker_engine, engine, cache)
        cluster.add("one", machine="here")
        cluster.add("two", DOCKER_HOST=engine.host)
        monkeypatch.setenv("RUNNER_REGISTRY", f"localhost:{port}/cm")
        done = runner(folder, "matrix.yaml", "--engine", "docker", "--base", "offline", "--cluster", cluster.address)
        assert done.returncode == 0, done.stderr
        with Store(folder / ".runner" / "records.sqlite") as store:
            records = list(store.get(store.keys()).values())
        assert [one.engine for one in records] == ["docker"] * 4
        assert {one.worker for one in records} == {"one", "two"}
        pulled = [path.read_text() for path in (cache / "docker" / "pushed").iterdir()]
        assert [text.partition("@")[0] for text in pulled] == [f"localhost:{port}/cm/env"]
        assert not (cache / "files").exists()  # it fetched no wheel
        assert f"pulling {pulled[0]}" in done.stderr


def give_base(ours: DockerEngine, other: SmallEngine, cache: Path) -> None:
    """Give another engine the base image of this one, and its worker's cache the note that says which that is."""
    interpreter = ours._images.interpreter(Ground(CONTAINER_PYTHON), lambda _: None)
    image = Image(
        engine=EngineKind.DOCKER,
        reference=interpreter.tag,
        lock_digest="",
        base_identity=interpreter.identity,
        python_full=interpreter.python_full,
    )
    copy_image(image, other)
    (cache / "docker").mkdir(parents=True)
    name = f"docker/offline-base-{CONTAINER_PYTHON}.json"
    shutil.copyfile(cache_folder() / name, cache / name)
