"""The releases that a range or `latest` means: a rule and all releases of a package → versions, oldest first."""

from __future__ import annotations

from typing import TYPE_CHECKING, assert_never

from packaging.specifiers import SpecifierSet

from runner.matrix.eras import is_final
from runner.matrix.mistakes import RefusedError
from runner.matrix.releases import neighbours
from runner.matrix.rules import Every, Latest, Range
from runner.matrix.versions import in_range, parsed

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from packaging.version import Version

    from runner.matrix.releases import Published

_SHOWN = 8


def versions_of(rule: Range | Latest, package: str, releases: Sequence[Published]) -> list[Version]:
    """The versions that a rule means, oldest first, at least one. Raises RefusedError where there is none."""
    match rule:
        case Range():
            return _within(rule, package, releases)
        case Latest():
            return [_latest(rule, package, releases)]
        case _:
            assert_never(rule)


def _within(rule: Range, package: str, releases: Sequence[Published]) -> list[Version]:
    inside = [release for release in releases if in_range(str(release.version), rule.specifiers)]
    fitting = [release.version for release in inside if is_final(release) or (rule.prereleases and not release.yanked)]
    if not fitting:
        raise _nothing_in(rule, package, releases, inside)
    newest = {_group(version, rule.every): version for version in sorted(fitting)}
    return list(newest.values())


def _group(version: Version, every: Every) -> tuple[int, ...] | Version:
    """What versions have in common of which only the newest is taken."""
    match every:
        case Every.MAJOR:
            return (version.epoch, version.major)
        case Every.MINOR:
            return (version.epoch, version.major, version.minor)
        case Every.PATCH:
            return version


def _latest(rule: Latest, package: str, releases: Sequence[Published]) -> Version:
    final = sorted(release.version for release in releases if is_final(release))
    if not final:
        raise RefusedError(f"{package} has no final release, so no {rule}", _but_for(releases))
    newest = list({_group(version, Every.MINOR): version for version in final}.values())
    if rule.before >= len(newest):
        count = f"only {len(newest)} minor release{'' if len(newest) == 1 else 's'}"
        raise RefusedError(f"{package} has {count}, so no {rule}", f"the oldest is {newest[0]}")
    return newest[-1 - rule.before]


def _nothing_in(rule: Range, package: str, releases: Sequence[Published], inside: Sequence[Published]) -> RefusedError:
    final = [release.version for release in releases if is_final(release)]
    newest = f"; the newest is {max(final)}" if final else ""
    return RefusedError(
        f"no release of {package} is in {rule.specifiers or '*'}{newest}", _but_for(inside) or _near(rule, releases)
    )


def _but_for(inside: Iterable[Published]) -> str:
    """Why releases that are there don't count; empty where there are none."""
    yanked = [str(release.version) for release in inside if release.yanked]
    early = [str(release.version) for release in inside if not release.yanked]
    if early:
        return f"{', '.join(early[-_SHOWN:])}: pre-releases, which a range takes with prereleases: true"
    return f"{', '.join(yanked[-_SHOWN:])}: yanked" if yanked else ""


def _near(rule: Range, releases: Sequence[Published]) -> str:
    """The releases around the versions that a range names."""
    named = [parsed(one.version.removesuffix(".*")) for one in SpecifierSet(rule.specifiers)]
    near = {text for version in named if version for text in neighbours(version, releases)}
    ordered = sorted(near, key=lambda text: parsed(text) or text)
    return f"nearest: {', '.join(ordered[-_SHOWN:])}" if ordered else "it has no releases"
