"""The name that a failure misses, and what the packages' own objects say of it in the good and the bad cell.

Read from the history of the packages where that suffices; else asked by one trial of each cell, with a prelude that
looks at the object once the script has ended.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from runner import foreign_json
from runner.explain.switches import with_prelude, written
from runner.history.api import alike_names, load
from runner.history.particulars import SHIPPED_PACKAGES
from runner.investigate.question import BudgetSpentError, Question
from runner.outcomes.account import NameLookup, RemovedName
from runner.outcomes.reported_metric import seen
from runner.preludes.prelude import looking

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    from runner.explain.experimenter import Experimenter
    from runner.history.api import History, PublicName
    from runner.investigate.question import Combination
    from runner.trials.record import Record, ScriptException

_ATTRIBUTE = (
    re.compile(r"(?:'|type object ')(?P<owner>\w+)'(?: object)? has no attribute '(?P<name>\w+)'"),
    re.compile(r"module '(?P<owner>[\w.]+)' has no attribute '(?P<name>\w+)'"),
    re.compile(r"No module named '(?P<owner>[\w.]+)\.(?P<name>\w+)'"),
)
_IMPORT = re.compile(r"cannot import name '(?P<name>\w+)' from '(?P<owner>[\w.]+)'")
_ARGUMENT = (
    re.compile(r"got an unexpected keyword argument '(?P<name>\w+)'"),
    re.compile(r"not recognized: \{'(?P<name>\w+)'"),
    re.compile(r"^`?(?P<name>\w+)`? is deprecated in the new"),
    re.compile(r"Unrecognized keyword arguments passed to \w+: \{'(?P<name>\w+)'"),
)
_FROM = re.compile(r"^\s*from\s+(?P<owner>[\w.]+)\s+import\b")
_BARE_IMPORT = re.compile(r"^cannot import name '(?P<name>\w+)'$")
"""The wording of CPython 3.6."""
_LOGS = "keras History.history"
_TAKEN_AWAY = frozenset({"AttributeError", "ImportError", "ModuleNotFoundError", "TypeError", "ValueError"})


def missing_in(exception: ScriptException) -> RemovedName | None:
    """The name that an exception misses; None where it names none."""
    if exception.type.rpartition(".")[2] not in _TAKEN_AWAY:
        return None
    return next(_named(exception), None)


def removed_name(experimenter: Experimenter, good: Combination, bad: Combination) -> RemovedName | None:
    """The name that the bad cell's failure misses, looked up in both cells; None: no name, or the budget is spent.

    Runs one trial in each, unless the history tells it, or it is a metric: those are recorded.
    """
    if unlogged := _unlogged(experimenter, good, bad):
        return unlogged
    named = (missing_in(record.exception) for record, _ in experimenter.trials.get(bad, ()) if record.exception)
    missing = next((one for one in named if one is not None), None)
    if missing is None:
        return None
    told = remembered(
        missing,
        *(dict(experimenter.contents.get(one, ())) for one in (good, bad)),
        folder=experimenter.matrix.folder / "history",
    )
    if told is not None:
        return told
    prelude = written(experimenter, looking(missing.kind, missing.owner, missing.name))
    cells = [with_prelude(good, prelude), with_prelude(bad, prelude)]
    try:
        experimenter.answer(tuple(Question(about=cell, trials=1) for cell in cells))
    except BudgetSpentError:
        return None
    looks = [next((look for record, _ in experimenter.trials[cell] if (look := _look(record))), None) for cell in cells]
    return missing.model_copy(update={"good": looks[0], "bad": looks[1]}) if any(looks) else None


def remembered(
    missing: RemovedName, good: Mapping[str, str], bad: Mapping[str, str], *, folder: Path
) -> RemovedName | None:
    """The missing name as the history of the packages that both cells hold has it; None where that does not suffice.

    What it may mean is told by what was seen: it was there in the good cell's releases, and is gone in the bad one's.
    Of a release that was not looked at, the ones before and after it must tell the same.
    """
    found: list[RemovedName] = []
    for package in SHIPPED_PACKAGES:
        history = load(package, folder) if package in good and package in bad else None
        if history is None:
            continue
        for owner in _owners(missing, history, bad[package]):
            looks = [_told(missing, owner, history, release[package]) for release in (good, bad)]
            found.append(missing.model_copy(update={"good": looks[0], "bad": looks[1]}))
    fitting = [one for one in found if one.good and one.bad and one.good.there and not one.bad.there]
    return min(fitting, key=lambda one: one.good.where.count(".") if one.good else 0) if fitting else None


_INNER = (
    (re.compile(r"^keras\.api\._v[12]\.keras\b"), "tensorflow.keras"),
    (re.compile(r"^keras\.(api|_tf_keras)\b"), "keras"),
    (re.compile(r"^tensorflow(_core)?\._api\.v[12]\b"), "tensorflow"),
)
"""What public modules of TensorFlow and Keras call themselves in messages, and what they are called."""


def _owners(missing: RemovedName, history: History, release: str) -> tuple[str, ...]:
    """The paths in a package that the owner of a missing name may be: one where it is dotted."""
    public = missing.owner
    for pattern, name in _INNER:
        public = pattern.sub(name, public)
    if public.split(".")[0] in history.roots:
        return (public,) if history.name(public, release) else ()
    kinds = {"class", "function", "method"} if missing.kind == "argument" else {"class"}
    named = [history.name(path, release) for path in history.ending_with(missing.owner)]
    return tuple(dict.fromkeys(one.target or one.path for one in named if one and one.kind in kinds))


def _told(missing: RemovedName, owner: str, history: History, release: str) -> NameLookup | None:
    """What the history says of a name in a release; None where it does not know it."""
    about = _argument if missing.kind == "argument" else _attribute
    looks = [about(missing, owner, history, str(one)) for one in history.telling(release)]
    return looks[0] if looks and len({look and look.there for look in looks}) == 1 else None


def _attribute(missing: RemovedName, owner: str, history: History, release: str) -> NameLookup:
    path = f"{owner}.{missing.name}"
    there = history.name(path, release)
    return NameLookup(
        where=owner,
        there=there is not None,
        said=history.said_of(path, release),
        near=tuple(alike_names(missing.name, history.children(owner, release))),
    )


def _argument(missing: RemovedName, owner: str, history: History, release: str) -> NameLookup | None:
    maker = history.name(owner, release)
    there = maker.takes(missing.name) if maker else None
    if maker is None or there is None:
        return None
    names = [one.name for one in maker.parameters or () if one.kind not in {"args", "kwargs"}]
    return NameLookup(
        where=owner, there=there, said=_said(maker, missing.name), near=tuple(alike_names(missing.name, names))
    )


def _said(maker: PublicName, argument: str) -> str:
    return maker.taken.get(argument, "") or maker.refused.get(argument, "")


def _unlogged(experimenter: Experimenter, good: Combination, bad: Combination) -> RemovedName | None:
    """The metric that the bad cell's script looked for in vain and that the good cell's training logs."""
    ours, theirs = (
        {name for record, _ in experimenter.trials.get(one, ()) for name in seen(record)} for one in (good, bad)
    )
    for record, _ in experimenter.trials.get(bad, ()):
        error = record.exception
        if error and error.type.rpartition(".")[2] == "KeyError":
            name = error.message.strip("'\"")
            if name in ours and theirs and name not in theirs:
                return RemovedName(
                    kind="attribute",
                    owner=_LOGS,
                    name=name,
                    good=NameLookup(where=_LOGS, there=True),
                    bad=NameLookup(where=_LOGS, there=False, near=tuple(sorted(theirs))),
                )
    return None


def _named(exception: ScriptException) -> Iterator[RemovedName]:
    for pattern in (*_ATTRIBUTE, _IMPORT):
        if found := pattern.search(exception.message):
            yield RemovedName(kind="attribute", owner=found["owner"], name=found["name"])
    bare, line = _BARE_IMPORT.search(exception.message), _FROM.search(exception.source or "")
    if bare and line:
        yield RemovedName(kind="attribute", owner=line["owner"], name=bare["name"])
    for pattern in _ARGUMENT:
        found = pattern.search(exception.message)
        if found and (owner := _called_with(found["name"], exception)):
            yield RemovedName(kind="argument", owner=owner, name=found["name"])


def _called_with(argument: str, exception: ScriptException) -> str:
    """The callable that the script's line gives an argument of this name; empty where the line does not show it."""
    calls = re.findall(rf"(\w+)\((?:[^()]|\([^()]*\))*\b{argument}\s*=", exception.source or "")
    return str(calls[-1]) if calls else ""


def _look(record: Record) -> NameLookup | None:
    """The note of a trial's prelude; one that can't be read counts as none: the script's own process writes it."""
    for run in record.preludes:
        try:
            note: Any = foreign_json.loads(run.note)
            if note["found"]:
                near = tuple(str(one) for one in note["near"])
                return NameLookup(
                    where=str(note["where"]), there=bool(note["there"]), said=str(note["said"]), near=near
                )
        except (ValueError, KeyError, TypeError):
            continue
    return None
