"""The public API of a package by release, as it was read from live objects: `load` gives a `History`.

A package's data are one compressed file of sorted lines, `path<TAB>runs`: a name is found by bisection, and only its
own line is parsed, so that a package of 35,000 names is there in milliseconds.
"""

from __future__ import annotations

import difflib
import functools
import gzip
import json
from bisect import bisect_right
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from packaging.utils import canonicalize_name
from packaging.version import Version

from runner.history.facts import ALIAS, BASES, GONE, HIDDEN, KIND, PARAMETERS, REFUSED, SAID, TAKEN, parameter_fields

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from runner.history.facts import Fact


SHIPPED = Path(__file__).with_name("data")
_DEEPEST = 12
_MOST_ALIKE = 6


@dataclass(frozen=True, kw_only=True, slots=True)
class Parameter:
    """One parameter of a signature."""

    name: str
    kind: str
    """`positional`, `keyword`, `either`, `args` or `kwargs`."""
    default: str | None
    """The source text of the default; None: it has none."""


@dataclass(frozen=True, kw_only=True, slots=True)
class PublicName:
    """A public name in one release."""

    path: str
    """Dotted: `keras.layers.Dense.call`."""
    kind: str
    """`module`, `class`, `function`, `method`, `property` or `value`."""
    parameters: tuple[Parameter, ...] | None
    """Without `self`; those of a class are its constructor's. None: the signature is not known."""
    deprecated: str = ""
    """The package's own words on being deprecated; empty: it says nothing."""
    target: str = ""
    """The path where it is defined, which its aliases share; empty where that is this one."""
    taken: Mapping[str, str] = field(default_factory=dict, hash=False)
    """Arguments beside the signature's that were tried and taken, each with what was said (most say nothing)."""
    refused: Mapping[str, str] = field(default_factory=dict, hash=False)
    """Arguments that were tried and refused, each with what was said."""

    def takes(self, argument: str) -> bool | None:
        """True where an argument of this name may be given, False where it raises; None: not known."""
        if argument in self.refused or self.parameters is None:
            return False if argument in self.refused else argument in self.taken or None
        if argument in self.taken or any(
            one.name == argument and one.kind in {"either", "keyword"} for one in self.parameters
        ):
            return True
        return None if any(one.kind == "kwargs" for one in self.parameters) else False


