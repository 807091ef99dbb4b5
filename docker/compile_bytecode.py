"""Compile the sources that have no bytecode yet, of the standard library (`stdlib`) or the environment (`purelib`).

Runs inside an image, on CPython 3.6 to 3.13, on all processors. The bytecode is valid for good, since a read-only root
could not renew it, and the same from build to build: it carries no time or, on 3.6, a fixed one.
"""

import importlib.util
import multiprocessing
import os
import py_compile
import sys
import sysconfig

SKIPPED = {"__pycache__", "site-packages", "dist-packages"}
FIXED_TIME = 1000000000
SHARES = 32
"""Each is compiled by a process of its own, in a fixed order: bytecode marks the names that its process used before, so
that it depends on what was compiled there earlier (seen: 1 of 935 files of the standard library)."""


def sources(folder):
    """Give the sources below a folder that have no bytecode; what is installed into a standard library is not its."""
    for place, folders, files in os.walk(folder):
        folders[:] = sorted(set(folders) - SKIPPED)
        for name in sorted(files):
            path = os.path.join(place, name)  # noqa: PTH118 - quicker than Path, and there are tens of thousands
            if name.endswith(".py") and not os.path.exists(importlib.util.cache_from_source(path)):  # noqa: PTH110
                yield path


def compile_source(path):
    """Compile one file. One that is no source for this CPython, as many packages carry some, is left alone."""
    try:
        if sys.version_info >= (3, 7):  # noqa: UP036 - runs with the image's own CPython
            py_compile.compile(path, doraise=True, invalidation_mode=py_compile.PycInvalidationMode.UNCHECKED_HASH)
        else:
            os.utime(path, (FIXED_TIME, FIXED_TIME))
            py_compile.compile(path, doraise=True)
    except (py_compile.PyCompileError, ValueError, RecursionError):
        pass


def compile_share(paths):
    """Compile some files, one after another."""
    for path in paths:
        compile_source(path)


if __name__ == "__main__":
    every = list(sources(sysconfig.get_path(sys.argv[1])))
    with multiprocessing.Pool(maxtasksperchild=1) as pool:
        pool.map(compile_share, [every[share::SHARES] for share in range(SHARES)], chunksize=1)
