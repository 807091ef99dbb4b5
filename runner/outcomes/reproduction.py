"""The commands that run a cell again: with this tool, and from its lock alone, in a copy of the matrix's folder."""

from __future__ import annotations

import os.path
import shlex
from typing import TYPE_CHECKING

from runner.matrix.cells import requirements_of
from runner.outcomes.result import ReproductionCommands

if TYPE_CHECKING:
    from collections.abc import Iterator

    from runner.matrix.matrix_file import Matrix
    from runner.matrix.model import Cell
    from runner.outcomes.result import LockResult

DIFF = "imports.diff"
"""The file that a reader keeps the shown difference of the script in."""


def commands(matrix: Matrix, cell: Cell, lock: LockResult | None, *, is_rewritten: bool) -> ReproductionCommands:
    """The commands of a cell; without a lock none but those with this tool."""
    file, only = shlex.quote(matrix.path.name), shlex.quote(str(cell.id))
    with_runner = (f"convergence-matrix {file} --only {only}", f"convergence-matrix shell {only} --matrix {file}")
    without = (*_made(matrix, cell, lock), *_started(matrix, cell, is_rewritten=is_rewritten)) if lock else ()
    return ReproductionCommands(with_runner=with_runner, without_runner=without)


def _made(matrix: Matrix, cell: Cell, lock: LockResult) -> Iterator[str]:
    """What makes the environment: of the lock, with what comes from beside the package index."""
    wheels = [line.partition(" @ ")[2] for line in requirements_of(matrix.packages, cell) if " @ " in line]
    folders = dict.fromkeys(path.rpartition("/")[0] or "." for path in wheels)
    words = ["uv", "pip", "install", "--python", "cell/bin/python"]
    further = [f"--find-links={folder}" for folder in folders] + [f"--index={address}" for address in matrix.indexes]
    further += ["--index-strategy=unsafe-best-match"] if matrix.indexes else []
    yield f"uv venv --python {lock.python} cell"
    yield shlex.join([*words, "--require-hashes", *further, "-r", f"locks/{lock.name}.txt"])
    if install := matrix.experiment.install:
        folder = os.path.relpath(install.folder, matrix.folder)
        yield shlex.join([*words, "--no-deps", f"./{folder}"])  # without ./ it is the name of a package of the index


def _started(matrix: Matrix, cell: Cell, *, is_rewritten: bool) -> Iterator[str]:
    """What starts the script, after what only the runner does beside it."""
    experiment = matrix.experiment
    for mapping in experiment.data:
        source = os.path.relpath(mapping.source, matrix.folder)
        if source != mapping.target:
            yield f"# the script finds {source} at {mapping.target}: copy it there"
    if cell.script.endswith(".ipynb"):
        yield f"# only with the runner: it runs the cells of {cell.script} as one script"
        return
    if cell.preludes:
        yield f"# only with the runner: the prelude {', '.join(cell.preludes)}, so this runs the script without it"
    if is_rewritten:
        yield f"patch -p1 < {DIFF}    # the changes to the script that are shown with this cell, kept as {DIFF}"
    env = "".join(f"{name}={shlex.quote(value)} " for name, value in experiment.variables(cell))
    started = f"{env}PYTHONHASHSEED=0 cell/bin/python {shlex.join(experiment.command(cell))}"
    yield f"{started}    # the runner also seeds NumPy, random and the framework"
