"""An environment beside what the index says of its pins: the CPython, the names that are installed, their times.

`plan_of` makes the `ResolutionPlan` that `resolve` works by: from an `Environment`, the catalog, and the CPythons that
the engine can provide.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from packaging.requirements import InvalidRequirement, Requirement
from packaging.utils import canonicalize_name

from runner.environments.cuda_libraries import FOR_GPUS, cuda_extra, is_built_for_gpus
from runner.environments.keras_backends import backing, build_for_processors
from runner.environments.local_wheels import fitting, local_wheel, release_of, those_taking
from runner.environments.solver import NoSolutionError
from runner.environments.target import (
    MACHINES,
    accepts,
    first_release,
    installable,
    machine_of,
    minor_of,
    platform_of,
    takes_python,
    wheel_tags,
)
from runner.environments.times import UNDATED, day_after, times_of
from runner.errors import UsageError
from runner.matrix.axes import SAME_FILES

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping, Sequence
    from datetime import datetime

    from runner.environments.index.catalog import Catalog
    from runner.environments.index.project import IndexFile, Release
    from runner.environments.local_wheels import LocalWheel
    from runner.environments.lock import Environment
    from runner.environments.times import Times


@dataclass(frozen=True, kw_only=True, slots=True)
class NoCPython:
    """No CPython fits; why."""

    reason: str


def came_out(name: str, release: Release, python: str, machine: str, times: Times) -> datetime:
    """When a release could first be installed with a CPython; its first upload where it never could."""
    files = installable(_timely(name, release, times), python, machine)
    return min((file.uploaded for file in files), default=release.uploaded)


def choose_python(
    pinned: Mapping[str, Release], pythons: Sequence[str], machine: str, times: Times, *, image: str = ""
) -> str | NoCPython:
    """The CPython of an environment, out of those that can be provided (newest first); `pinned` has the base first.

    That of a base image that was named (`image`) is of whatever time it is.
    """
    until = None if image else times.pythons_until(next(iter(pinned.values())).uploaded)
    files = {name: _timely(name, release, times) for name, release in pinned.items()}
    missing: list[str] = []
    for python in pythons:
        if until is not None and first_release(python) >= until:
            continue
        lacking = [name for name in pinned if not fits(files[name], python, machine)]
        if not lacking:
            return python
        missing.append(f"{python} ({', '.join(lacking)})")
    offered = "; ".join(
        f"{name} {release.version} has {_offers(files[name], machine)}" for name, release in pinned.items()
    )
    tried = f" Without a fitting file: {', '.join(missing)}." if missing else ""
    then = "" if until is None else f" that was there by {until:%Y-%m-%d}"
    return NoCPython(
        reason=f"No CPython of {image or 'this engine'} ({', '.join(pythons)}){then} has a wheel for every pinned"
        f" package: {offered}.{tried}"
    )


def fits(files: Sequence[IndexFile], python: str, machine: str) -> bool:
    """True where a release installs with a CPython on such a processor: by a wheel where it has binary ones."""
    fitting = installable(files, python, machine)
    binary = any(_is_binary(file.filename) for file in files if file.is_wheel)
    return bool(fitting) and (fitting[0].is_wheel or not binary)


def _timely(name: str, release: Release, times: Times) -> list[IndexFile]:
    until = times.files_until(name, release.uploaded)
    return [file for file in release.files if until is None or file.uploaded < until]


def _is_binary(filename: str) -> bool:
    return any(tag.platform != "any" for tag in wheel_tags(filename))


_KNOWN = tuple(f"3.{minor}" for minor in range(5, 20))


def _offers(files: Sequence[IndexFile], machine: str) -> str:
    """The files of a release in words, for a reason that a user reads."""
    fitting = sorted((python for python in _KNOWN if fits(files, python, machine)), key=minor_of)
    if not fitting:
        return "no file for this platform"
    if all(accepts(file, "3.5") and not _is_binary(file.filename) for file in files):
        return "files for every CPython"
    return f"files for CPython {', '.join(fitting)}"


@dataclass(frozen=True, kw_only=True, slots=True)
class ResolutionPlan:
    """The pins and requirements to be resolved; names are those that are installed (tensorflow-cpu)."""

    python: str
    machine: str
    """The kind of machine (`target.machine_of`)."""
    pins: Mapping[str, str]
    """Name to version; the base first."""
    exact: Mapping[str, str]
    """Name to version of what is given: the pins, the wheels and the newest release of Keras' backend."""
    requirements: tuple[str, ...]
    """What asks for the pins and for the backend, the base first."""
    out: Mapping[str, datetime]
    """When each of `exact` came out."""
    packages: tuple[Requirement, ...]
    constraints: tuple[str, ...]
    """Requirements that hold for what comes in, and bring nothing in."""
    allowed: Mapping[str, frozenset[str]]
    """Name to the hashes (`sha256:…`) of the files that may be taken, for those that the user gave hashes of."""
    indexes: tuple[str, ...]
    wheels: tuple[LocalWheel, ...]
    """Wheel files of the project, one of each name."""
    banned: tuple[str, ...]
    """Names that must not come in beside those that are installed in their place."""
    times: Times

    @property
    def base(self) -> str:
        """The name of the first pin."""
        return next(iter(self.pins))

    def newer_than(self, as_of: datetime | None) -> tuple[tuple[str, datetime], ...]:
        """What is given and a limit would hide, with a limit that shows it; those with a rule of their own apart."""
        shown = ((name, day_after(out)) for name, out in self.out.items() if name not in self.times.own)
        return tuple((name, until) for name, until in shown if as_of is not None and until > as_of)


