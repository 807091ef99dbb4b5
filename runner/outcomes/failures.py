"""Failures by their reason, so that a reader looks at each one once; and the way out of an exception, or of no metric.

All of it is made of what records hold; pure. Where a metric was never reported, these are the metrics that were, the
last lines of the output, the files that the script wrote, and the line that looks like its training loop.
"""

from __future__ import annotations

import difflib
import re
from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, assert_never

from runner.matrix.metric_patterns import EVENTS
from runner.outcomes.observation import SharedFingerprint, fault
from runner.outcomes.reported_metric import seen
from runner.outcomes.series import canonical
from runner.outcomes.verdict import Label, Standing, standing
from runner.plurals import counted
from runner.scripts.training_loop import COMPILED
from runner.trials.script_metrics import metric_name, shown_lines

if TYPE_CHECKING:
    from collections.abc import Hashable, Iterable, Iterator, Sequence

    from runner.matrix.cell_id import CellId
    from runner.outcomes.fingerprint import Fingerprint
    from runner.outcomes.judged_cell import JudgedCell
    from runner.outcomes.tally import Trial
    from runner.trials.record import FileTrouble, Record, ScriptException


_LIBRARY = re.compile(r"(?P<name>lib[\w.+-]+\.so[.\d]*): cannot open shared object file")


def advice(record: Record) -> tuple[str, ...]:
    """Where a notebook raised, and what to write into the matrix so that the exception does not come again."""
    found = record.exception
    if found is None:
        return ()
    return tuple(
        line
        for line in (
            f"in {found.file}, cell {found.cell}, line {found.line}" if found.cell is not None else "",
            "" if record.file_trouble is None else _of_file(record.file_trouble),
            *_of_import(found),
            *_of_library(found),
        )
        if line
    )


def _of_file(found: FileTrouble) -> str:
    match found.trouble:
        case "not-given":
            return _not_given(found)
        case "elsewhere":
            mapped = f"`data: [{{{found.lies}: {found.sought.removeprefix('./')}}}]`"
            return f"{found.lies} is given, but the script looks in the working directory: {mapped} puts it there too"
        case "not-reached":
            folder = found.lies.removesuffix("/__init__.py").rpartition("/")[0] or "."
            return f"{found.lies} is there, but Python does not look in its folder: `env: {{PYTHONPATH: {folder}}}`"
        case "read-only":
            return (
                f"{found.lies} is under `data:`, which is mounted read-only: put it under `files:` to have a copy that "
                "can be written, or write somewhere else"
            )
        case _:
            assert_never(found.trouble)


def _not_given(found: FileTrouble) -> str:
    there = f"{found.lies} is there, but not under `files:` or `data:`"
    if found.sought.startswith("/"):
        return f"{there}; a trial has its own copy of the folder, so name it by its path from there"
    sought = found.sought.removeprefix("./")
    if "/" not in found.lies or sought == found.lies or ".." in sought or not found.lies.endswith(f"/{sought}"):
        return there
    return f"{there}: `data: [{{{found.lies}: {sought}}}]` puts it where the script looks"


def _of_import(found: ScriptException) -> Iterator[str]:
    relative = "attempted relative import with no known parent" in found.message or "__main__.__main__" in found.message
    if relative and found.file and found.file.endswith(".py") and "/" in found.file:
        module = found.file.removesuffix(".py").replace("/", ".")
        yield f"it imports relatively: `module: {module}` in place of `script:` runs it in its package"


def _of_library(found: ScriptException) -> Iterator[str]:
    missing = _LIBRARY.search(found.message)
    if missing is not None:
        offline = ", and offline base images have it" if missing["name"].startswith("libgomp.") else ""
        yield (
            f"{missing['name']} belongs to the system, no package of the index brings it, and the trial's system lacks "
            f"it: `--engine venv` uses this machine's{offline}"
        )


@dataclass(frozen=True, kw_only=True)
class FailureGroup:
    """All trials that failed for one reason."""

    label: Label
    fingerprint: Fingerprint | None
    """As people read it; None for trials that ended well and still did not succeed: their label is the reason."""
    cells: tuple[JudgedCell, ...]
    """The cells with such a trial, in the matrix's order; a flaky cell can be in several groups."""
    example: Trial
    """The first of its trials, to look at."""
    n_trials: int

    @property
    def reason(self) -> str:
        """The reason in one line."""
        return str(self.label) if self.fingerprint is None else f"{self.label}: {self.fingerprint}"

    @property
    def advice(self) -> str:
        """What a user can do about its example; empty where nothing is known."""
        one, verdict = self.example
        if verdict.label is Label.TOO_SHORT:
            sign = "<" if verdict.mode == "min" else ">"
            return f"{verdict.reason}; a criterion judges the last one: `criterion: {verdict.metric} {sign} …`"
        return verdict.reason if verdict.label is Label.NO_METRICS else "; ".join(advice(one.record))


def failure_groups(cells: Iterable[JudgedCell]) -> tuple[FailureGroup, ...]:
    """All trials that did not succeed, by label and fingerprint; the reason that most cells share comes first.

    Of equally many cells the one with more trials is first, then the one that is seen first.
    """
    found: dict[Hashable, _Members] = {}
    for cell in cells:
        for trial in () if cell.counts.all_succeeded else cell.trials:
            one, verdict = trial
            if standing(verdict.label) is not Standing.SUCCESS:
                known = found.setdefault((verdict.label, fault(trial)), _Members(example=trial))
                known.cells[cell.id] = cell
                known.number += 1
                known.told.add(one)
    made = [
        FailureGroup(
            label=one.example[1].label,
            fingerprint=one.told.shown if fault(one.example) else None,
            cells=tuple(one.cells.values()),
            example=one.example,
            n_trials=one.number,
        )
        for one in found.values()
    ]
    return tuple(sorted(made, key=lambda group: (-len(group.cells), -group.n_trials)))


