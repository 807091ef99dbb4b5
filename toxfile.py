"""One tox environment per version combination of `matrix.yaml`: `tox -e keras2.2.4-tf1.13.1` runs its cells.

`tox list` shows them; a plain `tox` does not run them. Nothing is generated into files: tox asks here each time.
"""

from __future__ import annotations

import functools
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from tox.config.loader.memory import MemoryLoader
from tox.config.types import Command
from tox.plugin import impl

if TYPE_CHECKING:
    from collections.abc import Iterable

    from tox.config.sets import ConfigSet
    from tox.session.state import State

    from runner.matrix.matrix_file import Matrix

ROOT = Path(__file__).parent
SHORT = {"tensorflow": "tf"}


@functools.cache
def combinations() -> dict[str, str]:
    """Environment name, such as `keras2.2.4-tf1.13.1`, to what `--only` takes, for every version combination."""
    sys.path.insert(0, str(ROOT))
    try:
        return {
            "-".join(f"{SHORT.get(package, package)}{version}" for package, version in sorted(pins)): ",".join(
                f"{package}={version}" for package, version in pins
            )
            for pins in _pins()
        }
    except ModuleNotFoundError as error:
        if (error.name or "").startswith("runner"):
            raise
        return {}  # tox itself lacks the `requires` of tox.ini: it makes itself an environment and asks again
    finally:
        sys.path.remove(str(ROOT))


def _pins() -> list[tuple[tuple[str, str], ...]]:
    from runner.errors import RunnerError
    from runner.matrix.cells import expand
    from runner.matrix.matrix_file import Matrix

    try:
        return [cell.pins for cell in expand(_settled(Matrix.load(ROOT / "matrix.yaml")))]
    except RunnerError as error:
        sys.stderr.write(f"No environments for version combinations:\n{error}\n")
        return []


def _settled(matrix: Matrix) -> Matrix:
    """The matrix with concrete versions; the package index is asked only where it has ranges, latest or era."""
    if matrix.settled:
        return matrix
    from runner.environments.index.catalog import Catalog
    from runner.matrix.settle import settle

    catalog = Catalog()
    try:
        return settle(matrix, lambda name: project.releases if (project := catalog.project(name)) else None)
    finally:
        catalog.connection.close()


@impl
def tox_extend_envs() -> Iterable[str]:
    """Name the environments."""
    return combinations()


@impl
def tox_add_core_config(core_conf: ConfigSet, state: State) -> None:  # noqa: ARG001 - tox calls by these names
    """Say what each of them runs."""
    further = state.conf.pos_args(None) or ()
    for name, only in combinations().items():
        loader = MemoryLoader(
            description=f"the cells of {only.replace(',', ', ')}, through the runner",
            commands_pre=[],
            commands=[Command(["python", "-m", "runner", "matrix.yaml", "--only", only, *further])],
        )
        state.conf.memory_seed_loaders[name].append(loader)
