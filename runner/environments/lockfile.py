"""A lock as a committed file: pip's own requirements format with hashes, under a header that says how it was made.

`finished` makes a `Lock` with its text; `write`, `read` and `read_if_it_follows` move it to and from disk. A file that
was edited by hand is refused.
"""

from __future__ import annotations

import hashlib
import json
import re
from dataclasses import dataclass, replace
from datetime import datetime
from typing import TYPE_CHECKING

from runner.environments.lock import Layer, Lock, LockedPackage
from runner.environments.target import build_tools_date, machine_of, platform_name, platform_named, stamp, this_platform
from runner.errors import UsageError
from runner.matrix.versions import parsed
from runner.own_folder import OwnFolder

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence
    from pathlib import Path

    from runner.environments.lock import Environment


_TITLE = "# A lock of convergence-matrix: `lock --upgrade` makes it anew, edits by hand are refused."
_REMEDY = "Make it anew with `lock --upgrade`, or take the change back."
_HEADER = re.compile(r"^# (?P<key>[a-z -]+): (?P<value>.*)$")
_CPYTHON = re.compile(r"3\.\d{1,2}(?:\.\d{1,3})?")
_RELEASE = re.compile(r"^(?P<name>[a-z0-9]+(?:-[a-z0-9]+)*)==(?P<version>[0-9A-Za-z.!+_-]+) \\$")
_HASH = re.compile(r"^    --hash=(?P<hash>sha256:[0-9a-f]{64})(?P<more> \\)?$")
_VIA = re.compile(r"^    # via (?P<names>[a-z0-9-]+(?:, [a-z0-9-]+)*)$")


def finished(
    *,
    environment: Environment,
    python: str,
    as_of: datetime | None,
    exemptions: Iterable[tuple[str, datetime]],
    packages: Iterable[LockedPackage],
) -> Lock:
    """The lock of what was resolved, with the text that is committed."""
    lock = Lock(
        environment=environment,
        python=python,
        platform=environment.platform or this_platform(),
        as_of=as_of,
        exemptions=tuple(sorted(exemptions)),
        packages=tuple(sorted(packages, key=lambda package: package.name)),
        text="",
    )
    body = "\n".join([*_header(lock), *_sections(lock)]) + "\n"
    return replace(lock, text=f"{_TITLE}\n# sealed: {_digest(body)}\n{body}")


def write(lock: Lock, folder: Path) -> Path:
    """Write a lock as FOLDER/NAME.txt, whole or not at all; where it was written."""
    path = lock_path(folder, lock.environment)
    OwnFolder.at(folder).write(path.name, lock.text.encode())
    return path


def lock_path(folder: Path, environment: Environment) -> Path:
    """The path of an environment's lock. Raises UsageError where a link leads to it."""
    return OwnFolder.at(folder).checked(f"{environment.name}.txt")


def read(path: Path, environment: Environment) -> Lock:
    """The lock of an environment from its file.

    Raises UsageError, with file and line, for one that was edited by hand, holds more than pinned releases with
    hashes, or is another environment's.
    """
    lock, why = read_if_it_follows(path, environment)
    if lock is None:
        raise UsageError(f"{path} is not the lock of {environment.name}: {why}. {_REMEDY}")
    return lock


def read_if_it_follows(path: Path, environment: Environment) -> tuple[Lock | None, str]:
    """The lock of an environment from its file, or why there is none that follows from its inputs.

    Raises UsageError, with file and line, for a file that was edited by hand.
    """
    if not path.is_file():
        return None, "there is none yet"
    lines = _text(path).splitlines()
    header = _read_header(path, lines)
    packages = sorted(_read_packages(path, lines), key=lambda package: package.name)
    text = "\n".join(lines) + "\n"
    if header.get("sealed") != _digest(text.split("\n", 2)[2]):
        raise UsageError(f"{path} was edited by hand: it is not what its own digest says. {_REMEDY}")
    platform = platform_named(header.get("platform", ""))
    if header["inputs"] != inputs_digest(environment, environment.platform or platform):
        return None, _difference(header, environment)
    lock = Lock(
        environment=environment,
        python=_cpython(path, header["cpython"]),
        platform=platform,
        as_of=None if header["as of"] == "none" else _moment(path, header["as of"]),
        exemptions=tuple(_read_exemptions(path, header["exempt"])),
        packages=tuple(packages),
        text=text,
    )
    return lock, ""