class History:
    """The public names of one package in every release that was looked at."""

    def __init__(self, content: bytes) -> None:
        """Read the content of a data file; of the names nothing is parsed yet."""
        head, _, self._lines = content.partition(b"\n")
        about: dict[str, Any] = json.loads(head)
        self.package: str = about["package"]
        self.releases: tuple[Version, ...] = tuple(map(Version, about["releases"]))
        self.roots: tuple[str, ...] = tuple(about["roots"])
        """The names that it is imported by."""
        self.unseen: dict[Version, str] = {Version(one): reason for one, reason in about.get("unseen", {}).items()}
        """The releases that were tried and can't be looked at, with the reasons."""
        self._companions: list[dict[str, str]] = about["companions"]
        self._states: list[str] = about.get("states", [""] * len(self.releases))
        self._facts = functools.lru_cache(maxsize=8192)(self._read)
        self._name = functools.lru_cache(maxsize=65536)(self._made)
        self._known_runs = functools.lru_cache(maxsize=8192)(self._runs)

    def covers(self, release: str | Version) -> bool:
        """True where this release or an older one was looked at."""
        return self._index(release) >= 0

    def looked_at(self, release: str | Version) -> Version | None:
        """The nearest release at or below that was looked at; None where there is none."""
        index = self._index(release)
        return self.releases[index] if index >= 0 else None

    def companions(self, release: str | Version) -> Mapping[str, str]:
        """The packages that a release was looked at with, `python` among them; empty where it was not covered."""
        index = self._index(release)
        return dict(self._companions[index]) if index >= 0 else {}

    def state(self, release: str | Version) -> str:
        """Of what a release was looked at with (`particulars.state_of`); empty where that is not known."""
        index = self._index(release)
        return self._states[index] if index >= 0 else ""

    def telling(self, release: str | Version) -> tuple[Version, ...]:
        """The releases that were looked at and tell of one: itself, else the two around it; none beyond the last."""
        index = self._index(release)
        if index >= 0 and self.releases[index] == Version(str(release)):
            return self.releases[index : index + 1]
        return self.releases[index : index + 2] if 0 <= index < len(self.releases) - 1 else ()

    def name(self, path: str, release: str | Version) -> PublicName | None:
        """What a path is in a release (the nearest at or below that was looked at); None where it is not there."""
        return self._name(path, self._index(release))

    def has_own(self, path: str, release: str | Version) -> bool:
        """True where a path is in a release by itself: not inherited, nor reached through an alias of its owner."""
        fact = self._at(path, self._index(release))
        return fact is not None and fact.get(KIND) != GONE

    def said_of(self, path: str, release: str | Version) -> str:
        """What a release says of a name when it is asked for it: on being deprecated, or on being gone."""
        found = self.name(path, release)
        fact = self._at(path, self._index(release))
        return found.deprecated if found else str(fact.get(SAID, "")) if fact else ""

    def runs(self, path: str) -> tuple[tuple[Version, Version, PublicName | None], ...]:
        """What a path is over all releases: first and last release of each run in which nothing about it changes."""
        return self._known_runs(path)

    def _runs(self, path: str) -> tuple[tuple[Version, Version, PublicName | None], ...]:
        found: list[tuple[Version, Version, PublicName | None]] = []
        for index, release in enumerate(self.releases):
            name = self._name(path, index)
            if found and found[-1][2] == name:
                found[-1] = (found[-1][0], release, name)
            else:
                found.append((release, release, name))
        return tuple(found)

    def first_without(self, path: str, after: str | Version) -> Version | None:
        """The first release later than this one in which a path is not there; None where it stays."""
        start = self._index(after)
        later = range(start + 1, len(self.releases))
        return next((self.releases[index] for index in later if self._name(path, index) is None), None)

    def last_with(self, path: str, before: str | Version | None = None) -> Version | None:
        """The last release, up to this one, in which a path is there; None where it never was."""
        start = len(self.releases) - 1 if before is None else self._index(before)
        return next((self.releases[index] for index in range(start, -1, -1) if self._name(path, index)), None)

    def children(self, path: str, release: str | Version) -> tuple[str, ...]:
        """The last parts of the names directly below a path, inherited ones included, sorted."""
        return tuple(sorted(self._children(path, self._index(release), 0)))

    def near(self, path: str, release: str | Version) -> tuple[str, ...]:
        """Paths of a release that a missing one may mean: its name elsewhere first, then names like it beside it."""
        index = self._index(release)
        owner, _, leaf = path.rpartition(".")
        elsewhere = [one for one in self._with_leaf(leaf) if one != path and self._name(one, index)]
        elsewhere.sort(key=lambda one: (-_shared(one, path), one.count("."), one))
        beside = [f"{owner}.{one}" for one in alike_names(leaf, self._children(owner, index, 0))] if owner else []
        return tuple(dict.fromkeys([*elsewhere[:3], *beside, *elsewhere[3:6]]))

    def ending_with(self, leaf: str) -> tuple[str, ...]:
        """Every path of any release whose last part is this name."""
        return tuple(self._with_leaf(leaf))

    def paths(self) -> Iterator[str]:
        """Every path that any release has, without inherited names."""
        for line in self._lines.splitlines():
            if not line.startswith(HIDDEN.encode()):
                yield line.split(b"\t", 1)[0].decode()

    def facts(self) -> list[dict[str, Fact]]:
        """All that is kept, by release and path: what a file is written from."""
        found: list[dict[str, Fact]] = [{} for _ in self.releases]
        for line in self._lines.splitlines():
            path, _, runs = line.decode().partition("\t")
            for first, last, fact in json.loads(runs):
                for index in range(first, last + 1):
                    found[index][path] = fact
        return found

    def _index(self, release: str | Version) -> int:
        return bisect_right(self.releases, Version(str(release))) - 1

    def _read(self, path: str) -> tuple[tuple[int, int, Fact], ...]:
        start = self._position(f"{path}\t".encode())
        if not self._lines.startswith(f"{path}\t".encode(), start):
            return ()
        end = self._lines.find(b"\n", start)
        return tuple(map(tuple, json.loads(self._lines[start + len(path.encode()) + 1 : end])))

    def _position(self, key: bytes) -> int:
        """The start of the first line that is not before a key."""
        low, high = 0, len(self._lines)
        while low < high:
            middle = self._lines.rfind(b"\n", low, (low + high) // 2) + 1 or low
            end = self._lines.find(b"\n", middle) + 1 or len(self._lines)
            if self._lines[middle:end] < key:
                low = end
            else:
                high = middle
        return low

    def _at(self, path: str, index: int) -> Fact | None:
        return next((fact for first, last, fact in self._facts(path) if first <= index <= last), None)

    def _made(self, path: str, index: int) -> PublicName | None:
        found = self._resolved(path, index, 0)
        if found is None:
            return None
        home, fact = found
        parameters = fact.get(PARAMETERS)
        return PublicName(
            path=path,
            kind=fact[KIND],
            parameters=None if parameters is None else tuple(_parameter(one) for one in parameters),
            deprecated=fact.get(SAID, ""),
            target=fact.get(ALIAS, "") or ("" if home == path else home),
            taken=fact.get(TAKEN, {}),
            refused=fact.get(REFUSED, {}),
        )

    def _resolved(self, path: str, index: int, depth: int) -> tuple[str, Fact] | None:
        """The path at which a fact about a name stands, and the fact: through aliases, and through what it inherits."""
        if index < 0 or depth > _DEEPEST:
            return None
        fact = self._at(path, index)
        if fact is not None:
            if KIND in fact:
                return None if fact[KIND] == GONE else (path.lstrip(HIDDEN), fact)
            return self._resolved(fact[ALIAS], index, depth + 1)
        owner, _, leaf = path.rpartition(".")
        for other in self._owners(owner, index, depth):
            if found := self._resolved(f"{other}.{leaf}", index, depth + 1):
                return found
        return None

    def _owners(self, path: str, index: int, depth: int) -> tuple[str, ...]:
        """Where else the members of a path may stand: at what it is an alias of, or at its bases."""
        fact = self._at(path, index) if path and depth <= _DEEPEST else None
        if fact is None:
            owner, _, leaf = path.rpartition(".")
            others = self._owners(owner, index, depth + 1) if owner and depth <= _DEEPEST else ()
            return tuple(f"{other}.{leaf}" for other in others if self._at(f"{other}.{leaf}", index))
        if KIND not in fact:
            return (fact[ALIAS],)
        return tuple(fact.get(BASES, ()))

    def _children(self, path: str, index: int, depth: int) -> set[str]:
        start = self._position(f"{path}.".encode())
        own = set()
        while self._lines.startswith(f"{path}.".encode(), start):
            end = self._lines.find(b"\n", start)
            leaf = self._lines[start:end].split(b"\t", 1)[0].decode()[len(path) + 1 :]
            if "." not in leaf and self._resolved(f"{path}.{leaf}", index, 0):
                own.add(leaf)
            start = end + 1
        for other in self._owners(path, index, depth) if depth < _DEEPEST else ():
            own |= self._children(other, index, depth + 1)
        return own

    def _with_leaf(self, leaf: str) -> Iterator[str]:
        """Every path that ends with a name."""
        wanted = f".{leaf}\t".encode()
        at = self._lines.find(wanted)
        while at >= 0:
            start = self._lines.rfind(b"\n", 0, at) + 1
            if not self._lines.startswith(HIDDEN.encode(), start):
                yield self._lines[start : at + len(wanted) - 1].decode()
            at = self._lines.find(wanted, at + 1)


def load(package: str, *folders: Path) -> History | None:
    """The history of a package: from the first of the folders that has one, else the shipped one; None: there is none.

    Each is read once in a process while it stays as it is.
    """
    name = f"{canonicalize_name(package)}.gz"
    for folder in (*folders, SHIPPED):
        try:
            status = (folder / name).stat()
        except OSError:
            continue
        return _loaded(folder / name, (status.st_mtime_ns, status.st_size))
    return None


@functools.cache
def _loaded(path: Path, _: tuple[int, int]) -> History:
    return History(gzip.decompress(path.read_bytes()))


def _parameter(kept: str | list[str]) -> Parameter:
    name, kind, default = parameter_fields(kept)
    return Parameter(name=name, kind=kind, default=default)


def _shared(one: str, other: str) -> int:
    """How many leading parts two paths share."""
    pairs = zip(one.split("."), other.split("."), strict=False)
    return next((count for count, (left, right) in enumerate(pairs) if left != right), 0)


def alike_names(name: str, names: Iterable[str]) -> list[str]:
    """Those that a name abbreviates or begins, then those that look alike; at most six."""
    ordered = sorted(names)
    initials = [one for one in ordered if "".join(word[:1] for word in one.split("_")) == name]
    begin = [one for one in ordered if name.startswith(f"{one}_") or one.startswith(name)]
    close = difflib.get_close_matches(name, ordered, _MOST_ALIKE, 0.6)
    return list(dict.fromkeys(one for one in initials + begin + close if one != name))[:_MOST_ALIKE]
