"""An environment becomes a lock: exact files as of the day after the base's release, one change at a time.

`resolve_with` gives a `Lock`, or an `Unresolvable` with the resolver's own reason; both depend on the environment and
the index alone, never on other environments. It may be called from several threads at a time.
"""

from __future__ import annotations

import functools
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from packaging.utils import canonicalize_name

from runner.environments.keras_backends import refuse_backend
from runner.environments.lock import Layer, Lock, LockedPackage, Unresolvable
from runner.environments.lockfile import finished
from runner.environments.resolution_plan import fits, plan_of
from runner.environments.solver import NoSolutionError, ResolverQuestion, Solved, solve
from runner.environments.stated_requirements import applying, parsed_requirements, requirements_of
from runner.environments.target import installable, machine_of
from runner.errors import BuildFailedError, MachineError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence
    from datetime import datetime

    from packaging.requirements import Requirement

    from runner.environments.index.catalog import Catalog
    from runner.environments.index.project import IndexFile, Project, Release
    from runner.environments.interpreters import Toolchain
    from runner.environments.local_wheels import LocalWheel
    from runner.environments.lock import Environment
    from runner.environments.resolution_plan import ResolutionPlan


@dataclass(frozen=True, kw_only=True, slots=True)
class Resolution:
    """What an environment came to with one CPython; None where no CPython can be chosen."""

    answer: Lock | Unresolvable
    python: str | None = None

    def without_wheels(self, catalog: Catalog) -> dict[str, list[IndexFile]]:
        """The files of what has wheels, but none for this CPython, by name."""
        if not isinstance(self.answer, Lock) or self.python is None:
            return {}
        found = {}
        for one in self.answer.packages:
            project = catalog.project(one.name)
            release = project.release(one.version) if project else None
            files = list(release.files) if release else []
            if files and not fits(files, self.python, machine_of(self.answer.platform)):
                found[one.name] = files
        return found

    def why(self, catalog: Catalog) -> str:
        """What speaks against it."""
        names = ", ".join(self.without_wheels(catalog))
        return f"{names} would have to be built" if names else "nothing resolves"


def resolve_with(
    environment: Environment, catalog: Catalog, pythons: Sequence[str], toolchain: Callable[[str], Toolchain]
) -> Resolution:
    """The lock with the newest of these CPythons that fits the pins.

    Raises BuildFailedError where this machine may or can not build what has to be asked for its requirements.
    """
    python = None
    try:
        plan = plan_of(environment, catalog, pythons)
        python = plan.python
        means = _Means(catalog=catalog, toolchain=functools.cache(lambda: toolchain(plan.python)), plan=plan)
        base, as_of = _solve_base(means)
        found = _solve_all(means, base, as_of)
        refuse_backend(environment.backend, {one.name: one.version for one in found.packages})
        packages = _locked(found.packages, base.packages, plan, catalog)
    except NoSolutionError as error:
        return Resolution(answer=Unresolvable(environment=environment, reason=str(error)), python=python)
    exemptions = found.exemptions
    lock = finished(environment=environment, python=python, as_of=as_of, exemptions=exemptions, packages=packages)
    return Resolution(answer=lock, python=python)


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
        """The answer to a question, without releases that refuse this CPython: the resolver takes no heed of `<3`."""
        refused: tuple[str, ...] = ()
        while True:
            found = self._solved(replace(question, constraints=(*question.constraints, *refused)))
            more = tuple(f"{one.name}!={one.version}" for one in found.packages if self._refuses(one))
            if not more:
                return found
            refused += more

    def _refuses(self, one: Solved) -> bool:
        """True for a release of the index whose files are all for other CPythons."""
        project = None if any(wheel.name == one.name for wheel in self.plan.wheels) else self.catalog.project(one.name)
        release = project.release(one.version) if project else None
        return (
            release is not None
            and bool(release.files)
            and not installable(release.files, self.plan.python, self.plan.machine)
        )

    def _solved(self, question: ResolverQuestion) -> _Found:
        """The answer to a question; that of another cell's same question where there was one, its base most often."""
        until = {**dict(question.exemptions), **self.plan.times.own}
        full = replace(question, exemptions=tuple(sorted(until.items())))
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
            machine=self.plan.machine,
            catalog=self.catalog,
            toolchain=self.toolchain,
            wheels=self.plan.wheels,
        )
        return tuple((name, until) for name, until in needs if name not in self.plan.times.own)

    def _answer(self, question: ResolverQuestion, toolchain: Toolchain) -> tuple[Solved, ...] | str:
        try:
            return solve(question, toolchain, self._requirements_of)
        except (NoSolutionError, BuildFailedError) as error:
            if isinstance(error, BuildFailedError) and error.passing:
                raise  # no answer of the resolver: with another the lock would follow from what is allowed here
            return str(error)

    def _requirements_of(self, name: str, version: str) -> tuple[str, ...] | None:
        return requirements_of(
            name,
            version,
            python=self.plan.python,
            machine=self.plan.machine,
            catalog=self.catalog,
            toolchain=self.toolchain,
        )


