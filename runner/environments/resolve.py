"""An environment becomes a lock: exact files as of the day after the base's release, one change at a time.

`resolve` gives a `Lock`, or an `Unresolvable` with the resolver's own reason; both depend on the environment and the
index alone, never on other environments. It may be called from several threads at a time.
"""

from __future__ import annotations

import functools
import re
import zipfile
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from packaging.requirements import InvalidRequirement, Requirement
from packaging.utils import canonicalize_name

from runner.environments.file_store import obtain
from runner.environments.keras_backends import refuse_backend
from runner.environments.lock import Layer, LockedPackage, Unresolvable
from runner.environments.lockfile import finished
from runner.environments.resolution_plan import plan_of
from runner.environments.solver import NoSolutionError, ResolverQuestion, Solved, solve
from runner.environments.source_builds import built
from runner.environments.target import build_tools_date, installable, machine
from runner.errors import MachineError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence
    from datetime import datetime
    from pathlib import Path

    from runner.environments.index.catalog import Catalog
    from runner.environments.index.project import IndexFile, Project, Release
    from runner.environments.interpreters import Toolchain
    from runner.environments.local_wheels import LocalWheel
    from runner.environments.lock import Environment, Lock
    from runner.environments.resolution_plan import ResolutionPlan


_BUILD_TOOLS = ("setuptools", "wheel")


def with_build_tools(question: ResolverQuestion, plan: ResolutionPlan, catalog: Catalog) -> ResolverQuestion:
    """A question whose builds may use the tools that they need.

    The exemption alone would let them into the environment too, where something requires them at run time: there they
    are held to those of then.
    """
    tools = None if question.as_of is None else build_tools_date(plan.python, question.as_of)
    until: dict[str, datetime | None] = dict(question.exemptions)
    constraints = list(question.constraints)
    for name in _BUILD_TOOLS:
        then = until.get(name, question.as_of)
        if name in plan.pins or then is None or (tools is not None and then >= tools):
            continue
        until[name] = tools
        newest = newest_visible(name, then, python=plan.python, catalog=catalog)
        if newest is not None:
            constraints.append(f"{name}<={newest}")
    return replace(question, exemptions=tuple(sorted(until.items())), constraints=tuple(constraints))


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
        plan = plan_of(environment, catalog, pythons)
        means = _Means(catalog=catalog, toolchain=functools.cache(lambda: toolchain(plan.python)), plan=plan)
        base, as_of = _solve_base(means)
        found = _solve_all(means, base, as_of)
        refuse_backend(environment.backend, {one.name: one.version for one in found.packages})
        packages = _locked(found.packages, base.packages, plan, catalog)
    except NoSolutionError as error:
        return Unresolvable(environment=environment, reason=str(error))
    return finished(
        environment=environment,
        python=plan.python,
        as_of=as_of,
        exemptions=found.exemptions,
        packages=packages,
    )


@dataclass(frozen=True, kw_only=True, slots=True)
class _Found:
    packages: tuple[Solved, ...] = ()
    exemptions: tuple[tuple[str, datetime], ...] = ()


@dataclass(frozen=True, kw_only=True, slots=True)
class _Means:
    """The means by which questions are answered."""

    catalog: Catalog
    toolchain: Callable[[], Toolchain]
    plan: ResolutionPlan

    def solve(self, question: ResolverQuestion) -> _Found:
        """The answer to a question; that of another cell's same question where there was one, its base most often."""
        own = tuple(self.plan.times.own.items())
        full = with_build_tools(replace(question, exemptions=question.exemptions + own), self.plan, self.catalog)
        toolchain = self.toolchain()
        answer = self.catalog.answers.get((full, toolchain), lambda: self._answer(full, toolchain))
        if isinstance(answer, str):
            raise NoSolutionError(answer)
        exemptions = ((name, until) for name, until in question.exemptions if until is not None)
        return _Found(packages=answer, exemptions=tuple(sorted(exemptions)))

    def unmet(self, newer: Iterable[tuple[str, datetime]], as_of: datetime) -> tuple[tuple[str, datetime], ...]:
        """The direct requirements of newer pins that nothing of the time satisfies; those with own rules stay out."""
        needs = unmet_needs(
            {name: (self.plan.exact[name], until) for name, until in newer},
            as_of=as_of,
            python=self.plan.python,
            catalog=self.catalog,
            toolchain=self.toolchain,
            wheels=self.plan.wheels,
        )
        return tuple((name, until) for name, until in needs if name not in self.plan.times.own)

    def _answer(self, question: ResolverQuestion, toolchain: Toolchain) -> tuple[Solved, ...] | str:
        try:
            return solve(question, toolchain, self._requirements_of)
        except NoSolutionError as error:
            return str(error)

    def _requirements_of(self, name: str, version: str) -> tuple[str, ...] | None:
        python = self.plan.python
        return requirements_of(name, version, python=python, catalog=self.catalog, toolchain=self.toolchain)