@dataclass(kw_only=True, slots=True)
class _Members:
    """The trials of a group so far; none of them is held but the first."""

    example: Trial
    cells: dict[CellId, JudgedCell] = field(default_factory=dict)
    number: int = 0
    told: SharedFingerprint = field(default_factory=SharedFingerprint)


_MOST_NAMES = 12
_MOST_PROBLEMS = 2
_LONGEST_LINE = 80


def unreported(record: Record, missing: Sequence[str]) -> str:
    """The reason of `no-metrics`: which metrics have no value, what to write where, and what was reported."""
    were = "was" if len(missing) == 1 else "were"
    found = [f"{' and '.join(missing)} {were} never reported", *_problems(record), _way_out(record, missing[0])]
    return "; ".join([*found, f"what was reported: {_reported(record)}"])


def _reported(record: Record) -> str:
    names = _listed(seen(record))
    phases = _listed(dict.fromkeys(epoch.phase for epoch in record.epochs))
    return f"{names} (in {phases})" if names and phases else names or f"nothing{_steps(record)}"


def _steps(record: Record) -> str:
    """What was seen of training that told no numbers."""
    taken = [f"{phase.name} took {counted(phase.steps, 'step')}" for phase in record.phases if phase.steps]
    return f", though {' and '.join(taken[:_MOST_PROBLEMS])}" if taken else ""


def _listed(names: Iterable[str]) -> str:
    some = list(names)
    left = len(some) - _MOST_NAMES
    return ", ".join(some[:_MOST_NAMES]) + (f" and {left} more" if left > 0 else "")


def _problems(record: Record) -> list[str]:
    """Why what the matrix looks for was not found."""
    found: list[str] = []
    for pattern, printed in record.printed.items():
        if printed.problem:
            found.append(f"nothing is known of {pattern}: {printed.problem}")
        elif printed.other and not printed.values:
            found.append(f"{pattern} found {_plain(printed.other)!r}, which is not a number")
        elif not printed.values:
            found.append(f"no line of the output matches {pattern}")
    found += [f"{path} was not read: {table.problem}" for path, table in record.tables.items() if table.problem]
    return found[:_MOST_PROBLEMS]


def _way_out(record: Record, metric: str) -> str:
    offers = [*_offers(record, metric)]
    exact = [one for one in offers if one.name == metric]
    if exact:
        return _likeliest(exact).advice(metric)
    if near := difflib.get_close_matches(metric, seen(record), n=1):
        return f"did you mean {near[0]}?"
    if offers:
        return _likeliest(offers).advice(metric)
    compiled = next((name for name in COMPILED if f".{name}(" in record.loop), None)
    if compiled is not None:
        return (
            f"nothing can be seen inside of `{compiled}` ({record.loop}): have `jax.lax.scan` return the losses from a"
            " compiled function, or print them there with `jax.debug.print` and name the pattern under `metrics:`"
        )
    where = f" in its loop ({record.loop})" if record.loop else ""
    return _written(record) or (
        f'print it{where} and name its pattern under `metrics:`, or write {{"{metric}": value}} there to the file'
        " $RUNNER_METRICS"
    )


@dataclass(frozen=True, kw_only=True)
class _Offer:
    """A line of the output that looks like a metric, with the pattern that finds it."""

    line: str
    name: str
    pattern: str

    def advice(self, metric: str) -> str:
        judged = "" if self.name == metric else f", and judge {self.name}"
        return (
            f"the output has {self.line[:_LONGEST_LINE]!r}: write `metrics: {{{self.name}: '{self.pattern}'}}`{judged}"
        )


def _likeliest(offers: Sequence[_Offer]) -> _Offer:
    """The last offer of those that come again and again, as the lines of a training do; else the last of all."""
    times = Counter(offer.pattern for offer in offers)
    return next((offer for offer in reversed(offers) if times[offer.pattern] > 1), offers[-1])


def _offers(record: Record, metric: str) -> Iterator[_Offer]:
    from runner.scripts.printed_metrics import pattern_for  # noqa: PLC0415 - only where a metric has no value

    known = {canonical(name) for name in seen(record)}
    for line in _last_lines(record):
        name, pattern = pattern_for(line, metric) or ("", "")
        if name and canonical(name) not in known and pattern not in record.printed:
            yield _Offer(line=line, name=name, pattern=pattern)


def _last_lines(record: Record) -> Iterator[str]:
    for line in shown_lines(record.log_tail.encode("utf-8", "replace").split(b"\n")):
        yield _plain(line.decode("utf-8", "replace"))


def _plain(text: str) -> str:
    return "".join(character if character.isprintable() else " " for character in text).strip()


def _written(record: Record) -> str:
    """The file whose columns nobody asked for."""
    known = seen(record)
    for path, table in record.tables.items():
        names = [metric_name(column) for column in table.columns]
        if names and not any(one == name or one.endswith(f"/{name}") for name in names for one in known):
            plain = _plain(path)
            folder = f"{plain.split('/')[0]}/" if EVENTS in plain and "/" in plain else plain
            return f"{plain} has {_listed(names)}: write `metrics: {{from: {folder}}}`"
    return ""