def plan_of(environment: Environment, catalog: Catalog, pythons: Sequence[str]) -> ResolutionPlan:
    """Ask the index what it has of the pins.

    Raises NoSolutionError where it lacks one, or no CPython fits; UsageError for requirements that can't be locked and
    rules of time that mean nothing.
    """
    wheels = tuple(filter(None, map(local_wheel, environment.packages)))
    wanted = tuple(_requirement(line) for line in environment.packages if local_wheel(line) is None)
    packages = tuple(one.requirement for one in wanted if not one.is_constraint)
    named = {*(wheel.name for wheel in wheels), *(canonicalize_name(one.name) for one in packages)}
    times, machine = times_of(environment.as_of, environment.dates), machine_of(environment.platform)
    releases = {name: _release(name, version, environment, catalog, wheels) for name, version in environment.pins}
    _check_times(releases, times)
    backed = backing(environment, releases, named, catalog, times)
    every = {**releases, **backed.releases}
    undated = {name: None for name in every if catalog.has_undated(name)}
    times = replace(times, own={**undated, **times.own})  # a pin is exact: no newer one can come in by this
    _check_platform({**every, **backed.binaries}, times, machine)
    python = _python(environment, {**every, **backed.binaries}, _taken(environment, wheels, pythons), times)
    installed = _slimmed(environment, every, python, machine, catalog)
    if "tensorflow" in times.own:
        others = dict.fromkeys(SAME_FILES["tensorflow"], times.own["tensorflow"])
        times = replace(times, own={**others, **times.own})
    files = fitting(wheels, python, machine) or ()
    given = {wheel.name: release_of([wheel], wheel.name, wheel.version, catalog.project(wheel.name)) for wheel in files}
    given |= installed
    pins = {name: str(release.version) for name, release in list(installed.items())[: len(releases)]}  # they come first
    return ResolutionPlan(
        python=python,
        machine=machine,
        pins=pins,
        exact={name: str(release.version) for name, release in given.items() if release},
        requirements=(
            *(
                f"{name}{_extra(name, release, environment.flavour, {*pins, *named})}"
                f"{f'=={pins[name]}' if name in pins else backed.versions}"
                for name, release in installed.items()
            ),
            *backed.needs,
        ),
        out={name: came_out(name, release, python, machine, times) for name, release in given.items() if release},
        packages=packages,
        constraints=tuple(str(one.requirement) for one in wanted if one.is_constraint),
        allowed=_allowed(wanted),
        indexes=environment.indexes,
        wheels=files,
        banned=(
            *(other for name in installed for other in SAME_FILES.get(name, ()) if other not in installed),
            *([environment.own.name] if environment.own else ()),
        ),
        times=times,
    )


def _extra(name: str, release: Release, flavour: str, named: Collection[str]) -> str:
    """The extra that brings what a package does not work without: jaxlib, and on a GPU the CUDA libraries."""
    found = cuda_extra(name, release.version) if flavour == FOR_GPUS else ""
    return found or ("[cpu]" if name == "jax" and "jaxlib" not in named else "")


@dataclass(frozen=True, kw_only=True, slots=True)
class _Wanted:
    """One line of an environment's packages."""

    requirement: Requirement
    hashes: tuple[str, ...]
    is_constraint: bool


def _requirement(line: str) -> _Wanted:
    """A further requirement as the resolver reads it. Raises UsageError for what can't be locked."""
    text, *hashes = line.removeprefix("-c ").split(" --hash=")
    try:
        requirement = Requirement(text)
    except InvalidRequirement as error:
        raise UsageError(f"packages: {text!r} is not a requirement (PEP 508): {str(error).splitlines()[0]}") from error
    if requirement.url:
        raise UsageError(
            f"packages: {requirement.name} is asked for by an address. Only releases of the package index can be"
            " locked as of a date: name a version."
        )
    return _Wanted(requirement=requirement, hashes=tuple(hashes), is_constraint=line.startswith("-c "))


