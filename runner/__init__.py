"""One training script, many library versions: where does it converge, where not, and why.

from runner import Matrix, run

results = run(Matrix.load("matrix.yaml"))
results.table()  # a pandas DataFrame, one row a cell
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from runner.matrix.matrix_file import Matrix
    from runner.session import run
    from runner.session.options import Options
    from runner.session.results import Results

__all__ = ["Matrix", "Options", "Results", "run"]

_PLACES = {
    "Matrix": "runner.matrix.matrix_file",
    "Options": "runner.session",
    "Results": "runner.session",
    "run": "runner.session",
}


def __getattr__(name: str) -> object:
    """Load a public name when it is first used: `import runner` alone costs nothing."""
    if name in _PLACES:
        return getattr(import_module(_PLACES[name]), name)
    raise AttributeError(f"module 'runner' has no attribute {name!r}")
