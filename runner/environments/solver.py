"""One question to uv's resolver and its answer: requirements and dates in, exact versions out.

Some releases of 2019 and before state requirements that no longer parse (pandas 0.24 wants `pytz >=2011k`), and uv then
passes them over without a word that reaches the user. They are found in its log, and told what they mean.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from packaging.utils import canonicalize_name
from packaging.version import Version

from runner.cache import passing_folder
from runner.environments.index.catalog import FRESH_S
from runner.environments.index.connection import (
    INDEX_NAME,
    UNANSWERED,
    IndexAddress,
    index_address,
    is_offline,
    without_addresses,
)
from runner.environments.target import platform_name, stamp
from runner.errors import MachineError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from runner.environments.interpreters import Toolchain
    from runner.environments.local_wheels import LocalWheel

_PIN = re.compile(r"^(?P<name>[A-Za-z0-9._-]+)==(?P<version>[^\s;]+)(?:\s*#\s*via (?P<via>.*))?$")
_BROKEN = re.compile(r"`(?P<name>[A-Za-z0-9._-]+)==(?P<version>[^`]+)` has invalid metadata")
_UNBUILT = re.compile(r"Failed to build `(?P<name>[A-Za-z0-9._-]+)==(?P<version>[^`]+)`")
_NOT_HERE = "the resolver runs no package's code"
_REFUSING = f"import os\nos.write(2, b{_NOT_HERE!r})\nos._exit(97)\n"
"""What a Python does that uv starts in order to ask a source distribution what it needs."""
_LOG_LINE = re.compile(r"^\s*(?:TRACE|DEBUG|INFO|WARN)\s")
_MOST_MENDINGS = 60
_MACHINE = (*UNANSWERED, "failed to fetch", "network was disabled", "no space left")


class NoSolutionError(Exception):
    """No set of releases meets the question; the message is the resolver's own reason."""


@dataclass(frozen=True, kw_only=True, slots=True)
class ResolverQuestion:
    """One question to the resolver: all that its answer depends on beside index and interpreter.

    Nothing that it sees is from `as_of` or later, None for no limit; `exemptions` have limits of their own.
    """

    requirements: tuple[str, ...]
    as_of: datetime | None
    machine: str
    """The kind of machine that it is for."""
    exemptions: tuple[tuple[str, datetime | None], ...] = ()
    excludes: tuple[str, ...] = ()
    """Names that no package may bring in."""
    constraints: tuple[str, ...] = ()
    wheels: tuple[LocalWheel, ...] = ()
    """Wheel files that are offered beside what the index has, each in its version."""
    indexes: tuple[str, ...] = ()
    """Further indexes; the newest release of all counts, not the first index that has some."""
    preferences: tuple[Solved, ...] = ()
    """Releases to keep where nothing speaks against them."""
    mended: tuple[tuple[str, str, tuple[str, ...]], ...] = ()
    """(name, version, requirements) of releases whose own statement does not parse."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Solved:
    """One chosen release and the packages that ask for it."""

    name: str
    version: str
    needed_by: tuple[str, ...] = ()


def solve(
    question: ResolverQuestion, toolchain: Toolchain, mend: Callable[[str, str], tuple[str, ...] | None]
) -> tuple[Solved, ...]:
    """Ask uv, with the cell's own interpreter: old source distributions tell their needs to no other.

    `mend` gives the requirements of a release (name, version) that uv can't read, or that only the release's own code
    tells, which does not run here; None where nobody can. Raises NoSolutionError with uv's reason, MachineError where
    index or disk failed.
    """
    seen: set[tuple[str, str]] = set()
    answer, stderr = _ask(question, toolchain)
    # what uv can't read comes first: passing over it, uv came to older releases, whose sources may be past building
    while (broken := _newest_broken(stderr) - seen or _unbuilt(stderr) - seen) and len(seen) < _MOST_MENDINGS:
        seen |= broken
        mended = ((name, version, mend(name, version)) for name, version in sorted(broken))
        known = tuple((name, version, needs) for name, version, needs in mended if needs is not None)
        question = replace(question, mended=question.mended + known)
        answer, stderr = _ask(question, toolchain)
    if isinstance(answer, Exception):
        raise answer
    return answer


def _newest_broken(stderr: str) -> set[tuple[str, str]]:
    """The newest release of each project that uv passed over since it could not read its metadata."""
    newest: dict[str, str] = {}
    for found in _BROKEN.finditer(stderr):
        name, version = canonicalize_name(found["name"]), found["version"]
        newest[name] = max(version, newest.get(name, version), key=Version)
    return set(newest.items())


def _unbuilt(stderr: str) -> set[tuple[str, str]]:
    """The release that uv would have had to build, to know what it needs."""
    found = _UNBUILT.search(stderr) if _NOT_HERE in stderr else None
    return {(canonicalize_name(found["name"]), found["version"])} if found else set()


def _ask(question: ResolverQuestion, toolchain: Toolchain) -> tuple[tuple[Solved, ...] | Exception, str]:
    """One run of uv: its answer or the error that it stands for, and all that it said."""
    with passing_folder() as folder:
        _write(folder, question)
        done = toolchain.uv(_arguments(question), folder=folder)
        if done.returncode and not _is_past(question) and not is_offline():
            # a page of some minutes ago may lack what would resolve
            done = toolchain.uv([*_arguments(question), "--refresh"], folder=folder)
        if done.returncode:
            return _failure(done.stderr), done.stderr
        return _parse((folder / "locked.txt").read_text("utf-8")), done.stderr


def _write(folder: Path, question: ResolverQuestion) -> None:
    for wheel in question.wheels:
        wheel.offer(folder)
    lines = {
        "wanted.in": (*question.requirements, *(f"{wheel.name}=={wheel.version}" for wheel in question.wheels)),
        "excludes.txt": question.excludes,
        "constraints.txt": question.constraints,
        "locked.txt": tuple(f"{one.name}=={one.version}" for one in question.preferences),
    }
    for file, content in lines.items():
        (folder / file).write_text("".join(f"{line}\n" for line in content), "utf-8")
    (folder / "sitecustomize.py").write_text(_REFUSING, "utf-8")
    (folder / "settings.toml").write_text("\n".join(_settings(question)), "utf-8")


def _settings(question: ResolverQuestion) -> Iterator[str]:
    """The lines of uv's own configuration; JSON's texts and lists are TOML's."""
    yield f"[[index]]\nname = {json.dumps(INDEX_NAME)}\nurl = {json.dumps(index_address().url)}\ndefault = true\n"
    for number, address in enumerate(question.indexes):
        further = IndexAddress.parse(address)
        yield f"[[index]]\nname = {json.dumps(further.name or f'further-{number}')}\nurl = {json.dumps(further.url)}\n"
    if _is_past(question):
        yield f'cache-control = {{ api = "max-age={FRESH_S:.0f}", files = "max-age=31536000, immutable" }}\n'
    for name, version, needs in question.mended:
        yield f"[[dependency-metadata]]\nname = {json.dumps(name)}\nversion = {json.dumps(version)}"
        yield f"requires-dist = {json.dumps(needs)}\n"


