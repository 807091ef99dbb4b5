"""Which releases a few named ones mean: the rest as it was looked at beside them, or as of their time. No network."""

from __future__ import annotations

from typing import TYPE_CHECKING

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from packaging.version import Version

from runner.errors import UsageError
from runner.history.api import load

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from pathlib import Path

    from runner.check.stack_api import Histories
    from runner.history.api import History

_PACKAGES = {"sklearn": "scikit-learn", "tf_keras": "tf-keras"}
"""Import names that are not their package's."""
_SAME = {"tensorflow-cpu": "tensorflow", "tensorflow-gpu": "tensorflow"}


def package_of(root: str) -> str:
    """The package on the index that is imported by a name."""
    return _PACKAGES.get(root, root)


def histories_in(*folders: Path) -> Histories:
    """Histories by import name: from one of the folders, else those that are shipped."""
    known: dict[str, History | None] = {}

    def history(root: str) -> History | None:
        if root not in known:
            known[root] = load(package_of(root), *folders)
        return known[root]

    return history


def named_versions(text: str) -> dict[str, str]:
    """The versions by package of `tensorflow==2.10,keras==2.10`. Raises UsageError for anything else."""
    found = {}
    for part in text.split(","):
        try:
            requirement = Requirement(part.strip())
            pins = [one.version for one in requirement.specifier if one.operator == "=="]
            found[_package(requirement.name)] = str(Version(pins[0].removesuffix(".*")))
        except (ValueError, IndexError):
            raise UsageError(f"{part.strip()!r} names no release: write it like tensorflow==2.16") from None
    return found


def _package(name: str) -> str:
    package = str(canonicalize_name(name))
    return _SAME.get(package, package)


def installed(named: Mapping[str, str], imports: Iterable[str], histories: Histories) -> dict[str, str]:
    """The versions by package of a stack of which a few are named.

    `imports` are the import names that the script uses. What is not named is what the named ones were looked at with;
    else the newest that was looked at with no newer one than they are. A release of two numbers is its last patch.
    """
    stack: dict[str, str] = {}
    for package, version in named.items():
        history = histories(_root(package))
        stack[_package(package)] = _last_patch(history, version) if history is not None else version
    for package in list(stack):
        history = histories(_root(package))
        for companion, version in (history.companions(stack[package]) if history is not None else {}).items():
            stack.setdefault(_package(companion), version)
    for root in sorted(imports):
        history = histories(root)
        if history is not None and history.package not in stack and (release := _of_the_time(history, stack, named)):
            stack[history.package] = release
    return stack


def _root(package: str) -> str:
    return next((root for root, name in _PACKAGES.items() if name == package), package)


def _last_patch(history: History, version: str) -> str:
    """The last release that was looked at of 2.16; a whole release is itself."""
    wanted = Version(version).release
    if len(wanted) > 2:
        return version
    patches = [one for one in history.releases if one.release[: len(wanted)] == wanted]
    return str(max(patches)) if patches else version


def _of_the_time(history: History, stack: Mapping[str, str], named: Mapping[str, str]) -> str:
    """The newest release that was looked at beside none that is newer than a named one; "" where none was."""
    for release in reversed(history.releases):
        beside = {_package(name): version for name, version in history.companions(release).items()}
        shared = [name for name in map(_package, named) if name in beside]
        if shared and all(Version(beside[name]) <= Version(stack[name]) for name in shared):
            return str(release)
    return ""


def newest(imports: Iterable[str], histories: Histories) -> dict[str, str]:
    """The newest releases that were looked at of what a script imports."""
    found = {}
    for root in sorted(imports):
        history = histories(root)
        if history is not None and history.releases:
            found[history.package] = str(history.releases[-1])
    return found
