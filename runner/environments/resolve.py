"""An environment becomes a lock: exact files as of the day after the base's release, one change at a time.

`resolve` gives a `Lock`, or an `Unresolvable` with the resolver's own reason; both depend on the environment and the
index alone, never on other environments.
"""

from __future__ import annotations

import functools
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from packaging.requirements import InvalidRequirement, Requirement
from packaging.utils import canonicalize_name

from runner.environments.cpythons import NoCPython, came_out, choose_python, day_after
from runner.environments.lockfile import finished
from runner.environments.model import Layer, LockedPackage, Unresolvable
from runner.environments.needs import requirements_of, unmet_needs
from runner.environments.solver import NoSolutionError, Question, Solved, solve
from runner.environments.target import build_tools_date, installable
from runner.errors import MachineError, UsageError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from datetime import datetime

    from runner.environments.index import Catalog, Release
    from runner.environments.model import Environment, Lock
    from runner.environments.toolchain import Toolchain

_STEPS_DAYS = (1, 2, 3, 5, 7, 10, 14, 21, 30)
_BUILD_TOOLS = ("setuptools", "wheel")


def resolve(
    environment: Environment,
    *,
    catalog: Catalog,
    pythons: Sequence[str],
    toolchain: Callable[[str], Toolchain],
) -> Lock | Unresolvable:
    """Lock an environment. `pythons` are the CPython minor releases that the engine can provide, newest first.

    Raises MachineError where index, disk or engine fail, UsageError for requirements that can't be locked.
    """
    try:
        plan = _plan(environment, catalog, pythons)
        means = _Means(catalog=catalog, toolchain=functools.cache(lambda: toolchain(plan.python)), python=plan.python)
        base, base_as_of = _solve_base(plan, means)
        found = _solve_all(plan, base, base_as_of, means)
    except NoSolutionError as error:
        return Unresolvable(environment=environment, reason=str(error))
    return finished(
        environment=environment,
        python=plan.python,
        as_of=base_as_of,
        exemptions=found.exemptions,
        packages=_locked(found.packages, base, plan.python, catalog),
    )


@dataclass(frozen=True, kw_only=True, slots=True)
class _Plan:
    """An environment with what the index says of its pins; names are those that are installed (tensorflow-cpu)."""

    python: str
    pins: Mapping[str, str]
    """Name to version; the base first."""
    out: Mapping[str, datetime]
    """When each pinned release came out."""
    packages: tuple[str, ...]
    banned: tuple[str, ...]
    """Names that must not come in beside those that are installed in their place."""

    @property
    def base(self) -> str:
        return next(iter(self.pins))

    @property
    def asked(self) -> set[str]:
        """The names that the user asked for."""
        return {*self.pins, *(canonicalize_name(Requirement(text).name) for text in self.packages)}


@dataclass(frozen=True, kw_only=True, slots=True)
class _Means:
    """What questions are answered with."""

    catalog: Catalog
    toolchain: Callable[[], Toolchain]
    python: str

    def solve(self, question: Question, plan: _Plan) -> tuple[Solved, ...]:
        return solve(_with_build_tools(question, plan, self.catalog), self.toolchain(), self._requirements_of)

    def _requirements_of(self, name: str, version: str) -> tuple[str, ...] | None:
        return requirements_of(name, version, python=self.python, catalog=self.catalog, toolchain=self.toolchain)


@dataclass(frozen=True, kw_only=True, slots=True)
class _Found:
    packages: tuple[Solved, ...]
    exemptions: tuple[tuple[str, datetime], ...]


def _plan(environment: Environment, catalog: Catalog, pythons: Sequence[str]) -> _Plan:
    packages = tuple(_requirement(text) for text in environment.packages)
    releases = {name: _release(name, version, catalog) for name, version in environment.pins}
    python = _python(environment, releases, pythons)
    installed = {name: name for name, _ in environment.pins}
    banned: tuple[str, ...] = ()
    slim = _slim_release(environment, releases, python, catalog)
    if slim is not None:
        installed["tensorflow"] = "tensorflow-cpu"
        releases["tensorflow"] = slim
        banned = ("tensorflow",)
    return _Plan(
        python=python,
        pins={installed[name]: str(release.version) for name, release in releases.items()},
        out={installed[name]: came_out(release, python) for name, release in releases.items()},
        packages=packages,
        banned=banned,
    )


def _requirement(text: str) -> str:
    """A further requirement in one line, as the resolver reads it. Raises UsageError for what can't be locked."""
    try:
        requirement = Requirement(text)
    except InvalidRequirement as error:
        raise UsageError(f"packages: {text!r} is no requirement (PEP 508): {str(error).splitlines()[0]}") from error
    if requirement.url:
        raise UsageError(
            f"packages: {requirement.name} is asked for by an address. Only releases of the package index can be"
            " locked as of a date: name a version."
        )
    return str(requirement)


def _release(name: str, version: str, catalog: Catalog) -> Release:
    project = catalog.project(name)
    if project is None:
        raise NoSolutionError(f"The package index has no project named {name}.")
    release = project.release(version)
    if release is None:
        raise NoSolutionError(f"The package index has no release {version} of {name}.")
    return release


def _python(environment: Environment, releases: Mapping[str, Release], pythons: Sequence[str]) -> str:
    if environment.python is None:
        chosen = choose_python(releases, pythons)
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