def inputs_digest(environment: Environment, platform: str = "") -> str:
    """A digest over all that a lock for a platform (empty: this machine's) depends on, the index apart."""
    target = platform_name(machine_of(platform))
    inputs = [environment.pins, environment.packages, environment.python, environment.flavour, target]
    inputs += [environment.time_rules] if environment.time_rules else []
    inputs += [environment.beside] if environment.beside else []
    inputs += [f"backend {environment.backend}"] if environment.backend else []
    return _digest(json.dumps(inputs))


def _header(lock: Lock) -> Iterator[str]:
    from importlib.metadata import version as installed  # noqa: PLC0415 - slow; a lock that is read needs it not

    environment = lock.environment
    exempt = (f"{name} until {stamp(until)}" for name, until in lock.exemptions)
    yield f"# axes: {_join(f'{name}=={version}' for name, version in environment.pins)}"
    yield f"# packages: {_packages(environment)}"
    yield f"# flavour: {environment.flavour}"
    yield f"# asked cpython: {environment.python or 'newest that fits'}"
    if environment.backend:
        yield f"# asked backend: {environment.backend}"
    if environment.time_rules:
        yield f"# asked times: {_join(environment.time_rules)}"
    if environment.beside:
        yield f"# beside it: {_join(environment.beside)}"
    yield f"# platform: {platform_name(machine_of(lock.platform))}"
    yield f"# inputs: {inputs_digest(environment, lock.platform)}"
    yield f"# cpython: {lock.python}"
    yield f"# as of: {stamp(lock.as_of) if lock.as_of else 'none'}"
    yield f"# exempt: {_join(exempt)}"
    yield f"# build tools as of: {stamp(build_tools_date(lock.python, lock.as_of)) if lock.as_of else 'none'}"
    yield f"# resolver: uv {installed('uv')}"


def _packages(environment: Environment) -> str:
    return _join(" ".join(text.split()).partition(" --hash=")[0] for text in environment.packages)


def _join(texts: Iterable[str]) -> str:
    return "; ".join(texts) or "none"


def _sections(lock: Lock) -> Iterator[str]:
    titles = {Layer.BASE: "base: the first axis package with its needs", Layer.OVERLAY: "overlay: all else"}
    for layer, title in titles.items():
        yield ""
        yield f"# {title}"
        for package in lock.of_layer(layer):
            yield f"{package.name}=={package.version} \\"
            hashes = [f"    --hash={text}" for text in sorted(package.hashes)]
            yield " \\\n".join(hashes)
            if package.needed_by:
                yield f"    # via {', '.join(package.needed_by)}"


def _digest(text: str) -> str:
    return f"sha256:{hashlib.sha256(text.encode()).hexdigest()}"


def _text(path: Path) -> str:
    try:
        return (OwnFolder.at(path.parent).read(path.name) or b"").decode("utf-8")
    except UnicodeDecodeError as error:
        raise UsageError(f"{path} is not a lock: it is not text. {_REMEDY}") from error


def _read_header(path: Path, lines: Sequence[str]) -> dict[str, str]:
    if not lines or lines[0] != _TITLE:
        raise UsageError(f"{path} is not a lock of this tool: its first line says something else. {_REMEDY}")
    header: dict[str, str] = {}
    for line in lines[1:]:
        match = _HEADER.match(line)
        if match is None:
            break
        header[match["key"]] = match["value"]
    missing = {"sealed", "inputs", "cpython", "as of", "exempt"} - set(header)
    if missing:
        raise UsageError(f"{path} was edited by hand: its header lacks {', '.join(sorted(missing))}. {_REMEDY}")
    return header


def _difference(header: dict[str, str], environment: Environment) -> str:
    """The purpose of a lock beside the wanted one, in the first thing that differs."""
    wanted = {
        "axes": _join(f"{name}=={version}" for name, version in environment.pins),
        "packages": _packages(environment),
        "flavour": environment.flavour,
        "asked cpython": environment.python or "newest that fits",
        "asked backend": environment.backend or "none",
        "asked times": _join(environment.time_rules),
        "beside it": _join(environment.beside),
        **({"platform": platform_name(machine_of(environment.platform))} if environment.platform else {}),
    }
    for key, value in wanted.items():
        made_for = header.get(key, "none")
        if made_for != value:
            return f"it was made for {key} {made_for}, and {value} is wanted"
    return "its inputs are not what its header says"


def _read_exemptions(path: Path, text: str) -> Iterator[tuple[str, datetime]]:
    for part in text.split("; ") if text != "none" else ():
        name, _, until = part.partition(" until ")
        yield name, _moment(path, until)


def _moment(path: Path, text: str) -> datetime:
    """A moment in a header. Raises UsageError where it is none: whoever seals a lock may write anything into it."""
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        moment = None
    if moment is None or moment.tzinfo is None:
        raise UsageError(f"{path} has {text[:40]!r} where a moment with its time zone belongs. {_REMEDY}")
    return moment


