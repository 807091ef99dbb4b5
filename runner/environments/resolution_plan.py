"""An environment beside what the index says of its pins: the CPython, the names that are installed, their times.

`plan_of` makes the `ResolutionPlan` that `resolve` works by: from an `Environment`, the catalog, and the CPythons that
the engine can provide.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from packaging.requirements import InvalidRequirement, Requirement

from runner.environments.solver import NoSolutionError
from runner.environments.target import accepts, first_release, installable, minor_of, wheel_tags
from runner.environments.times import UNDATED, day_after, times_of
from runner.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import datetime

    from runner.environments.index.catalog import Catalog
    from runner.environments.index.project import IndexFile, Release
    from runner.environments.lock import Environment
    from runner.environments.times import Times


@dataclass(frozen=True, kw_only=True, slots=True)
class NoCPython:
    """No CPython fits; why."""

    reason: str


def came_out(name: str, release: Release, python: str, times: Times) -> datetime:
    """When a release could first be installed with a CPython; its first upload where it never could."""
    files = installable(_timely(name, release, times), python)
    return min((file.uploaded for file in files), default=release.uploaded)


def choose_python(pinned: Mapping[str, Release], pythons: Sequence[str], times: Times) -> str | NoCPython:
    """The CPython of an environment, out of those that can be provided (newest first); `pinned` has the base first."""
    until = times.pythons_until(next(iter(pinned.values())).uploaded)
    files = {name: _timely(name, release, times) for name, release in pinned.items()}
    missing: list[str] = []
    for python in pythons:
        if until is not None and first_release(python) >= until:
            continue
        lacking = [name for name in pinned if not _fits(files[name], python)]
        if not lacking:
            return python
        missing.append(f"{python} ({', '.join(lacking)})")
    offered = "; ".join(f"{name} {release.version} has {_offers(files[name])}" for name, release in pinned.items())
    tried = f" Without a fitting file: {', '.join(missing)}." if missing else ""
    then = "" if until is None else f" that was there by {until:%Y-%m-%d}"
    return NoCPython(
        reason=f"No CPython of this engine ({', '.join(pythons)}){then} has a wheel for every pinned package:"
        f" {offered}.{tried}"
    )


def _fits(files: Sequence[IndexFile], python: str) -> bool:
    """Whether a release installs with a CPython: by a wheel where it has binary ones, else in any way."""
    fitting = installable(files, python)
    binary = any(_is_binary(file.filename) for file in files if file.is_wheel)
    return bool(fitting) and (fitting[0].is_wheel or not binary)


def _timely(name: str, release: Release, times: Times) -> list[IndexFile]:
    until = times.files_until(name, release.uploaded)
    return [file for file in release.files if until is None or file.uploaded < until]


def _is_binary(filename: str) -> bool:
    return any(tag.platform != "any" for tag in wheel_tags(filename))


def _offers(files: Sequence[IndexFile]) -> str:
    """What a release has, for a reason that a user reads."""
    known = [f"3.{minor}" for minor in range(5, 20)]
    fitting = sorted((python for python in known if _fits(files, python)), key=minor_of)
    if not fitting:
        return "no file for this platform"
    if all(accepts(file, "3.5") and not _is_binary(file.filename) for file in files):
        return "files for every CPython"
    return f"files for CPython {', '.join(fitting)}"


_SAME_FILES = {
    "keras": ("keras-nightly",),
    "tensorflow": ("tensorflow-cpu", "tensorflow-gpu"),
    "tensorflow-cpu": ("tensorflow", "tensorflow-gpu"),
    "tensorflow-gpu": ("tensorflow", "tensorflow-cpu"),
}
"""What brings the files of a pinned package once more: each would break the other, so it must not come in beside it.

