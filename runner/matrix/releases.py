"""Rules in place of a package's versions (a range, `latest`, `era`), and the releases that each means.

Takes a rule and all releases of a package, gives versions, oldest first. The index itself is behind a function.
"""

from __future__ import annotations

import enum
import re
from dataclasses import dataclass
from datetime import UTC, datetime, time, timedelta
from typing import TYPE_CHECKING, Protocol, assert_never

from packaging.specifiers import SpecifierSet

from runner.matrix.mistakes import RefusedError, quoted
from runner.matrix.versions import in_range, parsed
from runner.plurals import counted

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Mapping, Sequence

    from packaging.version import Version

    Releases = Callable[[str], Sequence["Published"] | None]
    """All releases of a package; None where the index does not know it."""

_LATEST = re.compile(r"latest(?:-([1-9]\d{0,3}))?", re.ASCII)
EXAMPLE = '{range: ">=1.7,<2.17", every: minor}'


class Every(enum.Enum):
    """The releases of a range that are taken: the newest of each major or minor release, or every single one."""

    MAJOR = "major"
    MINOR = "minor"
    PATCH = "patch"


@dataclass(frozen=True, kw_only=True, slots=True)
class VersionRange:
    """The releases in `specifiers` (PEP 440; empty: all): without yanked ones, without pre-releases unless asked."""

    specifiers: str
    every: Every = Every.MINOR
    prereleases: bool = False

    def __str__(self) -> str:
        """In words, for `plan`."""
        also = " with pre-releases" if self.prereleases else ""
        return f"{self.specifiers or '*'} every {self.every.value}{also}"


@dataclass(frozen=True, kw_only=True, slots=True)
class Latest:
    """The newest final release; with `before` n, the latest patch of the nth minor release before the newest one."""

    before: int = 0

    def __str__(self) -> str:
        """As a user writes it."""
        return f"latest-{self.before}" if self.before else "latest"


@dataclass(frozen=True, kw_only=True, slots=True)
class Era:
    """For each value of the base the release that a user had then (`eras`): a pairing, not a product."""

    def __str__(self) -> str:
        """As a user writes it."""
        return "era"


Rule = VersionRange | Latest | Era


def read_rule(text: str) -> Rule | None:
    """The rule that a text stands for in place of a version; None for any other text."""
    if text == "era":
        return Era()
    latest = _LATEST.fullmatch(text)
    return Latest(before=int(latest[1] or 0)) if latest else None


def refuse_rule(text: str) -> None:
    """Raise RefusedError where a rule stands in the place of one concrete version."""
    if read_rule(text) is not None:
        hint = "name a version that it becomes: `plan` shows them"
        raise RefusedError(f"{quoted(text)} is allowed under axes only", hint)


class Published(Protocol):
    """One release of a package on the index."""

    @property
    def version(self) -> Version:
        """Its version."""

    @property
    def uploaded(self) -> datetime:
        """When it came out, with a time zone."""

    @property
    def yanked(self) -> bool:
        """True where it was taken back."""


def neighbours(wanted: Version, existing: Collection[Published]) -> list[str]:
    """Up to two releases on each side of a version; pre-releases only where it is one or there is nothing else."""
    ordered = sorted(release.version for release in existing if not release.yanked)
    final = [version for version in ordered if not version.is_prerelease]
    ordered = final if final and not wanted.is_prerelease else ordered
    below = [str(version) for version in ordered if version < wanted]
    above = [str(version) for version in ordered if version > wanted]
    return below[-2:] + above[:2]


_TENSORFLOW = ("tensorflow", "tensorflow-cpu", "tensorflow-gpu")
ERA_BASES: Mapping[str, tuple[str, ...]] = {
    "keras": (*_TENSORFLOW, "torch", "jax"),
    "tf-keras": _TENSORFLOW,
    "torchvision": ("torch",),
    "torchaudio": ("torch",),
    "jaxlib": ("jax",),
}
"""The bases with whose releases those of a package go."""
LONGEST_WAIT_DAYS = 30