def _is_past(question: ResolverQuestion) -> bool:
    """True where a page that was read some minutes ago has all that the question may see.

    Then uv need not ask for it again, though the index or a mirror says so: most of the time went there.
    """
    then = datetime.now(UTC) - timedelta(seconds=FRESH_S)
    limits = (question.as_of, *(until for _, until in question.exemptions))
    return all(limit is not None and limit < then for limit in limits)


def _arguments(question: ResolverQuestion) -> list[str]:
    arguments = ["pip", "compile", "wanted.in", "--output-file", "locked.txt", "--verbose", "--no-header"]
    arguments += [
        "--config-file",
        "settings.toml",
        "--default-index",
        "",
        "--annotation-style",
        "line",
        "--python-platform",
        platform_name(question.machine),
        "--no-build-isolation",  # of what a source is built with, `.pth` files run before any sitecustomize.py
    ]
    arguments += ["--exclude-newer", stamp(question.as_of)] if question.as_of else []
    for name, until in question.exemptions:
        arguments += ["--exclude-newer-package", f"{name}={stamp(until) if until else 'false'}"]
    arguments += ["--index-strategy", "unsafe-best-match"] if question.indexes else []
    arguments += ["--find-links", "."] if question.wheels else []
    arguments += ["--excludes", "excludes.txt"] if question.excludes else []
    arguments += ["--constraints", "constraints.txt"] if question.constraints else []
    return arguments


def _parse(text: str) -> tuple[Solved, ...]:
    solved = []
    for line in text.splitlines():
        pin = _PIN.match(line)
        if pin is None:
            raise MachineError(f"uv gave a line that is not a pinned release: {without_addresses(line)!r}")
        via = (part.strip() for part in (pin["via"] or "").split(","))
        needed_by = tuple(sorted(canonicalize_name(part) for part in via if part and not part.startswith("-")))
        solved.append(Solved(name=canonicalize_name(pin["name"]), version=pin["version"], needed_by=needed_by))
    return tuple(sorted(solved, key=lambda one: one.name))


def _failure(stderr: str) -> Exception:
    text = readable(stderr)
    if any(sign in text.lower() for sign in _MACHINE):
        return MachineError(
            f"uv could not resolve because index, network or disk failed: {text} Check the network, the proxy"
            " (HTTPS_PROXY), SSL_CERT_FILE and UV_DEFAULT_INDEX, then run again; what is finished is kept."
        )
    return NoSolutionError(text)


def readable(stderr: str) -> str:
    """The words of uv as one paragraph, without addresses, warnings and the drawing around them."""
    lines = [re.sub(r"^[^\w`]+", "", line) for line in without_addresses(stderr).splitlines()]
    kept = [line for line in lines if line and not _LOG_LINE.match(line) and not line.startswith("warning:")]
    text = " ".join(kept)
    text = re.sub(r"^error: ", "", text)
    return re.sub(r"^No solution found when resolving dependencies:? *(cause: )?", "", text)