def _solve_base(means: _Means) -> tuple[_Found, datetime | None]:
    """The base resolved alone, as of the first of the plan's limits with which it resolves."""
    plan = means.plan

    def attempt(as_of: datetime | None) -> tuple[_Found, datetime | None]:
        others = (name for name in plan.pins if name != plan.base)
        question = ResolverQuestion(
            requirements=plan.requirements[:1],
            as_of=as_of,
            excludes=(*others, *plan.banned),
            wheels=tuple(wheel for wheel in plan.wheels if wheel.name == plan.base),
            indexes=plan.indexes,
        )
        newer = tuple((name, until) for name, until in plan.newer_than(as_of) if name == plan.base)
        return _least_exempt(question, newer, means, held=_Found()), as_of

    first, *later = plan.times.steps(plan.out[plan.base])
    try:
        return attempt(first)
    except NoSolutionError:
        if not later:
            raise
        last = attempt(later[-1])  # where the widest does not resolve, none does: its reason is the reason
    for as_of in later[:-1]:
        try:
            return attempt(as_of)
        except NoSolutionError:
            continue
    return last


def _solve_all(means: _Means, base: _Found, as_of: datetime | None) -> _Found:
    """Everything together, the base's releases preferred."""
    plan = means.plan
    question = ResolverQuestion(
        requirements=(*plan.requirements, *map(str, plan.packages)),
        as_of=as_of,
        excludes=plan.banned,
        constraints=plan.constraints,
        wheels=plan.wheels,
        indexes=plan.indexes,
        preferences=base.packages,
    )
    return _least_exempt(question, plan.newer_than(as_of), means, held=base)


def _least_exempt(
    question: ResolverQuestion, newer: tuple[tuple[str, datetime], ...], means: _Means, *, held: _Found
) -> _Found:
    """The answer with the fewest exemptions: the newer pins, what they need and was not there, or all but the held."""
    try:
        return means.solve(replace(question, exemptions=newer))
    except NoSolutionError:
        if not newer or question.as_of is None:
            raise
    needs = means.unmet(newer, question.as_of)
    if needs:
        try:
            return means.solve(replace(question, exemptions=_merged(newer, needs)))
        except NoSolutionError:
            pass
    return _all_exempt(question, max(until for _, until in newer), means, held=held)


def _all_exempt(question: ResolverQuestion, latest: datetime, means: _Means, *, held: _Found) -> _Found:
    """The last resort: what is held stays to the release, everything else may be as new as the newest pin."""
    kept = {one.name: one.version for one in held.packages}
    pinned = (f"{name}=={version}" for name, version in kept.items())
    found = means.solve(replace(question, as_of=latest, constraints=(*question.constraints, *pinned)))
    names = {one.name for one in found.packages} - set(kept) - set(means.plan.times.own)
    return replace(found, exemptions=_merged(held.exemptions, ((name, latest) for name in names)))


def _merged(*groups: Iterable[tuple[str, datetime]]) -> tuple[tuple[str, datetime], ...]:
    until: dict[str, datetime] = {}
    for name, when in (pair for group in groups for pair in group):
        until[name] = max(when, until.get(name, when))
    return tuple(sorted(until.items()))


def _locked(
    packages: tuple[Solved, ...], base: tuple[Solved, ...], plan: ResolutionPlan, catalog: Catalog
) -> tuple[LockedPackage, ...]:
    kept = {(one.name, one.version) for one in base}
    catalog.read_ahead({one.name for one in packages} - {wheel.name for wheel in plan.wheels})
    return tuple(
        LockedPackage(
            name=one.name,
            version=one.version,
            layer=Layer.BASE if (one.name, one.version) in kept else Layer.OVERLAY,
            hashes=_hashes(one, plan, catalog),
            needed_by=one.needed_by,
        )
        for one in packages
    )


def _hashes(one: Solved, plan: ResolutionPlan, catalog: Catalog) -> tuple[str, ...]:
    """The hashes of the files that may be installed: an environment of wheels does not name their sources.

    Raises NoSolutionError where these are not among the hashes that the user gave.
    """
    python = plan.python
    if wheel := next((wheel for wheel in plan.wheels if wheel.name == one.name), None):
        return (f"sha256:{wheel.sha256}",)
    files = _files(one, catalog.project(one.name), python)
    if not files:  # the resolver saw a release that came out since the catalog looked
        files = _files(one, catalog.renewed(one.name), python)
    if not files or not all(file.sha256 for file in files):
        raise MachineError(
            f"The index gives no file with a SHA-256 of {one.name} {one.version} for CPython {python}. Name another"
            " index in UV_DEFAULT_INDEX."
        )
    hashes = {f"sha256:{file.sha256}" for file in files}
    allowed = plan.allowed.get(one.name, hashes)
    if hashes.isdisjoint(allowed):
        raise NoSolutionError(
            f"No file of {one.name} {one.version} for CPython {python} has one of the hashes that are required."
        )
    return tuple(sorted(hashes & allowed))