def _solve_base(means: _Means) -> tuple[_Found, datetime | None]:
    """The base resolved alone, as of the first of the plan's limits with which it resolves."""
    plan = means.plan

    def attempt(as_of: datetime | None) -> tuple[_Found, datetime | None]:
        others = (name for name in plan.pins if name != plan.base)
        question = ResolverQuestion(
            requirements=plan.requirements[:1],
            as_of=as_of,
            machine=plan.machine,
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
        machine=plan.machine,
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
    python, machine = plan.python, plan.machine
    if wheel := next((wheel for wheel in plan.wheels if wheel.name == one.name), None):
        return (f"sha256:{wheel.sha256}",)
    files = _files(one, catalog.project(one.name), python, machine)
    if not files:  # the resolver saw a release that came out since the catalog looked
        files = _files(one, catalog.renewed(one.name), python, machine)
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


def _files(one: Solved, project: Project | None, python: str, machine: str) -> tuple[IndexFile, ...]:
    release = project.release(one.version) if project else None
    return installable(release.files, python, machine) if release else ()


def unmet_needs(
    newer: Mapping[str, tuple[str, datetime]],
    *,
    as_of: datetime,
    python: str,
    machine: str,
    catalog: Catalog,
    toolchain: Callable[[], Toolchain],
    wheels: Sequence[LocalWheel] = (),
) -> tuple[tuple[str, datetime], ...]:
    """The direct requirements of newer releases that no release as of a time satisfies, each with the newer one's time.

    `newer` maps a name to its version and to the time that its needs may be from; `wheels` say their needs themselves.
    """
    unmet: dict[str, datetime] = {}
    for name, (version, until) in newer.items():
        own = next((parsed_requirements(wheel.file) for wheel in wheels if wheel.name == name), None)
        texts = (
            own
            or requirements_of(name, version, python=python, machine=machine, catalog=catalog, toolchain=toolchain)
            or ()
        )
        for need in applying(texts, python, machine):
            wanted = canonicalize_name(need.name)
            if wanted not in newer and not _satisfied(need, as_of, python, machine, catalog):
                unmet[wanted] = max(until, unmet.get(wanted, until))
    return tuple(sorted(unmet.items()))


def _satisfied(need: Requirement, as_of: datetime, python: str, machine: str, catalog: Catalog) -> bool:
    project = catalog.project(need.name)
    releases = project.releases if project else ()
    fitting = (release for release in reversed(releases) if need.specifier.contains(release.version))
    return any(_is_visible(release, as_of, python, machine) for release in fitting)


def _is_visible(release: Release, as_of: datetime, python: str, machine: str) -> bool:
    return bool(
        installable((file for file in release.files if file.uploaded < as_of and not file.yanked), python, machine)
    )