def _cpython(path: Path, text: str) -> str:
    if not _CPYTHON.fullmatch(text):
        raise UsageError(f"{path} has {text[:40]!r} where a release of CPython belongs. {_REMEDY}")
    return text


def _read_packages(path: Path, lines: Sequence[str]) -> Iterator[LockedPackage]:
    """The pinned releases, line by line; whatever else stands in the file is refused."""
    layer = Layer.BASE
    release: re.Match[str] | None = None
    hashes: list[str] = []
    needed_by: tuple[str, ...] = ()
    for number, line in enumerate([*lines, ""], start=1):
        if found := _HASH.match(line):
            hashes.append(found["hash"])
        elif found := _VIA.match(line):
            needed_by = tuple(found["names"].split(", "))
        elif line and not line.startswith("# ") and not _RELEASE.match(line):
            raise UsageError(
                f"{path}:{number}: {line.strip()[:60]!r} may not stand in a lock, which holds pinned releases with"
                f" SHA-256 hashes: no options, addresses or paths. {_REMEDY}"
            )
        else:
            if release is not None:
                if parsed(release["version"]) is None:
                    raise UsageError(f"{path}:{number}: {release['version'][:40]!r} is no release. {_REMEDY}")
                yield _package(release, layer, hashes, needed_by)
            release, hashes, needed_by = _RELEASE.match(line), [], ()
            if line.startswith("# overlay:"):
                layer = Layer.OVERLAY


def _package(release: re.Match[str], layer: Layer, hashes: Sequence[str], needed_by: tuple[str, ...]) -> LockedPackage:
    return LockedPackage(
        name=release["name"], version=release["version"], layer=layer, hashes=tuple(hashes), needed_by=needed_by
    )


@dataclass(frozen=True, kw_only=True, slots=True)
class PackageChange:
    """A package that both locks have, in another version, in another layer or of other files."""

    one: LockedPackage
    other: LockedPackage

    @property
    def name(self) -> str:
        """The package."""
        return self.one.name

    @property
    def what(self) -> tuple[str, ...]:
        """The parts of it that differ.

        Of `version`, `layer` and `files` those that do; other files come with a version.
        """
        same_version = self.one.version == self.other.version
        differs = {
            "version": not same_version,
            "layer": self.one.layer is not self.other.layer,
            "files": same_version and sorted(self.one.hashes) != sorted(self.other.hashes),
        }
        return tuple(name for name, is_so in differs.items() if is_so)


@dataclass(frozen=True, kw_only=True, slots=True)
class ExemptionChange:
    """A package that may be newer in one lock only, or up to another time; None where it is not exempt."""

    name: str
    one: datetime | None
    other: datetime | None


@dataclass(frozen=True, kw_only=True, slots=True)
class Difference:
    """The differences from `one` lock to the `other`. False where nothing that is installed differs."""

    python: tuple[str, str] | None
    """The CPython of both where it differs."""
    as_of: tuple[datetime | None, datetime | None] | None
    """The end of the time that the resolver could see, of both, where it differs; None within: it saw all."""
    exemptions: tuple[ExemptionChange, ...]
    added: tuple[LockedPackage, ...]
    """Packages that only the other has."""
    removed: tuple[LockedPackage, ...]
    changed: tuple[PackageChange, ...]

    def __bool__(self) -> bool:
        return bool(self.python or self.added or self.removed or self.changed)


def difference(one: Lock, other: Lock) -> Difference:
    """The differences of two locks. How they came about (axes, requirements, resolver) is not compared."""
    mine, theirs = ({package.name: package for package in lock.packages} for lock in (one, other))
    both = (PackageChange(one=mine[name], other=theirs[name]) for name in sorted(mine.keys() & theirs.keys()))
    return Difference(
        python=(one.python, other.python) if one.python != other.python else None,
        as_of=(one.as_of, other.as_of) if one.as_of != other.as_of else None,
        exemptions=tuple(_exemptions(one, other)),
        added=tuple(theirs[name] for name in sorted(theirs.keys() - mine.keys())),
        removed=tuple(mine[name] for name in sorted(mine.keys() - theirs.keys())),
        changed=tuple(change for change in both if change.what),
    )


def _exemptions(one: Lock, other: Lock) -> list[ExemptionChange]:
    mine, theirs = dict(one.exemptions), dict(other.exemptions)
    changes = (
        ExemptionChange(name=name, one=mine.get(name), other=theirs.get(name))
        for name in sorted(mine.keys() | theirs.keys())
    )
    return [change for change in changes if change.one != change.other]
