"""A look at the live objects of packages in an environment of their time: one job, which reads and trains nothing."""

from __future__ import annotations

import json
import re
import secrets
import shutil
import sys
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from packaging.version import Version

from runner import foreign_json
from runner.cache import passing_folder
from runner.engines.protocol import Cut, Job, JobFolder, Limits
from runner.environments.lock import Environment, Lock
from runner.errors import BuildFailedError, StoppedError
from runner.history.facts import KIND, PARAMETERS, parameter_fields
from runner.history.folding import Look
from runner.history.particulars import LOOKING, particulars, state_of
from runner.laboratory.executor import slots_of
from runner.matrix.model import Resources
from runner.matrix.releases import Every, is_final
from runner.trials.job_files import opened, opened_folder

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from pathlib import Path

    from runner.engines.protocol import Ending, Image
    from runner.history.api import History
    from runner.laboratory.equipment import Equipment
    from runner.laboratory.laboratory import Laboratory
    from runner.matrix.releases import Published

_LIMITS = Limits(memory_bytes=8 * 1024**3, disk_bytes=1024**3, processes=2048, timeout_s=900)
_QUIET = {"TF_CPP_MIN_LOG_LEVEL": "3", "CUDA_VISIBLE_DEVICES": "", "PYTHONHASHSEED": "0"}
_LONGEST_REASON = 300
_TOOLS_MISSING = re.compile(r"\b(pkg_resources|setuptools|distutils)\b")
_ANSWER_BYTES = 256 * 1024**2


def wanted_releases(
    releases: Iterable[Published], every: Every, start: Version | None = None, end: Version | None = None
) -> list[Version]:
    """The final releases to look at: the first and the last of each minor (or major) release, or all; oldest first.

    The first, since that is where names go; the last, since that is what people have.
    """
    final = sorted(one.version for one in releases if is_final(one))
    inside = [one for one in final if (start is None or one >= start) and (end is None or one <= end)]
    if every is Every.PATCH:
        return inside
    groups: dict[tuple[int, ...], list[Version]] = {}
    for one in inside:
        numbers = (one.epoch, one.major) if every is Every.MAJOR else (one.epoch, one.major, one.minor)
        groups.setdefault(numbers, []).append(one)
    return [one for group in groups.values() for one in dict.fromkeys((group[0], group[-1]))]


@dataclass(frozen=True, kw_only=True, slots=True)
class Sources:
    """What releases come from beside the package index."""

    packages: tuple[str, ...] = ()
    """Further requirements as the lines of an environment, which name wheel files too."""
    indexes: tuple[str, ...] = ()
    as_of: str = "release"
    """The time that all else is of, as that of an environment."""


def look_at(
    package: str, release: str, laboratory: Laboratory, known: History | None, sources: Sources | None = None
) -> Look:
    """What a release is, looked at in an environment of its time, which is removed where it was made for this.

    One that misses setuptools, which every environment had once, is looked at beside it. Raises BuildFailedError where
    there can be none, or where the package can't be imported there.
    """
    given = sources or Sources()
    try:
        return _look_in(_lock_of(package, release, laboratory, given), package, laboratory, known)
    except BuildFailedError as error:
        if error.stage != "look" or not _TOOLS_MISSING.search(str(error)):
            raise
    given = replace(given, packages=(*given.packages, "setuptools"))
    return _look_in(_lock_of(package, release, laboratory, given), package, laboratory, known)


def _look_in(lock: Lock, package: str, laboratory: Laboratory, known: History | None) -> Look:
    engine = laboratory.equipment.engine
    was_there = engine.find(lock) is not None
    image = laboratory.environments.image(lock, purpose="history")
    try:
        return look(package, lock, image, laboratory.equipment, known)
    finally:
        if not was_there:
            engine.remove_image(image.reference)


def _lock_of(package: str, release: str, laboratory: Laboratory, sources: Sources) -> Lock:
    """The environment in which a release is looked at: it is the base, all else is of its time.

    Raises BuildFailedError where none resolves.
    """
    reason, passing = "", False
    wanted = particulars(package)
    for backend in wanted.backends:
        environment = Environment(
            pins=((package, release),),
            packages=tuple(sorted({*wanted.beside, *sources.packages})),
            backend=backend,
            flavour="cpu",
            as_of=sources.as_of,
            indexes=sources.indexes,
        )
        lock = laboratory.environments.resolved(environment)
        if isinstance(lock, Lock):
            return lock
        reason, passing = reason or lock.reason, passing or lock.passing
    raise BuildFailedError("install", reason, passing=passing)


