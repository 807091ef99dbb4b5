"""Looks at releases become one data file: what stays the same over several releases is kept once."""

from __future__ import annotations

import gzip
import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from runner.own_folder import OwnFolder

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from pathlib import Path

    from packaging.version import Version

    from runner.history.api import History
    from runner.history.facts import Fact


@dataclass(frozen=True, kw_only=True)
class Look:
    """What the live objects of one release were seen to be."""

    release: Version
    companions: Mapping[str, str]
    """All that was installed beside it, and `python`."""
    facts: Mapping[str, Fact]
    state: str = ""
    """Of what looked (`particulars.state_of`); empty: it is not known."""

    @property
    def roots(self) -> tuple[str, ...]:
        """The names that the package is imported by."""
        return tuple(sorted(path for path in self.facts if "." not in path))


def looks_of(history: History) -> tuple[Look, ...]:
    """The looks that a history is made of."""
    return tuple(
        Look(release=release, companions=history.companions(release), facts=facts, state=history.state(release))
        for release, facts in zip(history.releases, history.facts(), strict=True)
    )


def folded(
    package: str, roots: Iterable[str], looks: Iterable[Look], unseen: Mapping[Version, str] | None = None
) -> bytes:
    """The content of a data file; of several looks at one release the last counts.

    `unseen` has the releases that can't be looked at, with the reasons.
    """
    by_release = {look.release: look for look in looks}
    ordered = [by_release[release] for release in sorted(by_release)]
    head = {
        "package": package,
        "roots": list(roots),
        "releases": [str(look.release) for look in ordered],
        "companions": [dict(sorted(look.companions.items())) for look in ordered],
        "states": [look.state for look in ordered],
        "unseen": {str(one): reason for one, reason in sorted((unseen or {}).items()) if one not in by_release},
    }
    paths = sorted({path for look in ordered for path in look.facts}, key=str.encode)
    lines = (f"{path}\t{_compact(_runs(path, ordered))}\n" for path in paths)
    return f"{_compact(head)}\n{''.join(lines)}".encode()


def write_history(path: Path, content: bytes) -> None:
    """Write a data file; the same content gives the same bytes."""
    OwnFolder.at(path.parent).write(path.name, gzip.compress(content, 9, mtime=0))


def _runs(path: str, looks: list[Look]) -> list[tuple[int, int, Fact]]:
    runs: list[tuple[int, int, Fact]] = []
    for index, look in enumerate(looks):
        fact = look.facts.get(path)
        if fact is None:
            continue
        if runs and runs[-1][1] == index - 1 and runs[-1][2] == fact:
            runs[-1] = (runs[-1][0], index, fact)
        else:
            runs.append((index, index, fact))
    return runs


def _compact(value: Any) -> str:
    return json.dumps(value, separators=(",", ":"), ensure_ascii=False, sort_keys=True)
