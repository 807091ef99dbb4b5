"""Composes the stages for one matrix; `run` is what a library user calls, `Session` gives the steps one by one."""

from __future__ import annotations

from typing import TYPE_CHECKING

from runner.session.options import Options
from runner.session.results import Results
from runner.session.session import Session

if TYPE_CHECKING:
    from runner.matrix.matrix_file import Matrix
    from runner.session.observer import Observer

__all__ = ["Options", "Results", "Session", "run"]


def run(matrix: Matrix, options: Options | None = None, observer: Observer | None = None) -> Results:
    """Run a matrix and give its results; finished trials are not repeated.

    Raises the errors of `runner.errors`: MatrixError, NoEngineError, MachineError.
    """
    with Session(matrix, options, observer) as session:
        return session.run()
