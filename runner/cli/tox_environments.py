"""The tox environments of a matrix: `python -m runner.cli.tox_environments matrix.yaml [WORD…]` prints them as JSON.

The tox plugin asks for them in a process of its own: a project may have a module `runner`, and tox its own libraries.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from runner.errors import MatrixError, RunnerError, UsageError
from runner.matrix.cells import expand
from runner.matrix.matrix_file import load_matrix
from runner.matrix.settle import settle

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from runner.matrix.matrix_file import Matrix
    from runner.matrix.releases import Published, Releases

SHORT = {"tensorflow": "tf"}
EVERY = "ALL"
"""The word that asks for all environments, also for those that only the package index can tell."""


def main(words: Sequence[str]) -> int:
    """Print the environments of a matrix file as JSON; where it can't be read, one line on standard error."""
    path = Path(words[0])
    try:
        matrix = load_matrix(path)
        found = combinations(matrix, _of_the_index) if is_asked_for(matrix, words[1:]) else {}
    except MatrixError as error:
        first, *others = error.mistakes
        return _complain(f"{first}{f' (and {len(others)} more)' if others else ''}")
    except RunnerError as error:
        return _complain(str(error))
    sys.stdout.write(json.dumps(found))
    return 0


def _complain(text: str) -> int:
    sys.stderr.write(f"{' '.join(text.split())}\n")
    return UsageError.return_code


def is_asked_for(matrix: Matrix, chosen: Iterable[str]) -> bool:
    """True where a matrix names its versions, or one of the chosen environments is named as one of its own is.

    Only then is the package index asked what ranges mean: a project's own tests wait for no network.
    """
    begins = tuple(_short(axis.name) for axis in matrix.axes)
    return matrix.settled or any(name == EVERY or name.startswith(begins) for name in chosen)


def combinations(matrix: Matrix, releases: Releases) -> Mapping[str, str]:
    """Environment name, such as `keras2.2.4-tf1.13.1`, to what `--only` takes, for every version combination.

    The backend is part of one: `keras3.13.2-jax`.

    What ranges, latest and era mean is asked of `releases`. Raises MatrixError as `settle` does.
    """
    return {
        "-".join([*(f"{_short(package)}{version}" for package, version in sorted(cell.pins)), *backend]): ",".join(
            [*(f"{package}={version}" for package, version in cell.pins), *(f"backend={one}" for one in backend)]
        )
        for cell in expand(settle(matrix, releases))
        for backend in [[cell.backend] if cell.backend else []]
    }


def _short(package: str) -> str:
    return SHORT.get(package, package)


def _of_the_index(package: str) -> Sequence[Published] | None:
    from runner.environments.index.catalog import Catalog  # noqa: PLC0415 - most matrices need no index

    catalog = Catalog()
    try:
        return project.releases if (project := catalog.project(package)) else None
    finally:
        catalog.connection.close()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