def _solve_base(plan: _Plan, means: _Means) -> tuple[tuple[Solved, ...], datetime]:
    """The base resolved alone, as of the day after it came out; later only while nothing resolves."""

    def attempt(days: int) -> tuple[tuple[Solved, ...], datetime]:
        as_of = day_after(plan.out[plan.base], days)
        others = (name for name in plan.pins if name != plan.base)
        question = Question(
            requirements=(f"{plan.base}=={plan.pins[plan.base]}",),
            as_of=as_of,
            excludes=(*others, *plan.banned),
        )
        return means.solve(question, plan), as_of

    try:
        return attempt(_STEPS_DAYS[0])
    except NoSolutionError:
        last = attempt(_STEPS_DAYS[-1])  # where the widest does not resolve, none does: its reason is the reason
    for days in _STEPS_DAYS[1:-1]:
        try:
            return attempt(days)
        except NoSolutionError:
            continue
    return last


def _solve_all(plan: _Plan, base: tuple[Solved, ...], as_of: datetime, means: _Means) -> _Found:
    """Everything together, the base's releases preferred; of what is newer, as little as may be is exempt."""
    newer = tuple((name, day_after(out)) for name, out in plan.out.items() if day_after(out) > as_of)
    question = Question(
        requirements=(*(f"{name}=={version}" for name, version in plan.pins.items()), *plan.packages),
        as_of=as_of,
        exemptions=newer,
        excludes=plan.banned,
        preferences=base,
    )
    try:
        return _found(question, plan, means)
    except NoSolutionError:
        if not newer:
            raise
    needs = unmet_needs(
        {name: (plan.pins[name], until) for name, until in newer},
        as_of=as_of,
        python=plan.python,
        catalog=means.catalog,
        toolchain=means.toolchain,
    )
    if needs:
        try:
            return _found(replace(question, exemptions=_merged(newer, needs)), plan, means)
        except NoSolutionError:
            pass
    return _outside_base(question, plan, base, means)


def _outside_base(question: Question, plan: _Plan, base: tuple[Solved, ...], means: _Means) -> _Found:
    """The last resort: the base stays to the release, everything outside it may be as new as the newest pin."""
    latest = max(until for _, until in question.exemptions)
    held = tuple(f"{one.name}=={one.version}" for one in base)
    wide = replace(question, as_of=latest, exemptions=(), constraints=held)
    found = _found(wide, plan, means)
    kept = {one.name for one in base}
    return replace(found, exemptions=tuple((one.name, latest) for one in found.packages if one.name not in kept))


def _found(question: Question, plan: _Plan, means: _Means) -> _Found:
    return _Found(packages=means.solve(question, plan), exemptions=tuple(sorted(question.exemptions)))


def _merged(*groups: tuple[tuple[str, datetime], ...]) -> tuple[tuple[str, datetime], ...]:
    until: dict[str, datetime] = {}
    for name, when in (pair for group in groups for pair in group):
        until[name] = max(when, until.get(name, when))
    return tuple(sorted(until.items()))


def _with_build_tools(question: Question, plan: _Plan, catalog: Catalog) -> Question:
    """Let builds of old sources have setuptools and wheel of a later time, and the environment itself those of then.

    The exemption alone would let them into the environment too, where something requires them at run time.
    """
    date = build_tools_date(plan.python, question.as_of)
    if date == question.as_of:
        return question
    exempt = {name for name, _ in question.exemptions}
    exemptions, constraints = list(question.exemptions), list(question.constraints)
    for name in _BUILD_TOOLS:
        if name in exempt or name in plan.pins:
            continue
        exemptions.append((name, date))
        newest = _newest(name, question.as_of, plan.python, catalog)
        if newest is not None and name not in plan.asked:
            constraints.append(f"{name}<={newest}")
    return replace(question, exemptions=tuple(sorted(exemptions)), constraints=tuple(constraints))


def _newest(name: str, as_of: datetime, python: str, catalog: Catalog) -> str | None:
    """The newest final release of a project as of a time that a CPython takes."""
    project = catalog.project(name)
    for release in reversed(project.releases if project else ()):
        files = [file for file in release.files if file.uploaded < as_of and not file.yanked]
        if not release.version.is_prerelease and installable(files, python):
            return str(release.version)
    return None


def _locked(
    packages: tuple[Solved, ...], base: tuple[Solved, ...], python: str, catalog: Catalog
) -> tuple[LockedPackage, ...]:
    kept = {(one.name, one.version) for one in base}
    return tuple(
        LockedPackage(
            name=one.name,
            version=one.version,
            layer=Layer.BASE if (one.name, one.version) in kept else Layer.OVERLAY,
            hashes=_hashes(one, python, catalog),
            needed_by=one.needed_by,
        )
        for one in packages
    )


def _hashes(one: Solved, python: str, catalog: Catalog) -> tuple[str, ...]:
    """The hashes of the files that may be installed: an environment of wheels does not name their sources."""
    project = catalog.project(one.name)
    release = project.release(one.version) if project else None
    files = installable(release.files, python) if release else ()
    if not files or not all(file.sha256 for file in files):
        raise MachineError(
            f"The index gives no file with a SHA-256 of {one.name} {one.version} for CPython {python}. Name another"
            " index in UV_DEFAULT_INDEX."
        )
    return tuple(sorted({f"sha256:{file.sha256}" for file in files}))
