"""Keras' backends: which releases of Keras have which, and what is installed beside Keras for one."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from packaging.specifiers import SpecifierSet
from packaging.version import Version

from runner.environments.cuda_libraries import FOR_GPUS
from runner.environments.solver import NoSolutionError
from runner.environments.times import UNDATED
from runner.matrix.releases import is_final

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Mapping
    from datetime import datetime

    from runner.environments.index.catalog import Catalog
    from runner.environments.index.project import Release
    from runner.environments.lock import Environment
    from runner.environments.times import Times

_HAVE = {"tensorflow": "", "jax": ">=3", "torch": ">=3", "theano": "<2.4"}
"""The releases of Keras (PEP 440) that have a backend."""
_ALL = "Keras 3 has tensorflow, jax and torch, Keras 2.4 to 2.15 tensorflow alone, older ones tensorflow and theano"
_WITHOUT_PACKAGING = SpecifierSet(">=3,<3.4")
"""The releases of Keras that import `packaging` and do not require it: TensorFlow brings it, JAX and PyTorch do not."""
_OTHER_NAMES = {"tensorflow": frozenset({"tensorflow-cpu", "tensorflow-gpu"})}


def refuse_backend(backend: str | None, installed: Mapping[str, str]) -> None:
    """Raise NoSolutionError where the Keras among what is installed (name to version) has no such backend."""
    keras = installed.get("keras")
    if keras is None and backend not in {None, "tensorflow"}:
        raise NoSolutionError(f"backend: nothing that is installed is a Keras that could use {backend}.")
    if keras and backend and not SpecifierSet(_HAVE[backend]).contains(keras, prereleases=True):
        raise NoSolutionError(f"backend: Keras {keras} has no backend {backend}: {_ALL}.")


@dataclass(frozen=True, kw_only=True, slots=True)
class Backing:
    """What is installed for a backend; nothing where the environment has it anyway."""

    releases: Mapping[str, Release] = field(default_factory=dict)
    """By name, the newest release of then; an older one that `versions` take may come out."""
    binaries: Mapping[str, Release] = field(default_factory=dict)
    """What has its binary wheels, where that is another distribution."""
    versions: str = ""
    """PEP 440; empty: any."""
    needs: tuple[str, ...] = ()
    """What Keras uses with it and does not require."""


def backing(
    environment: Environment, pinned: Mapping[str, Release], named: Collection[str], catalog: Catalog, times: Times
) -> Backing:
    """What is installed for the backend of an environment, beside its pins and the packages that it names.

    Raises NoSolutionError where its Keras has no such backend, and where there was none of the time.
    """
    backend = environment.backend
    pins = {name: str(release.version) for name, release in pinned.items()}
    if "keras" in pins:
        refuse_backend(backend, pins)
    if backend is None:
        return Backing()
    needs = ("packaging",) if backend in {"jax", "torch"} and pins.get("keras", "0") in _WITHOUT_PACKAGING else ()
    if {backend, *_OTHER_NAMES.get(backend, ())} & {*pins, *named}:
        return Backing(needs=needs)
    versions = _tensorflow_for(Version(pins["keras"])) if backend == "tensorflow" and "keras" in pins else ""
    chosen = _of_then(backend, versions, pinned, catalog, times)
    binaries = {"jaxlib": _of_then("jaxlib", f"<={chosen.version}", pinned, catalog, times)} if backend == "jax" else {}
    slim = build_for_processors(backend, chosen, environment.flavour, catalog)
    if catalog.has_undated(backend):  # no time hides newer releases
        versions = f"=={slim.version}"
    return Backing(releases={backend: slim}, binaries=binaries, versions=versions, needs=needs)


def build_for_processors(name: str, release: Release, flavour: str, catalog: Catalog) -> Release:
    """The build of a release for processors only (`2.1.0+cpu`) where an index has one, else the release itself."""
    slim = flavour not in {"full", FOR_GPUS} and not release.version.local
    project = catalog.project(name) if slim else None
    return (project.release(f"{release.version}+cpu") if project else None) or release


def _tensorflow_for(keras: Version) -> str:
    """The versions of TensorFlow that go with a Keras: from 2.6 on, TensorFlow requires the Keras of its own number."""
    if keras.major >= 3:
        return ">=2.16"
    return f"=={keras.major}.{keras.minor}.*" if keras >= Version("2.6") else "<2.6"


def _of_then(name: str, versions: str, pinned: Mapping[str, Release], catalog: Catalog, times: Times) -> Release:
    """The newest final release by the first limit of the times that shows one."""
    base, since = next(iter(pinned.items()))
    project = catalog.project(name)
    fitting = [
        release
        for release in (project.releases if project else ())
        if is_final(release) and not release.version.local and SpecifierSet(versions).contains(release.version)
    ]
    for limit in times.steps(since.uploaded):
        out = list(_visible(fitting, times.until(name, limit)))
        if out:
            return max(out, key=lambda release: release.version)
    raise NoSolutionError(
        f"backend: there is no {name}{versions} that was out when {base} {since.version} was, nor soon after."
    )


def _visible(releases: Collection[Release], until: datetime | None) -> Iterator[Release]:
    return (one for one in releases if until is None or UNDATED < one.uploaded < until)
