"""The same image again: by the printed commands without this tool, from an empty cache, and with no network at all."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest
from command import REPOSITORY, environment, runner
from fake_index import wheel

import docker
from runner.cache import cache_folder
from runner.engines.docker.buildkit import forget_bytecode
from runner.engines.docker.docker_engine import DockerEngine

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

pytestmark = pytest.mark.slow

MATRIX = """\
axes:
  absl-py: ["0.7.0"]
  termcolor: ["1.1.0"]
  python: ["3.7"]
experiment: {script: train.py}
"""
"""Two source distributions of their time, absl-py with a need that is a wheel."""

CONTENTS = """
import hashlib, json, os
found = {}
for root in ("/env", "/usr/local/lib", "/tmp", "/mnt", "/media"):
    for place, folders, files in os.walk(root):
        for name in files:
            path = os.path.join(place, name)
            kind = os.readlink(path) if os.path.islink(path) else hashlib.sha256(open(path, "rb").read()).hexdigest()
            found[path] = [kind, oct(os.lstat(path).st_mode)]
print(json.dumps(found))
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "matrix").mkdir()
    (tmp_path / "matrix" / "train.py").write_text("import absl\n")
    (tmp_path / "matrix" / "matrix.yaml").write_text(MATRIX)
    return tmp_path / "matrix"


@pytest.fixture
def made(folder: Path) -> Iterator[str]:
    """The image of the matrix's one environment; gone in the end."""
    image = build(folder)
    yield image
    remove(image)


def build(folder: Path, *before: str, **variables: str) -> str:
    command = [*before, sys.executable, "-m", "runner", "build", "--engine", "docker", "--format", "json"]
    env = environment() | variables
    done = subprocess.run(command, cwd=folder, env=env, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    # what was installed is only said by a step that ran: one that the engine remembers would show nothing
    assert " + absl-py==0.7.0" in done.stderr
    assert " + termcolor==1.1.0" in done.stderr
    reference: str = json.loads(done.stdout)[0]["image"]
    return reference


def contents(image: str) -> dict[str, list[str]]:
    done = subprocess.run(
        ["/usr/bin/docker", "run", "--rm", "--network", "none", image, "python3", "-c", CONTENTS],
        capture_output=True,
        text=True,
        check=True,
    )
    found: dict[str, list[str]] = json.loads(done.stdout)
    return found


def remove(image: str) -> None:
    """Remove an image with what below it no other one stands on."""
    engine = DockerEngine.connect(environment()["RUNNER_BASE"])
    assert engine.remove_image(image)
    engine.close()


def difference(one: dict[str, list[str]], other: dict[str, list[str]]) -> list[str]:
    return sorted(path for path in one.keys() | other.keys() if one.get(path) != other.get(path))


@pytest.mark.docker
@pytest.mark.network
@pytest.mark.usefixtures("cpython_3_7")
def test_the_printed_commands_make_the_same_image_without_the_tool(folder: Path, tmp_path: Path) -> None:
    """With a wheel file of the project and its own package."""
    (folder / "wheels").mkdir()
    (folder / "wheels" / "kept-1.0-py3-none-any.whl").write_bytes(wheel("kept", "1.0", [], {"kept.py": "X = 1\n"}))
    (folder / "setup.py").write_text("import setuptools; setuptools.setup(name='mine', py_modules=['mine'])")
    (folder / "mine.py").write_text("X = 2\n")
    written = MATRIX.replace("train.py}", "train.py, install: .}")
    (folder / "matrix.yaml").write_text(f"{written}packages: [./wheels/kept-1.0-py3-none-any.whl]\n")
    made = build(folder)
    printed = runner(folder, "build", "--engine", "docker", "--print-dockerfile", "absl-py=0.7.0").stdout
    by_hand = tmp_path / "by-hand"
    by_hand.mkdir()
    (by_hand / "Dockerfile").write_text(printed)
    *before, last = re.findall(r"^#   ((?:python3|mkdir|DOCKER_BUILDKIT).*)$", printed, flags=re.MULTILINE)
    if certificates := os.environ.get("SSL_CERT_FILE"):
        last += f" --secret id=certificates,src={certificates}"
    tag = re.search(r"--tag (\S+)", last)
    assert tag is not None
    try:
        for line in (*before, last):
            env = {**os.environ, "PATH": f"/usr/bin:{os.environ['PATH']}"}
            done = subprocess.run(line, shell=True, cwd=by_hand, env=env, capture_output=True, text=True, check=False)
            assert done.returncode == 0, done.stderr
        ours, theirs = contents(made), contents(tag[1])
        for name in ("absl_py-0.7.0.dist-info", "kept-1.0.dist-info", "site-packages/mine.py"):
            assert any(name in path for path in ours), name
        assert difference(ours, theirs) == []
    finally:
        remove(made)
        for name in ("uv", "own-wheels"):
            shutil.rmtree(REPOSITORY / "docker" / name, ignore_errors=True)
        subprocess.run(["/usr/bin/docker", "rmi", "--force", tag[1]], capture_output=True, check=False)


@pytest.mark.docker
@pytest.mark.network
@pytest.mark.usefixtures("cpython_3_7")
def test_two_builds_from_two_empty_caches_have_the_same_contents(folder: Path, tmp_path: Path) -> None:
    seen, client = [], docker.from_env()
    for number in range(2):
        forget_bytecode(client)
        cache = tmp_path / f"cache-{number}"
        cache.mkdir()
        (cache / "docker").symlink_to(
            cache_folder() / "docker"
        )  # the base image: made once, its own tests are elsewhere
        image = build(folder, RUNNER_CACHE=str(cache))
        seen.append(contents(image))
        remove(image)
    client.close()
    assert any("termcolor-1.1.0.dist-info" in path for path in seen[0])
    assert difference(*seen) == []


@pytest.mark.docker
@pytest.mark.network
@pytest.mark.usefixtures("cpython_3_7")
def test_an_image_is_made_again_with_the_network_unplugged(folder: Path, made: str) -> None:
    before = contents(made)
    remove(made)
    again = build(folder, "unshare", "--net", "--")
    assert again == made
    assert difference(before, contents(again)) == []


@pytest.mark.docker
@pytest.mark.network
@pytest.mark.usefixtures("cpython_3_7")
def test_pruned_images_leave_nothing_and_share_their_base_until_then(folder: Path) -> None:
    (folder / "matrix.yaml").write_text(MATRIX.replace('["1.1.0"]', '["1.0.1", "1.1.0"]') + "seeds: 1\n")
    engine = DockerEngine.connect(environment()["RUNNER_BASE"])
    before = {image.reference for image in engine.images()}
    done = runner(folder, "run", "--engine", "docker", "--prune-images", "-j", "1")
    after = {image.reference for image in engine.images()}
    engine.close()
    assert "2 trials ran now" in done.stdout, done.stderr
    assert done.stderr.count("packages of the base") == 1
    assert after <= before