def _files(one: Solved, project: Project | None, python: str) -> tuple[IndexFile, ...]:
    release = project.release(one.version) if project else None
    return installable(release.files, python) if release else ()


def unmet_needs(
    newer: Mapping[str, tuple[str, datetime]],
    *,
    as_of: datetime,
    python: str,
    catalog: Catalog,
    toolchain: Callable[[], Toolchain],
    wheels: Sequence[LocalWheel] = (),
) -> tuple[tuple[str, datetime], ...]:
    """The direct requirements of newer releases that no release as of a time satisfies, each with the newer one's time.

    `newer` maps a name to its version and to the time that its needs may be from; `wheels` say their needs themselves.
    """
    unmet: dict[str, datetime] = {}
    for name, (version, until) in newer.items():
        own = next((_parsed(wheel.file) for wheel in wheels if wheel.name == name), None)
        texts = own or requirements_of(name, version, python=python, catalog=catalog, toolchain=toolchain) or ()
        for need in _applying(texts, python):
            wanted = canonicalize_name(need.name)
            if wanted not in newer and not _satisfied(need, as_of, python, catalog):
                unmet[wanted] = max(until, unmet.get(wanted, until))
    return tuple(sorted(unmet.items()))


def requirements_of(
    name: str, version: str, *, python: str, catalog: Catalog, toolchain: Callable[[], Toolchain]
) -> tuple[str, ...] | None:
    """All that a release requires (PEP 508), None where it has no file for this CPython.

    A bound that no longer parses (`>=2011k`) is dropped: each known one is older than any release that could be chosen.
    """
    project = catalog.project(name)
    release = project.release(version) if project else None
    files = installable(release.files, python) if release else ()
    if not files:
        return None
    path = obtain(files[0], catalog.connection, _unsaid)
    if not files[0].is_wheel:
        uploaded = files[0].uploaded
        path = built(
            path,
            sha256=files[0].sha256,
            uploaded=lambda: uploaded,
            python=python,
            toolchain=toolchain,
            say=_unsaid,
        )
    return _parsed(path)


def _applying(texts: Iterable[str], python: str) -> Iterable[Requirement]:
    needs = (Requirement(text) for text in texts)
    return (need for need in needs if need.marker is None or need.marker.evaluate(_markers(python)))


def _unsaid(line: str) -> None:
    """Progress of a small file that nobody waits for."""


def _parsed(wheel: Path) -> tuple[str, ...]:
    return tuple(text for line in _stated(wheel) if (text := _parsing(line)))


def _stated(wheel: Path) -> list[str]:
    from email import message_from_bytes  # noqa: PLC0415 - slow; few environments come here

    with zipfile.ZipFile(wheel) as archive:
        name = next(name for name in archive.namelist() if name.endswith(".dist-info/METADATA"))
        return [str(line) for line in message_from_bytes(archive.read(name)).get_all("Requires-Dist") or []]


def _parsing(line: str) -> str:
    """A stated requirement where it parses, else its name and marker without the bound, empty where nothing is left."""
    try:
        return str(Requirement(line))
    except InvalidRequirement:
        name = re.match(r"\s*([A-Za-z0-9._-]+)", line)
        _, separator, marker = line.partition(";")
    try:
        return str(Requirement(f"{name[1]} {separator} {marker}")) if name else ""
    except InvalidRequirement:
        return ""


def _markers(python: str) -> dict[str, str]:
    return {
        "python_version": python,
        "python_full_version": f"{python}.0",
        "implementation_name": "cpython",
        "platform_python_implementation": "CPython",
        "sys_platform": "linux",
        "platform_system": "Linux",
        "platform_machine": machine(),
        "os_name": "posix",
        "extra": "",
    }


def _satisfied(need: Requirement, as_of: datetime, python: str, catalog: Catalog) -> bool:
    project = catalog.project(need.name)
    releases = project.releases if project else ()
    fitting = (release for release in reversed(releases) if need.specifier.contains(release.version))
    return any(_is_visible(release, as_of, python) for release in fitting)


def newest_visible(name: str, as_of: datetime, *, python: str, catalog: Catalog) -> str | None:
    """The newest final release of a project, as of a time, that a CPython takes; yanked ones do not count."""
    project = catalog.project(name)
    releases = (release for release in reversed(project.releases if project else ()))
    final = (release for release in releases if not release.version.is_prerelease)
    return next((str(release.version) for release in final if _is_visible(release, as_of, python)), None)


def _is_visible(release: Release, as_of: datetime, python: str) -> bool:
    return bool(installable((file for file in release.files if file.uploaded < as_of and not file.yanked), python))
