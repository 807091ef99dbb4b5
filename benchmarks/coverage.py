"""How many of the atlas' TensorFlow releases import: installed in today's ordinary way, and by the runner.

The ordinary way is that of pip, tox and nox: newest CPython with a wheel, today's index, `tensorflow==X keras==Y`.
Ours is read from the stored trials of `experiments/atlas.yaml`: run that first. Long: each environment is installed.
With `--reports FOLDER` it writes `atlas.csv` and `atlas.md` (ours), and `ordinary.csv` (the ordinary way).
"""

from __future__ import annotations

import argparse
import csv
import json
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from uv import find_uv_bin

from runner.environments.index.catalog import Catalog
from runner.environments.interpreters import newest_of
from runner.environments.target import installable, machine_of
from runner.matrix.cells import expand
from runner.matrix.matrix_file import Matrix
from runner.matrix.settle import settle

ATLAS = Path(__file__).parents[1] / "experiments" / "atlas.yaml"
PYTHONS = [f"3.{minor}" for minor in range(13, 5, -1)]
OURS = ("tensorflow", "keras", "import", "outcome", "final_loss")
COLUMNS = ("tensorflow", "keras", "cpython", "imports", "reason")
NEVER_IMPORTED = ("unresolvable", "install-failed", "image-build-failed", "download-failed", "crashed-import")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--reports", type=Path, help="A folder for the results.")
    parser.add_argument("--engine", default="docker", help="Whose trials of the atlas are counted.")
    parser.add_argument("--only-ours", action="store_true", help="Take the ordinary way's results from the folder.")
    arguments = parser.parse_args()
    rows = _table(arguments.engine)
    ordinary = _stored(arguments.reports) if arguments.only_ours else _ordinary_ways()
    imported = {row["tensorflow"] for row in rows if row["import"] == "keras" and _was_imported(row)}
    if arguments.reports:
        _write(arguments.reports, rows, ordinary)
    print(f"today's ordinary way: {sum(way[3] == 'yes' for way in ordinary)} of {len(ordinary)} import")
    print(f"the runner:           {len(imported)} of {len(ordinary)} import")


def _ordinary_ways() -> list[list[str]]:
    catalog = Catalog()
    ways = []
    for tensorflow, keras in _pairs(catalog):
        ways.append(_ordinary(tensorflow, keras, catalog))
        print(*ways[-1], sep="  ", flush=True)
    return ways


def _stored(folder: Path) -> list[list[str]]:
    with (folder / "ordinary.csv").open(newline="") as stream:
        return list(csv.reader(stream))[1:]


def _write(folder: Path, rows: list[dict[str, Any]], ordinary: list[list[str]]) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    ours = [[str("" if row[name] is None else row[name]) for name in OURS] for row in rows]
    for name, head, lines in (("atlas", OURS, ours), ("ordinary", COLUMNS, ordinary)):
        with (folder / f"{name}.csv").open("w", newline="") as stream:
            csv.writer(stream, lineterminator="\n").writerows([head, *lines])
    table = ["| " + " | ".join(line) + " |" for line in (OURS, ["---"] * len(OURS), *ours)]
    (folder / "atlas.md").write_text("\n".join(table) + "\n")


def _pairs(catalog: Catalog) -> list[tuple[str, str]]:
    def releases(package: str):  # type: ignore[no-untyped-def]
        project = catalog.project(package)
        return project.releases if project else None

    cells = expand(settle(Matrix.load(ATLAS), releases))
    return list(dict.fromkeys((cell.id.values["tensorflow"], cell.id.values["keras"]) for cell in cells))


def _ordinary(tensorflow: str, keras: str, catalog: Catalog) -> list[str]:
    project = catalog.project("tensorflow")
    release = project.release(tensorflow) if project else None
    assert release is not None
    python = next(
        one for one in PYTHONS if (files := installable(release.files, one, machine_of(""))) and files[0].is_wheel
    )
    interpreter = newest_of(python)
    assert interpreter is not None, f"CPython {python}, for which {release.version} has a wheel, is not here"
    with tempfile.TemporaryDirectory() as folder:
        environment = Path(folder) / "env"
        own = str(environment / "bin" / "python")
        pins = [f"tensorflow=={tensorflow}", f"keras=={keras}"]
        steps = (
            [find_uv_bin(), "venv", "--seed", "--quiet", "--python", str(interpreter.path), str(environment)],
            [find_uv_bin(), "pip", "install", "--quiet", "--no-cache", "--python", own, *pins],
            [own, "-c", "import tensorflow, keras"],
        )
        for step in steps:
            done = subprocess.run(step, capture_output=True, text=True, check=False, cwd=folder)
            if done.returncode:
                return [tensorflow, keras, python, "no", _reason(done.stderr)]
    return [tensorflow, keras, python, "yes", ""]


def _reason(stderr: str) -> str:
    lines = [line.strip() for line in stderr.splitlines() if line.strip()]
    errors = [line for line in lines if "Error" in line]
    return " ".join((errors or lines or ["it gave no reason"])[-1].split())[:160]


def _table(engine: str) -> list[dict[str, Any]]:
    command = [sys.executable, "-m", "runner", "table", str(ATLAS), "--engine", engine, "--format", "json"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)  # not green where cells fail
    rows: list[dict[str, Any]] = json.loads(done.stdout or "[]")
    return rows


def _was_imported(row: dict[str, Any]) -> bool:
    return bool(row["seeds"]) and not any(word in row["outcome"] for word in NEVER_IMPORTED)


if __name__ == "__main__":
    main()
