"""Switches of scikit-learn and what it computes with.

Each is a function of `prelude`, described in its docstring as those of `execution_switches` are.
"""

import os

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from _runner_probe.preparation import PreludeHandle

THREADS = (
    "OMP_NUM_THREADS",
    "OPENBLAS_NUM_THREADS",
    "MKL_NUM_THREADS",
    "BLIS_NUM_THREADS",
    "VECLIB_MAXIMUM_THREADS",
    "NUMEXPR_NUM_THREADS",
    "LOKY_MAX_CPU_COUNT",
)
"""What BLAS and OpenMP go by when they are loaded; the last is what joblib takes for the number of processors."""


def sklearn_single_threaded(prelude: "PreludeHandle") -> None:
    """scikit-learn and the libraries beneath it (BLAS, OpenMP) compute in one thread, and `n_jobs=-1` is one process

    how: OMP_NUM_THREADS=1 and its like before anything is imported, joblib's number of processors too
    fix: before the imports: os.environ.update(OMP_NUM_THREADS="1", OPENBLAS_NUM_THREADS="1", MKL_NUM_THREADS="1",
        LOKY_MAX_CPU_COUNT="1")
    applies: scikit-learn
    breadth: 4
    """
    before = [os.environ.get(name) for name in THREADS]
    os.environ.update(dict.fromkeys(THREADS, "1"))

    def switch(sklearn: "Any") -> None:
        changed = [name for name, value in zip(THREADS, before) if os.environ.get(name) == "1" != value]
        if changed:
            prelude.applied("%s = 1" % ", ".join(changed))

    prelude.after_import("sklearn", switch)
