"""The disk that a 100-cell matrix takes with `run --prune-images`, against what its images take together.

Runs `python -m runner` on a matrix of TensorFlow releases and as many sets of environment variables as make 100 cells,
with one seed. Meanwhile it watches the free space of the engine's file system, and each image that comes by: the sum of
what these hold of their own is what the matrix takes without pruning. Other users of the engine disturb the figures.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import docker
from runner.engines.docker.base_images import FROM, REPOSITORY

if TYPE_CHECKING:
    from docker import DockerClient

TENSORFLOW = ("2.12.1", "2.13.1", "2.14.1", "2.15.1", "2.16.1", "2.16.2", "2.17.0", "2.17.1", "2.18.0", "2.18.1")
CELLS = 100
LOOK_EVERY_S = 0.5
SCRIPT = """\
import json, os
if os.environ["CELL"] == "0":  # once an environment: that it works is seen, and the rest is quick
    import tensorflow
with open(os.environ["RUNNER_METRICS"], "a") as metrics:
    for epoch in range(20):
        print(json.dumps({"epoch": epoch, "loss": 0.5 ** epoch}), file=metrics)
"""


@dataclass(kw_only=True)
class Watch:
    """What the engine's disk looked like while a command ran; all in bytes."""

    client: DockerClient
    root: Path
    before: set[str]
    """The images that were there already."""
    free_first: int
    free_least: int
    own: dict[str, int] = field(default_factory=dict)
    """By its name, what an image holds that the one below it does not."""
    most_at_once: int = 0

    def look(self) -> None:
        self.free_least = min(self.free_least, shutil.disk_usage(self.root).free)
        images = {
            tag: image
            for image in self.client.api.images(filters={"reference": f"{REPOSITORY}/*"})
            for tag in image["RepoTags"] or []
            if tag not in self.before
        }
        for tag, image in images.items():
            if tag not in self.own:
                with contextlib.suppress(docker.errors.ImageNotFound, KeyError):  # gone again, or a base image
                    below = self.client.images.get(image["Labels"][FROM])
                    self.own[tag] = image["Size"] - below.attrs["Size"]
        self.most_at_once = max(self.most_at_once, sum(self.own.get(tag, 0) for tag in images))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--base", default=os.environ.get("RUNNER_BASE", "registry"), help="registry or offline")
    parser.add_argument("--tensorflow", nargs="+", default=TENSORFLOW, metavar="VERSION")
    parser.add_argument("--cells", type=int, default=CELLS)
    chosen = parser.parse_args()
    client = docker.from_env(timeout=600)
    root = Path(client.info()["DockerRootDir"])
    with tempfile.TemporaryDirectory() as folder:
        cells = write_matrix(Path(folder), chosen.tensorflow, chosen.cells)
        run(Path(folder), "lock", chosen.base)
        run(Path(folder), "run", chosen.base, "--dry-run")
        free = shutil.disk_usage(root).free
        before = {tag for image in client.images.list() for tag in image.tags}
        watch = Watch(client=client, root=root, before=before, free_first=free, free_least=free)
        begun = time.perf_counter()
        said = run(Path(folder), "run", chosen.base, "--prune-images", "--format", "json", watch=watch)
    left = {
        tag for image in client.images.list() for tag in image.tags if tag.startswith(f"{REPOSITORY}/env:")
    } - before
    outcomes = [str(row["outcome"]) for row in json.loads(said)]
    assert len(outcomes) == cells
    environments = sum(tag.startswith(f"{REPOSITORY}/env:") for tag in watch.own)
    print(f"{cells} cells, {environments} environments, {time.perf_counter() - begun:.0f} s;", end=" ")
    print(", ".join(f"{outcomes.count(each)} {each}" for each in sorted(set(outcomes))))
    print(
        f"all images together: {sum(watch.own.values()) / 1e9:.2f} GB; most at once: {watch.most_at_once / 1e9:.2f} GB"
    )
    print(f"free space fell by {(watch.free_first - watch.free_least) / 1e9:.2f} GB at most (wheels are counted too)")
    print(f"images of environments left in the end: {len(left)}")
    client.close()


def write_matrix(folder: Path, tensorflow: tuple[str, ...], cells: int) -> int:
    """Write matrix and script; gives the number of cells."""
    sets = max(1, cells // len(tensorflow))
    lines = ["axes:", f"  tensorflow: {json.dumps(list(tensorflow))}", "  keras: era"]
    lines += [f"  env: {json.dumps([f'CELL={number}' for number in range(sets)])}"]
    lines += ["experiment: {script: train.py}", "criterion: loss < 1e-4", "seeds: 1", ""]
    (folder / "matrix.yaml").write_text("\n".join(lines), encoding="utf-8")
    (folder / "train.py").write_text(SCRIPT, encoding="utf-8")
    return sets * len(tensorflow)


def run(folder: Path, command: str, base: str, *further: str, watch: Watch | None = None) -> str:
    """Run the runner to its end, watched; gives what it printed."""
    words = [sys.executable, "-m", "runner", command, "--engine", "docker", *further]
    with (folder / "said").open("w+") as said:
        process = subprocess.Popen(words, cwd=folder, env={**os.environ, "RUNNER_BASE": base}, stdout=said)
        while process.poll() is None:
            if watch:
                watch.look()
            time.sleep(LOOK_EVERY_S)
        said.seek(0)
        text = said.read()
    assert process.returncode == 0 or watch, text[
        -2000:
    ]  # one seed decides nothing, and the runner's exit code says so
    return text


if __name__ == "__main__":
    main()
