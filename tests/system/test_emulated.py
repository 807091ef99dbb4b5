"""A matrix of a platform that this machine's engine emulates: locks, environments and trials of it, for real.

It is of the long proofs (RUNNER_ALL_KINDS=1, as `tox -e full` says), for its base image takes minutes:
`apt-get install qemu-user-static binfmt-support debootstrap`.
"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from command import runner, table

import docker

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from runner.engines.docker.docker_engine import DockerEngine

EMULATOR = Path("/proc/sys/fs/binfmt_misc/qemu-aarch64")
IMAGE = "cm-test/arm64:1"
DOCKERFILE = "FROM scratch\nADD root.tar /\n"
SCRIPT = """\
import json, os, platform, random
import numpy
print(platform.machine(), numpy.__version__)
with open(os.environ["RUNNER_METRICS"], "a") as metrics:
    for epoch in range(3):
        metrics.write(json.dumps({"epoch": epoch, "loss": (0.5 + random.random() / 10) / (epoch + 1)}) + "\\n")
"""
MATRIX = f"""\
axes: {{numpy: [1.24.4, 1.26.4]}}
experiment: {{script: train.py, timeout: 10m}}
platform: linux/arm64
base_image: {IMAGE}
criterion: loss < 1
seeds: 2
"""
pytestmark = [
    pytest.mark.docker,
    pytest.mark.slow,
    pytest.mark.network,
    pytest.mark.skipif("RUNNER_ALL_KINDS" not in os.environ, reason="one of the long proofs: RUNNER_ALL_KINDS=1"),
]


@pytest.fixture
def arm64_image(docker_engine: DockerEngine, tmp_path: Path, not_run: Callable[[str], None]) -> Iterator[None]:
    """Debian's own CPython for arm64, as a base image that a matrix can name; it goes in the end."""
    if not EMULATOR.is_file():
        not_run("this machine runs no programs for arm64: apt-get install qemu-user-static binfmt-support")
    context = tmp_path / "context"
    context.mkdir()
    root = context / "root"
    packages = "python3,python3-venv,ca-certificates"
    try:
        debootstrap = [
            "debootstrap",
            "--arch=arm64",
            "--variant=minbase",
            f"--include={packages}",
            "bookworm",
            str(root),
        ]
        subprocess.run(debootstrap, check=True, capture_output=True)
        subprocess.run(["tar", "-C", str(root), "-cf", str(context / "root.tar"), "."], check=True)
    finally:
        shutil.rmtree(root)
    (context / "Dockerfile").write_text(DOCKERFILE)
    subprocess.run(
        ["/usr/bin/docker", "build", "--quiet", "--platform", "linux/arm64", "--tag", IMAGE, str(context)],
        check=True,
        env={**os.environ, "DOCKER_BUILDKIT": "1"},
    )
    (context / "root.tar").unlink()
    yield
    for image in docker_engine.images():
        if image.lock_name.startswith(("numpy-", "base:named-")):
            docker_engine.remove_image(image.reference)
    with contextlib.closing(docker.from_env()) as client:
        client.images.remove(IMAGE, force=True)


@pytest.mark.usefixtures("arm64_image")
def test_a_matrix_of_another_platform_runs_emulated_and_its_times_are_compared_with_none(tmp_path: Path) -> None:
    folder = tmp_path / "matrix"
    folder.mkdir()
    (folder / "train.py").write_text(SCRIPT)
    (folder / "matrix.yaml").write_text(MATRIX)
    done = runner(folder, "run", "--engine", "docker", "--base", "registry")
    assert done.returncode == 0, done.stderr
    assert "4 trials ran now" in done.stdout
    assert "Emulated: 4 trials on linux/arm64." in done.stdout
    logged = sorted(path.read_text().strip() for path in (folder / ".runner" / "logs").glob("*.log"))
    assert logged == ["aarch64 1.24.4"] * 2 + ["aarch64 1.26.4"] * 2
    cells = [
        json.loads(runner(folder, "show", f"numpy={version}", "--format", "json").stdout)
        for version in ("1.24.4", "1.26.4")
    ]
    assert [(cell["outcome"], cell["emulated"]) for cell in cells] == [("converges", "linux/arm64")] * 2
    assert {cell["base_identity"].partition(" as ")[2] for cell in cells} == {"linux/arm64"}
    again = runner(folder, "run", "--engine", "docker", "--base", "registry")
    assert "2 cells, 4 trials stored." in again.stdout
    assert [row["outcome"] for row in table(folder, "docker", "--base", "registry")] == ["converges"] * 2