_ACCEPTED = (((1, 11), "<2.4"), ((1, 12), "<2.2"), ((2, 2), "<2.4"), ((2, 6), "<2.6"), ((2, 16), ""))
"""Below which TensorFlow which Keras is accepted; empty: the same minor release. From the last on: Keras 3.

TensorFlow 1.11 wants keras-preprocessing 1.0.3 or newer, and Keras 2.2.0 to 2.2.2, the newest of then, pin older ones.
"""


def accepted(package: str, base: str, version: Version) -> tuple[str, ...]:
    """The versions of a package that go with a release of a base (PEP 440), the best first.

    Of torchvision and torchaudio an older one where none has the number of its PyTorch: some have come out without.
    """
    minor = (version.major, version.minor)
    same = f"=={minor[0]}.{minor[1]}.*"
    match package:
        case "tf-keras":
            return (same,)
        case "jaxlib":
            return (f"<={version}",)
        case "torchvision":
            number = f"0.{version.minor + (1 if version.major < 2 else 15)}"
            return f"=={number}.*", f"<{number}"
        case "torchaudio":
            number = f"{'0' if version.major < 2 else version.major}.{version.minor}"
            return f"=={number}.*", f"<{number}"
        case _ if base in _TENSORFLOW:
            return (next((specifiers or same for below, specifiers in _ACCEPTED if minor < below), ">=3"),)
        case _:
            return (">=3",)


def of_the_era(package: str, base: str, then: Published, releases: Sequence[Published]) -> Published | None:
    """The newest final release that was out by the end of the day after that of the base, and that goes with it.

    Up to 30 days later while there is none; None where there is none then either.
    """
    for specifiers in accepted(package, base, then.version):
        wanted = SpecifierSet(specifiers)
        fitting = [release for release in releases if is_final(release) and wanted.contains(release.version)]
        for days in range(1, LONGEST_WAIT_DAYS + 1):
            out = [release for release in fitting if release.uploaded < end_of_day(then.uploaded, days)]
            if out:
                return max(out, key=lambda release: release.version)
    return None


def is_final(release: Published) -> bool:
    """True where a release is neither a pre-release nor yanked."""
    return not (release.version.is_prerelease or release.yanked)


def end_of_day(when: datetime, days: int) -> datetime:
    """The end (UTC) of the day that comes `days` after a time."""
    return datetime.combine(when.astimezone(UTC).date() + timedelta(days=days + 1), time(), UTC)


_SHOWN = 8


def versions_of(rule: VersionRange | Latest, package: str, releases: Sequence[Published]) -> list[Version]:
    """The versions that a rule means, oldest first, at least one. Raises RefusedError where there is none."""
    match rule:
        case VersionRange():
            return _within(rule, package, releases)
        case Latest():
            return [_latest(rule, package, releases)]
        case _:
            assert_never(rule)


def _within(rule: VersionRange, package: str, releases: Sequence[Published]) -> list[Version]:
    inside = [release for release in releases if in_range(str(release.version), rule.specifiers)]
    fitting = [release.version for release in inside if is_final(release) or (rule.prereleases and not release.yanked)]
    if not fitting:
        raise _nothing_in(rule, package, releases, inside)
    newest = {_group(version, rule.every): version for version in sorted(fitting)}
    return list(newest.values())


def _group(version: Version, every: Every) -> tuple[int, ...] | Version:
    """The group of a version, of which only the newest is taken."""
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
        raise RefusedError(f"{package} has no final release, so {rule} means none", _but_for(releases))
    newest = list({_group(version, Every.MINOR): version for version in final}.values())
    if rule.before >= len(newest):
        count = f"only {counted(len(newest), 'minor release')}"
        raise RefusedError(f"{package} has {count}, so {rule} does not exist", f"the oldest is {newest[0]}")
    return newest[-1 - rule.before]


def _nothing_in(
    rule: VersionRange, package: str, releases: Sequence[Published], inside: Sequence[Published]
) -> RefusedError:
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


def _near(rule: VersionRange, releases: Sequence[Published]) -> str:
    """The releases around the versions that a range names."""
    named = [parsed(one.version.removesuffix(".*")) for one in SpecifierSet(rule.specifiers)]
    near = {text for version in named if version for text in neighbours(version, releases)}
    ordered = sorted(near, key=lambda text: parsed(text) or text)
    return f"nearest: {', '.join(ordered[-_SHOWN:])}" if ordered else "it has no releases"
