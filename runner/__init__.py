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
    from runner.session.options import Options
    from runner.session.results import Results
    from runner.session.session import open_session, run


__all__ = ["Matrix", "Options", "Results", "open_session", "run"]

_PLACES = {
    "Matrix": "runner.matrix.matrix_file",
    "Options": "runner.session.options",
    "Results": "runner.session.results",
    "open_session": "runner.session.session",
    "run": "runner.session.session",
}


def __getattr__(name: str) -> object:
    """Load a public name when it is first used: `import runner` alone costs nothing."""
    if name in _PLACES:
        return getattr(import_module(_PLACES[name]), name)
    raise AttributeError(f"module 'runner' has no attribute {name!r}")