def look(package: str, lock: Lock, image: Image, equipment: Equipment, known: History | None) -> Look:
    """What the objects of a package are in a made environment; `known` has names and arguments to ask for too.

    Raises BuildFailedError where the package can't be imported there.
    """
    with passing_folder() as place:
        folder = JobFolder(root=place)
        folder.work.mkdir()
        folder.channel.touch()
        folder.metrics.touch()
        for program in LOOKING.glob("*.py"):
            shutil.copy(program, folder.work)
        (folder.work / "question.json").write_text(json.dumps(question_of(package, known)), "utf-8")
        argv = ("public_names.py", "question.json", "answer.json")
        backend = lock.environment.backend
        env = _QUIET | ({"KERAS_BACKEND": backend} if backend else {})
        every = slots_of(Resources(cpus=sys.maxsize), 1)[0].cpus
        job = Job(key=f"look-{secrets.token_hex(8)}", folder=folder, argv=argv, env=env, limits=_LIMITS, cpus=every)
        ending = equipment.engine.run(image, job)
        if ending.cut is Cut.INTERRUPTED:
            raise StoppedError
        facts = _answer(folder.work) if ending.exit_code == 0 else None
        if facts is None:
            raise BuildFailedError("look", f"{package} can't be looked at: {_last_words(folder.log, ending)}")
    installed = {one.name: one.version for one in lock.packages}
    companions = {name: version for name, version in installed.items() if name != package}
    return Look(
        release=Version(Version(_release(package, installed)).public),
        companions=companions | {"python": lock.python},
        facts=facts,
        state=state_of(package),
    )


def _answer(work: Path) -> dict[str, Any] | None:
    """The facts that the job wrote; None where it wrote none. The package's code may have put anything there."""
    with opened_folder(work) as root:
        stream = opened(root, "answer.json") if root is not None else None
    if stream is None:
        return None
    with stream:
        try:
            facts = foreign_json.loads(stream.read(_ANSWER_BYTES))
        except (ValueError, RecursionError):
            return None
    return facts if isinstance(facts, dict) else None


def _release(package: str, installed: Mapping[str, str]) -> str:
    """The installed release; of a build for processors alone that is the release of the package itself."""
    return installed.get(package) or installed[f"{package}-cpu"]


def question_of(package: str, known: History | None) -> dict[str, Any]:
    """What `public_names.py` is asked."""
    wanted = particulars(package)
    roots = wanted.roots
    return {
        "package": package,
        "roots": roots,
        "own": wanted.own,
        "modules": wanted.modules,
        "skip": [name if name.startswith("*.") else f"{root}.{name}" for root in roots for name in wanted.skip],
        "shallow": [f"{root}.{name}" for root in roots for name in wanted.shallow],
        "listed": wanted.listed,
        "known": list(known.paths()) if known else [],
        "arguments": arguments_of(known) if wanted.tried else None,
    }


def arguments_of(known: History | None) -> dict[str, dict[str, str | None]]:
    """The arguments that a class or method of some name takes in any release, each with a default that it has."""
    found: dict[str, dict[str, str | None]] = {}
    for facts in known.facts() if known else []:
        for path, fact in facts.items():
            if fact.get(KIND) in {"class", "method"} and PARAMETERS in fact:
                own = found.setdefault(path.rpartition(".")[2], {})
                for one in fact[PARAMETERS]:
                    name, kind, default = parameter_fields(one)
                    if kind not in {"args", "kwargs"}:
                        own[name] = default if own.get(name) is None else own[name]
    return found


def _last_words(log: Path, ending: Ending) -> str:
    """The last line that it wrote: its exception."""
    lines = log.read_text("utf-8", "replace").strip().splitlines() if log.is_file() else []
    if ending.cut is not None:
        return f"it was cut off ({ending.cut.value})"
    return lines[-1][:_LONGEST_REASON] if lines else f"it ended without a word, with exit code {ending.exit_code}"
