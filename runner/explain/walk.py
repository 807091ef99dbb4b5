"""A walk along one axis: every release between a good and a bad one, with the axes that have to move beside it.

`walk` is the bisection that is asked for by itself, from one end to the other, whatever the ends turn out to be.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

from packaging.version import Version

from runner.errors import UsageError
from runner.explain.account_sentences import flips_sentence
from runner.explain.distinction import distinction_between
from runner.explain.experimenter import Budget, Experimenter
from runner.investigate.bisect import BisectRules, bisect
from runner.investigate.question import Combination, answered
from runner.matrix.axes import AxisKind, axis_kind
from runner.matrix.cell_id import CellId
from runner.matrix.cells import expand
from runner.matrix.releases import ERA_BASES, end_of_day, is_final, of_the_era
from runner.matrix.versions import parsed
from runner.outcomes.account import Walk
from runner.session.options import Unwatched

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from runner.explain.distinction import Distinction, Trial
    from runner.investigate.question import Pins
    from runner.laboratory.laboratory import Laboratory
    from runner.matrix.matrix_file import Matrix
    from runner.matrix.releases import Published, Releases
    from runner.session.options import Observer

EVERY = ("patch", "minor")


@dataclass(frozen=True, kw_only=True)
class Span:
    """The subject of a bisection: an axis from its good to its bad value, all else given."""

    axis: str
    good: str
    bad: str
    beside: CellId
    """The other axes, of those that differ between the two cells."""
    along: Mapping[str, tuple[str, str]]
    """Axes that can't stay where they are while this one moves: their good and their bad value."""
    pins: Pins = ()
    """Packages that the environments hold exactly; where the axis is one of them, it is a package that no axis has."""


def is_ordered(axis: str, *values: str) -> bool:
    """True where an axis has releases in an order, and these are some of them."""
    return axis_kind(axis) in {AxisKind.PACKAGE, AxisKind.PYTHON} and all(parsed(value) for value in values)


def combinations_along(
    span: Span, releases: Releases, pythons: Callable[[], Sequence[str]], every: str
) -> list[Combination]:
    """The cells along a span, in its direction, both ends included.

    Between the ends only final releases that were not taken back; with `minor` the last patch of each minor release.
    """
    if axis_kind(span.axis) is AxisKind.PYTHON:
        low, high = sorted((Version(span.good), Version(span.bad)))
        inner = sorted(Version(one) for one in pythons() if low < Version(one) < high)
        texts = [str(one) for one in inner]
        published: dict[str, Published] = {}
    else:
        found = _between(span.good, span.bad, releases(span.axis) or (), every)
        published = {str(release.version): release for release in found}
        texts = list(published)
    if Version(span.good) > Version(span.bad):
        texts.reverse()
    ends = {span.good: 0, span.bad: 1}
    return [
        _place(span, text, {name: values[ends[text]] for name, values in span.along.items()})
        if text in ends
        else _place(span, text, _companions(span, published.get(text), releases))
        for text in (span.good, *texts, span.bad)
    ]


def _place(span: Span, text: str, along: Mapping[str, str]) -> Combination:
    pins = dict(span.pins)
    if span.axis in pins:
        return Combination(span.beside, tuple({**pins, span.axis: text}.items()))
    return Combination.of({span.axis: text, **span.beside.values, **along})


def _between(good: str, bad: str, releases: Sequence[Published], every: str) -> list[Published]:
    low, high = sorted((Version(good), Version(bad)))
    inner = sorted(
        (release for release in releases if low < release.version < high and is_final(release)),
        key=lambda release: release.version,
    )
    if every == "patch":
        return inner
    last = {release.version.release[:2]: release for release in inner}
    return [release for minor, release in last.items() if minor not in {low.release[:2], high.release[:2]}]


def _companions(span: Span, published: Published | None, releases: Releases) -> dict[str, str]:
    """The companions of a release of the axis: of its era where that is known, else the newest of its day."""
    found = {}
    for name, (good, bad) in span.along.items():
        chosen = None
        if published is not None and axis_kind(name) is AxisKind.PACKAGE:
            known = releases(name) or ()
            chosen = (
                of_the_era(name, span.axis, published, known)
                if span.axis in ERA_BASES.get(name, ())
                else _newest(published, _between(good, bad, known, "patch"))
            )
        found[name] = str(chosen.version) if chosen is not None else bad
    return found


