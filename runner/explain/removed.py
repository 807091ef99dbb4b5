"""What a failure says was taken away, and what the packages' own objects say of it in the good and the bad cell.

Asked by one trial of each cell with a prelude that looks at the object once the script has ended.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from runner.explain.switches import with_prelude, written
from runner.investigate import BudgetSpentError, Question
from runner.outcomes.series import seen
from runner.preludes.instruments import looking

if TYPE_CHECKING:
    from collections.abc import Iterator

    from runner.explain.asking import Asking
    from runner.investigate import Combination
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
"""What CPython 3.6 says."""
_LOGS = "keras History.history"
_TAKEN_AWAY = frozenset({"AttributeError", "ImportError", "ModuleNotFoundError", "TypeError", "ValueError"})


@dataclass(frozen=True, kw_only=True)
class Missing:
    """What a failure names: `name` is an attribute or an argument of `owner`."""

    kind: str
    owner: str
    name: str


@dataclass(frozen=True, kw_only=True)
class Look:
    """What a cell's own objects say of it."""

    where: str
    """Module and name of the owner as it is in this cell."""
    there: bool
    """Whether an attribute is there, or an argument is in the signature."""
    said: str
    """What is said of the name being deprecated or replaced, in the package's own words; empty where nothing is."""
    near: tuple[str, ...]
    """What the owner has that is named alike."""


@dataclass(frozen=True, kw_only=True)
class Removed:
    """What was taken away, seen from both cells; None where the object was not found there."""

    missing: Missing
    good: Look | None
    bad: Look | None

    @property
    def package(self) -> str:
        """The package that the owner is from, by the name that it is imported by; empty where it was not found."""
        look = self.good or self.bad
        return re.split(r"\W", look.where, maxsplit=1)[0] if look else ""


def missing_in(exception: ScriptException) -> Missing | None:
    """What an exception says is not there; None where it says nothing of the kind."""
    if exception.type.rpartition(".")[2] not in _TAKEN_AWAY:
        return None
    return next(_named(exception), None)


def removed(asking: Asking, good: Combination, bad: Combination) -> Removed | None:
    """What the bad cell's failure names, looked at in both cells; None where it names nothing, or the budget is spent.

    Runs one trial in each, unless it is a metric: those are recorded.
    """
    if unlogged := _unlogged(asking, good, bad):
        return unlogged
    named = (missing_in(record.exception) for record, _ in asking.trials.get(bad, ()) if record.exception)
    missing = next((one for one in named if one is not None), None)
    if missing is None:
        return None
    prelude = written(asking, looking(missing.kind, missing.owner, missing.name))
    cells = [with_prelude(good, prelude), with_prelude(bad, prelude)]
    try:
        asking(tuple(Question(about=cell, trials=1) for cell in cells))
    except BudgetSpentError:
        return None
    looks = [next((look for record, _ in asking.trials[cell] if (look := _look(record))), None) for cell in cells]
    return Removed(missing=missing, good=looks[0], bad=looks[1]) if any(looks) else None


def _unlogged(asking: Asking, good: Combination, bad: Combination) -> Removed | None:
    """The metric that the bad cell's script looked for in vain and that the good cell's training logs."""
    ours, theirs = ({name for record, _ in asking.trials.get(one, ()) for name in seen(record)} for one in (good, bad))
    for record, _ in asking.trials.get(bad, ()):
        error = record.exception
        if error and error.type.rpartition(".")[2] == "KeyError":
            name = error.message.strip("'\"")
            if name in ours and theirs and name not in theirs:
                return Removed(
                    missing=Missing(kind="attribute", owner=_LOGS, name=name),
                    good=Look(where=_LOGS, there=True, said="", near=()),
                    bad=Look(where=_LOGS, there=False, said="", near=tuple(sorted(theirs))),
                )
    return None


def _named(exception: ScriptException) -> Iterator[Missing]:
    for pattern in (*_ATTRIBUTE, _IMPORT):
        if found := pattern.search(exception.message):
            yield Missing(kind="attribute", owner=found["owner"], name=found["name"])
    bare, line = _BARE_IMPORT.search(exception.message), _FROM.search(exception.source or "")
    if bare and line:
        yield Missing(kind="attribute", owner=line["owner"], name=bare["name"])
    for pattern in _ARGUMENT:
        found = pattern.search(exception.message)
        if found and (owner := _called_with(found["name"], exception)):
            yield Missing(kind="argument", owner=owner, name=found["name"])


def _called_with(argument: str, exception: ScriptException) -> str:
    """What the script's line calls with an argument of this name; empty where the line does not show it."""
    calls = re.findall(rf"(\w+)\((?:[^()]|\([^()]*\))*\b{argument}\s*=", exception.source or "")
    return str(calls[-1]) if calls else ""


def _look(record: Record) -> Look | None:
    """What a trial's prelude told; what can't be read is nothing: it is written by the script's own process."""
    for run in record.preludes:
        try:
            told: Any = json.loads(run.note)
            if told["found"]:
                near = tuple(str(one) for one in told["near"])
                return Look(where=str(told["where"]), there=bool(told["there"]), said=str(told["said"]), near=near)
        except (ValueError, KeyError, TypeError):
            continue
    return None
