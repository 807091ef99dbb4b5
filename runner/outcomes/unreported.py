"""What to do where a metric was never reported: what was seen in its place, and the way out of this very script; pure.

The sentence is made of what the record holds: the metrics that were reported, the last lines of the output, the files
that the script wrote, and the line that looks like its training loop.
"""

from __future__ import annotations

import difflib
from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING

from runner.matrix.metric_patterns import EVENTS
from runner.outcomes.reported_metric import seen
from runner.outcomes.series import canonical
from runner.plurals import counted
from runner.scripts.printed_metrics import pattern_for
from runner.trials.printed import shown_lines
from runner.trials.script_metrics import metric_name

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from runner.trials.record import Record

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
    known = {canonical(name) for name in seen(record)}
    for line in _last_lines(record):
        name, pattern = pattern_for(line, metric) or ("", "")
        if name and canonical(name) not in known and pattern not in record.printed:
            yield _Offer(line=line, name=name, pattern=pattern)


def _last_lines(record: Record) -> Iterator[str]:
    for line in shown_lines(record.log_tail.encode("utf-8", "replace")):
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
