"""The axis that a bisection walks: every release between a good and a bad one, and what has to move with it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from packaging.version import Version

from runner.investigate import Combination
from runner.matrix.axes import AxisKind, axis_kind
from runner.matrix.releases import ERA_BASES, ERA_PACKAGES, end_of_day, is_final, of_the_era
from runner.matrix.versions import parsed

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from runner.matrix.releases import Published, Releases

EVERY = ("patch", "minor")


@dataclass(frozen=True, kw_only=True)
class Span:
    """What a bisection is about: an axis from its good to its bad value, all else given."""

    axis: str
    good: str
    bad: str
    values: Mapping[str, str]
    """The other axes, of those that differ between the two cells."""
    along: Mapping[str, tuple[str, str]]
    """Axes that can't stay where they are while this one moves: their good and their bad value."""
    pins: tuple[tuple[str, str | None], ...] = ()
    """Packages that the environments hold exactly; where the axis is one of them, it is a package that no axis has."""


def is_ordered(axis: str, *values: str) -> bool:
    """Whether an axis has releases in an order, and these are some of them."""
    return axis_kind(axis) in {AxisKind.PACKAGE, AxisKind.PYTHON} and all(parsed(value) for value in values)


def places(span: Span, releases: Releases, pythons: Callable[[], Sequence[str]], every: str) -> list[Combination]:
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
        return Combination(values=tuple(span.values.items()), pins=tuple({**pins, span.axis: text}.items()))
    return Combination(values=tuple({span.axis: text, **span.values, **along}.items()))


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
    """What goes with a release of the axis: of its era where that is known, else the newest of its day in between."""
    found = {}
    for name, (good, bad) in span.along.items():
        chosen = None
        if published is not None and axis_kind(name) is AxisKind.PACKAGE:
            known = releases(name) or ()
            chosen = (
                of_the_era(name, published, known)
                if span.axis in ERA_BASES and name in ERA_PACKAGES
                else _newest(published, _between(good, bad, known, "patch"))
            )
        found[name] = str(chosen.version) if chosen is not None else bad
    return found


def _newest(published: Published, between: Sequence[Published]) -> Published | None:
    out = [release for release in between if release.uploaded < end_of_day(published.uploaded, 1)]
    return max(out, key=lambda release: release.version, default=None)
