"""The command about the history of packages' public names: `history`."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from packaging.utils import canonicalize_name
from packaging.version import Version

from runner.cli.parameters import DEFAULT_MATRIX, Base, BuildOnHost, Engine, Format, MatrixOption, Output, options
from runner.cli.progress import observer_for_terminal
from runner.environments.local_wheels import keep_wheels, local_wheel
from runner.environments.times import UNDATED
from runner.errors import BuildFailedError, ExpectationFailed, UsageError
from runner.history.api import History, load
from runner.history.folding import folded, looks_of, write_history
from runner.history.particulars import particulars, state_of
from runner.laboratory.laboratory import Named, open_laboratory
from runner.laboratory.looking import Sources, look_at, wanted_releases
from runner.matrix.matrix_file import Matrix
from runner.matrix.mistakes import RefusedError
from runner.matrix.packages import named_wheel
from runner.matrix.releases import Every
from runner.plurals import counted
from runner.reports.terminal.console import print_records

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from runner.history.folding import Look
    from runner.laboratory.laboratory import Laboratory

_OTHERWISE = "looked at with other programs than these: --again looks again"


def history(
    context: typer.Context,
    package: Annotated[
        str, typer.Argument(metavar="PACKAGE", help="A package on the index: numpy; or a wheel file: ./dist/….whl.")
    ],
    start: Annotated[str, typer.Option("--from", metavar="VERSION", help="Look at no release before this one.")] = "",
    end: Annotated[str, typer.Option("--to", metavar="VERSION", help="Look at no release after this one.")] = "",
    every: Annotated[
        Every, typer.Option("--every", help="The first and last release of each major or minor one, or every release.")
    ] = Every.MINOR,
    again: Annotated[bool, typer.Option("--again", help="Look again at releases that were looked at.")] = False,
    matrix: MatrixOption = DEFAULT_MATRIX,
    engine: Engine = None,
    base: Base = None,
    _build_on_host: BuildOnHost = False,
    output: Output = Format.TABLE,
) -> int:
    """Read the public names of a package's releases from live objects, into `history/` beside the matrix.

    Releases that were looked at already, those that come with this tool included, are not looked at again.
    """
    folder, chosen = matrix.absolute().parent, options(engine, base)
    asked = _of_wheel(package, folder) if package.endswith(".whl") else _Asked(package=canonicalize_name(package))
    first, last = _version("--from", start), _version("--to", end)
    indexes = Matrix.load(matrix).indexes if matrix.exists() else ()
    asked = replace(asked, sources=replace(asked.sources, indexes=indexes))
    with (
        observer_for_terminal() as observer,
        open_laboratory(
            folder,
            Named(engine=chosen.engine, base=chosen.base, runtime=chosen.runtime, indexes=indexes),
            observer=observer,
            world=context.obj,
        ) as laboratory,
    ):
        if not asked.releases:
            asked = replace(asked, releases=_wanted(package, laboratory, every, first, last))
        again = again or bool(asked.sources.packages)  # the file may be another one of the same name
        rows = list(_looked_at(asked, laboratory, folder / "history", again=again))
    print_records([row for _, row in rows], output)
    if not any(seen for seen, _ in rows):
        raise ExpectationFailed(f"None of {counted(len(rows), 'release')} could be looked at.")
    return 0


@dataclass(frozen=True, kw_only=True, slots=True)
class _Asked:
    """The releases of a package that are to be looked at."""

    package: str
    releases: tuple[Version, ...] = ()
    sources: Sources = field(default_factory=Sources)


def _of_wheel(path: str, folder: Path) -> _Asked:
    """The one release that a wheel file is: beside what was there when it was made, else beside the newest.

    Raises UsageError where it can't be used.
    """
    file = Path(path).absolute()
    try:
        inside = file.relative_to(folder) if file.is_relative_to(folder) else file
        wheel, line = named_wheel(str(inside), folder)
    except RefusedError as error:
        raise UsageError(f"{error.message[:1].upper()}{error.message[1:]}: {error.hint}.") from None
    keep_wheels([line], folder)
    kept = local_wheel(line)
    sources = Sources(packages=(line,), as_of="none" if kept is None or kept.made == UNDATED else "release")
    return _Asked(package=wheel.name, releases=(Version(wheel.version),), sources=sources)


def _wanted(
    package: str, laboratory: Laboratory, every: Every, first: Version | None, last: Version | None
) -> tuple[Version, ...]:
    releases = laboratory.releases(canonicalize_name(package))
    if releases is None:
        raise UsageError(f"The package index knows no {package}.")
    wanted = wanted_releases(releases, every, first, last)
    if not wanted:
        raise UsageError(f"No final release of {package} is in this range.")
    return tuple(wanted)


def _looked_at(
    asked: _Asked, laboratory: Laboratory, folder: Path, *, again: bool
) -> Iterator[tuple[bool, dict[str, str]]]:
    """Look at what is missing: whether each release could be looked at, and its row.

    The data are written after each look: a killed command goes on from there.
    """
    known = load(asked.package, folder)
    for release in asked.releases:
        reason = known.unseen.get(release, "") if known else ""
        if again or not (reason or (known and release in known.releases)):
            try:
                found = look_at(asked.package, str(release), laboratory, known, asked.sources)
                known, reason = _kept(asked.package, [found], known, folder), ""
            except BuildFailedError as error:
                reason = str(error)
                if not error.passing:  # else the next call looks
                    known = _kept(asked.package, [], known, folder, {release: reason})
        yield not reason, _row(known, release, reason)


def _kept(
    package: str,
    found: list[Look],
    known: History | None,
    folder: Path,
    unseen: Mapping[Version, str] | None = None,
) -> History:
    """The data with what was found, written."""
    roots = (known.roots if known else ()) or particulars(package).roots or next((one.roots for one in found), ())
    reasons = {**(known.unseen if known else {}), **(unseen or {})}
    content = folded(package, roots, [*(looks_of(known) if known else ()), *found], reasons)
    write_history(folder / f"{package}.gz", content)
    return History(content)


def _row(known: History | None, release: Version, reason: str) -> dict[str, str]:
    if known is None or reason:
        return {
            "release": str(release),
            "CPython": "",
            "names": "",
            "new": "",
            "gone": "",
            "remark": f"not looked at: {reason}",
        }
    index = known.releases.index(release)
    names, before = (
        {path for path in known.paths() if known.has_own(path, known.releases[at])} if at >= 0 else set()
        for at in (index, index - 1)
    )
    return {
        "release": str(release),
        "CPython": known.companions(release).get("python", ""),
        "names": str(len(names)),
        "new": str(len(names - before)) if before else "",
        "gone": str(len(before - names)) if before else "",
        "remark": "" if known.state(release) == state_of(known.package) else _OTHERWISE,
    }


def _version(option: str, text: str) -> Version | None:
    try:
        return Version(text) if text else None
    except ValueError:
        raise UsageError(f"{option} {text} is no version.") from None


COMMANDS = (history,)