TensorFlow 2.5 requires keras-nightly, some releases of Keras require plain tensorflow.
"""


@dataclass(frozen=True, kw_only=True, slots=True)
class ResolutionPlan:
    """What is to be resolved; names are those that are installed (tensorflow-cpu)."""

    python: str
    pins: Mapping[str, str]
    """Name to version; the base first."""
    out: Mapping[str, datetime]
    """When each pinned release came out."""
    packages: tuple[Requirement, ...]
    banned: tuple[str, ...]
    """Names that must not come in beside those that are installed in their place."""
    times: Times

    @property
    def base(self) -> str:
        """The name of the first pin."""
        return next(iter(self.pins))

    def newer_than(self, as_of: datetime | None) -> tuple[tuple[str, datetime], ...]:
        """The pins that a limit would hide, each with a limit that shows it; those with a rule of their own apart."""
        shown = ((name, day_after(out)) for name, out in self.out.items() if name not in self.times.own)
        return tuple((name, until) for name, until in shown if as_of is not None and until > as_of)


def plan_of(environment: Environment, catalog: Catalog, pythons: Sequence[str]) -> ResolutionPlan:
    """Ask the index what it has of the pins.

    Raises NoSolutionError where it lacks one, or no CPython fits; UsageError for requirements that can't be locked and
    rules of time that mean nothing.
    """
    packages = tuple(_requirement(text) for text in environment.packages)
    times = times_of(environment.as_of, environment.dates)
    releases = {name: _release(name, version, catalog) for name, version in environment.pins}
    _check_times(releases, times)
    python = _python(environment, releases, pythons, times)
    installed = {name: name for name in releases}
    slim = _slim_release(environment, releases, python, catalog)
    if slim is not None:
        installed["tensorflow"] = "tensorflow-cpu"
        releases["tensorflow"] = slim
        if "tensorflow" in times.own:
            times = replace(times, own={"tensorflow-cpu": times.own["tensorflow"], **times.own})
    pins = {installed[name]: str(release.version) for name, release in releases.items()}
    return ResolutionPlan(
        python=python,
        pins=pins,
        out={installed[name]: came_out(name, release, python, times) for name, release in releases.items()},
        packages=packages,
        banned=tuple(other for name in pins for other in _SAME_FILES.get(name, ()) if other not in pins),
        times=times,
    )


def _requirement(text: str) -> Requirement:
    """A further requirement as the resolver reads it. Raises UsageError for what can't be locked."""
    try:
        requirement = Requirement(text)
    except InvalidRequirement as error:
        raise UsageError(f"packages: {text!r} is no requirement (PEP 508): {str(error).splitlines()[0]}") from error
    if requirement.url:
        raise UsageError(
            f"packages: {requirement.name} is asked for by an address. Only releases of the package index can be"
            " locked as of a date: name a version."
        )
    return requirement


def _release(name: str, version: str, catalog: Catalog) -> Release:
    project = catalog.project(name)
    if project is None:
        raise NoSolutionError(f"The package index has no project named {name}.")
    release = project.release(version) or _just_out(name, version, catalog)
    if release is None:
        raise NoSolutionError(f"The package index has no release {version} of {name}.")
    return release


def _just_out(name: str, version: str, catalog: Catalog) -> Release | None:
    """A release that came out since the catalog looked."""
    project = catalog.renewed(name)
    return project.release(version) if project else None


def _check_times(releases: Mapping[str, Release], times: Times) -> None:
    """Refuse pins that a rule of their own hides, and a base of unknown time as the measure of all."""
    for name, release in releases.items():
        limit = times.own.get(name)
        if limit is not None and release.uploaded >= limit:
            raise NoSolutionError(
                f"{name} {release.version} came out on {release.uploaded:%Y-%m-%d}, and as_of shows of {name} only what"
                f" was there before {limit:%Y-%m-%d}."
            )
    base, release = next(iter(releases.items()))
    if times.by_release and release.uploaded == UNDATED:
        raise UsageError(
            f"as_of: the package index does not say when {base} {release.version} came out, so nothing can be resolved"
            " as of its release. Name a date for all packages, or `as_of: none`."
        )


def _python(environment: Environment, releases: Mapping[str, Release], pythons: Sequence[str], times: Times) -> str:
    if environment.python is None:
        chosen = choose_python(releases, pythons, times)
        if isinstance(chosen, NoCPython):
            raise NoSolutionError(chosen.reason)
        return chosen
    if environment.python not in pythons:
        raise NoSolutionError(
            f"CPython {environment.python} is asked for, and this engine provides {', '.join(pythons) or 'none'}."
        )
    return environment.python


def _slim_release(
    environment: Environment, releases: Mapping[str, Release], python: str, catalog: Catalog
) -> Release | None:
    """The release of tensorflow-cpu that stands in for tensorflow: the same code, without what needs a GPU."""
    if environment.flavour == "full" or "tensorflow" not in releases or "tensorflow-cpu" in releases:
        return None
    project = catalog.project("tensorflow-cpu")
    release = project.release(str(releases["tensorflow"].version)) if project else None
    files = installable(release.files, python) if release else ()
    return release if files and files[0].is_wheel else None