def _newest(published: Published, between: Sequence[Published]) -> Published | None:
    out = [release for release in between if release.uploaded < end_of_day(published.uploaded, 1)]
    return max(out, key=lambda release: release.version, default=None)


def span_along(
    matrix: Matrix, cell: CellId, axis: str, ends: tuple[str, str], releases: Releases
) -> tuple[Span, CellId]:
    """The span between two values of an axis of a cell, and the values of the axes that stay.

    Raises UsageError for an axis without an order, and for ends that are one.
    """
    first, last = ends
    if not is_ordered(axis, first, last):
        raise UsageError(f"{axis} has no order to bisect: only packages and python have. Use `explain`.")
    if first == last:
        raise UsageError(f"{axis} has one value only, {first}. Name the two ends: --from VERSION --to VERSION.")
    along = partners(matrix, cell, axis, ends, releases)
    shared = CellId.of({name: value for name, value in cell if name != axis and name not in along})
    return Span(axis=axis, good=first, bad=last, beside=CellId.of({}), along=along), shared


def walk(
    laboratory: Laboratory,
    matrix: Matrix,
    cell: CellId,
    axis: str,
    ends: tuple[str, str],
    *,
    every: str,
    budget: Budget | None = None,
    observer: Observer | None = None,
) -> Walk:
    """Find every flip along an axis of a cell that has `values` on the others; what goes with it moves with it.

    Raises UsageError for an axis without an order, for ends that are one, and where costs are judged, which are walked
    by `walk_costs`.
    """
    if matrix.judging.costs:
        limit = matrix.judging.costs[0]
        raise UsageError(f"The matrix judges what trials cost: bisect it with --on '{limit}'.")
    span, shared = span_along(matrix, cell, axis, ends, laboratory.releases)
    places = places_of(laboratory, span, every)
    experimenter = Experimenter(
        laboratory=laboratory,
        matrix=matrix,
        observer=observer or Unwatched(),
        budget=budget or Budget(),
        shared=shared,
    )
    experimenter.observer.note(f"{len(places)} values of {axis}, from {ends[0]} to {ends[1]}; the two ends come first.")
    experimenter.compared(places[0], places[-1])
    distinction = _distinction(experimenter.trials[places[0]], experimenter.trials[places[-1]])
    if distinction:
        experimenter.judge_by(distinction)
    rules = BisectRules(fault=distinction.fault if distinction else None)
    found = answered(bisect(places, rules, experimenter.recorded(places), axis=axis), experimenter.answer)
    return Walk(
        bisection=found,
        shared=dict(shared.values),
        telling=str(distinction or "a trial passes that succeeds by the matrix's own criterion"),
        sentence=flips_sentence(found),
        trials=experimenter.budget.executed,
        seconds=round(time.monotonic() - experimenter.budget.begun, 1),
    )


def places_of(laboratory: Laboratory, span: Span, every: str) -> list[Combination]:
    """The combinations along a span, by what the package index has and the engine can provide."""
    return combinations_along(span, laboratory.releases, laboratory.pythons, every)


def _distinction(ours: Sequence[Trial], theirs: Sequence[Trial]) -> Distinction | None:
    """The distinction between the ends, whichever of them is the good one; of two levels the better one is good."""
    found = [one for one in (distinction_between(ours, theirs), distinction_between(theirs, ours)) if one]
    minimised = ours[0][1].mode == "min" if ours else True
    return next((one for one in found if one.level is None or one.level.operator.minimises is minimised), None)


def partners(
    matrix: Matrix, cell: CellId, axis: str, ends: tuple[str, str], releases: Releases
) -> dict[str, tuple[str, str]]:
    """The axes that `era` pairs with this one: their values at its two ends.

    Those of the matrix's own cells; for an end that it does not name, what went with that release.
    """
    paired = {one.name for one in matrix.axes for value in one.values if value.beside is not None}
    if axis != matrix.base.name:
        return {}
    at = {value: one.id for one in expand(matrix) if (value := one.id.get(axis)) is not None}
    found = {}
    for name in paired & cell.values.keys():
        values = [_partner(name, axis, end, at, releases) or cell.values[name] for end in ends]
        found[name] = values[0], values[1]
    return found


def _partner(name: str, axis: str, end: str, at: Mapping[str, CellId], releases: Releases) -> str | None:
    if end in at:
        return at[end].get(name)
    published = next((one for one in releases(axis) or () if str(one.version) == end), None)
    chosen = of_the_era(name, axis, published, releases(name) or ()) if published else None
    return str(chosen.version) if chosen else None
