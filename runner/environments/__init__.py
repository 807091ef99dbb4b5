"""Cell to environment to lock to files: the package index as a catalog, CPythons, uv, locks and verified wheels.

`resolve` makes a `Lock` of an `Environment` with a `Catalog`, `lockfile` moves it to disk and back, `fetch` gets its
files. `find_interpreters` and `HostToolchain` are this machine's own CPythons; an engine may bring others.
"""

from runner.environments import lockfile
from runner.environments.cache import cache_folder
from runner.environments.index import Catalog
from runner.environments.interpreters import HostToolchain, Interpreter, download, find_interpreters, newest_of
from runner.environments.model import Environment, Layer, Lock, LockedPackage, Unresolvable
from runner.environments.resolve import resolve
from runner.environments.toolchain import Toolchain
from runner.environments.wheelhouse import WheelFile, Wheelhouse, fetch

__all__ = [
    "Catalog",
    "Environment",
    "HostToolchain",
    "Interpreter",
    "Layer",
    "Lock",
    "LockedPackage",
    "Toolchain",
    "Unresolvable",
    "WheelFile",
    "Wheelhouse",
    "cache_folder",
    "download",
    "fetch",
    "find_interpreters",
    "lockfile",
    "newest_of",
    "resolve",
]