def _allowed(wanted: Iterable[_Wanted]) -> dict[str, frozenset[str]]:
    """Name to hashes; a package that stands in several lines may be of the files of each."""
    allowed: dict[str, frozenset[str]] = {}
    for one in wanted:
        if one.hashes:
            name = canonicalize_name(one.requirement.name)
            allowed[name] = allowed.get(name, frozenset()) | frozenset(one.hashes)
    return allowed


def _release(
    name: str, version: str, environment: Environment, catalog: Catalog, wheels: Sequence[LocalWheel]
) -> Release:
    """The release that a pin means: wheels of the project, else a build for processors only, else the index's own."""
    project = catalog.project(name)
    own = release_of(wheels, name, version, project)
    if own is not None:
        return own
    if project is None:
        raise NoSolutionError(f"The package index has no project named {name}.")
    release = project.release(version) or _just_out(name, version, catalog)
    if release is None:
        raise NoSolutionError(f"The package index has no release {version} of {name}.")
    return build_for_processors(name, release, environment.flavour, catalog)


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
            f"as_of: nothing says when {base} {release.version} came out, neither the package index nor its file, so"
            " nothing can be resolved as of its release. Name a date for all packages, or `as_of: none`."
        )


def _check_platform(releases: Mapping[str, Release], times: Times, machine: str) -> None:
    """Raise NoSolutionError, with what does work, where a release has no file for this platform and has for another."""
    for name, release in releases.items():
        files = _timely(name, release, times)
        if any(fits(files, python, machine) for python in _KNOWN):
            continue
        there = [one for one in MACHINES.values() if any(fits(files, python, one) for python in _KNOWN)]
        if there:
            raise NoSolutionError(
                f"{name} {release.version} has no wheel for {platform_of(machine)}: `platform: {platform_of(there[0])}`"
                " runs it emulated, in containers."
            )


def _taken(environment: Environment, wheels: Sequence[LocalWheel], pythons: Sequence[str]) -> Sequence[str]:
    """The CPythons that the project takes: as its own package says, and as its wheel files fit.

    Raises NoSolutionError where the wanted one is not among them.
    """
    own = environment.own
    taken = [python for python in pythons if own is None or takes_python(own.requires_python, python)]
    _check_taken(environment, pythons, taken, f"{own.name} requires CPython {own.requires_python}" if own else "")
    fit = those_taking(wheels, taken, machine_of(environment.platform))
    _check_taken(environment, taken, fit, f"packages: {', '.join(wheel.filename for wheel in wheels)} must fit")
    return fit


def _check_taken(environment: Environment, pythons: Sequence[str], taken: Sequence[str], why: str) -> None:
    if (pythons and not taken) or (environment.python in pythons and environment.python not in taken):
        ruled_out = environment.python or f"those of this engine: {', '.join(pythons)}"
        raise NoSolutionError(f"{why}, which rules out {ruled_out}.")


def _python(environment: Environment, releases: Mapping[str, Release], pythons: Sequence[str], times: Times) -> str:
    if environment.python is None:
        image = environment.base_image
        chosen = choose_python(releases, pythons, machine_of(environment.platform), times, image=image)
        if isinstance(chosen, NoCPython):
            raise NoSolutionError(chosen.reason)
        return chosen
    if environment.python not in pythons:
        raise NoSolutionError(
            f"CPython {environment.python} is asked for, and {environment.base_image or 'this engine'} provides"
            f" {', '.join(pythons) or 'none'}."
        )
    return environment.python


def _slimmed(
    environment: Environment, releases: Mapping[str, Release], python: str, machine: str, catalog: Catalog
) -> dict[str, Release]:
    """The releases with tensorflow-cpu in the place of tensorflow: the same code, without what needs a GPU.

    For GPUs the other way round: tensorflow-gpu where tensorflow itself is built for processors alone.
    """
    if environment.flavour == FOR_GPUS:
        return _for_gpus(releases, python, machine, catalog)
    if environment.flavour == "full" or "tensorflow" not in releases or "tensorflow-cpu" in releases:
        return dict(releases)
    return _in_place_of_tensorflow("tensorflow-cpu", releases, python, machine, catalog)


def _for_gpus(releases: Mapping[str, Release], python: str, machine: str, catalog: Catalog) -> dict[str, Release]:
    if "tensorflow" not in releases or is_built_for_gpus(releases["tensorflow"].version):
        return dict(releases)
    return _in_place_of_tensorflow("tensorflow-gpu", releases, python, machine, catalog)


def _in_place_of_tensorflow(
    other: str, releases: Mapping[str, Release], python: str, machine: str, catalog: Catalog
) -> dict[str, Release]:
    """The releases with another distribution of the same code, where it has a wheel of the same number."""
    project = catalog.project(other)
    found = project.release(str(releases["tensorflow"].version)) if project else None
    files = installable(found.files, python, machine) if found else ()
    if found is None or not files or not files[0].is_wheel:
        return dict(releases)
    return {
        other if name == "tensorflow" else name: found if name == "tensorflow" else release
        for name, release in releases.items()
    }
