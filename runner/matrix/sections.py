"""The sections that say how trials are judged, and as of when they are resolved: `criterion:`, `as_of:`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from runner.matrix.axes import RESERVED_AXES, axis_name
from runner.matrix.criterion import EXAMPLE, Comparison, CriterionError, parse
from runner.matrix.metric_patterns import FROM
from runner.matrix.mistakes import Mistakes, RefusedError, quoted
from runner.matrix.model import Judging

if TYPE_CHECKING:
    from collections.abc import Mapping

    from runner.matrix.declaration import AsOf, MatrixSections
    from runner.matrix.nodes import Text


def read_criterion(texts: tuple[Text, ...], mistakes: Mistakes) -> tuple[Comparison, ...]:
    """The comparisons that must all hold; one that does not parse is a mistake at the very column."""
    comparisons = []
    for text in texts:
        try:
            comparisons.append(parse(text))
        except CriterionError as error:
            mistakes.add(text.at(error.column - 1), str(error), EXAMPLE)
    return tuple(comparisons)


def read_judging(file: MatrixSections, criterion: tuple[Comparison, ...], mistakes: Mistakes) -> Judging:
    """The rules that trials are judged by; a metric beside a criterion that names another one is a mistake."""
    if criterion and file.metric is not None and file.metric != criterion[0].metric:
        message = f"the criterion judges {quoted(criterion[0].metric)}, and another metric is named here"
        mistakes.add(file.metric.position, message, "leave it out, or name it there first")
    metric = str(file.metric or next((name for name in file.metrics if name != FROM), Judging().metric))
    return Judging(
        metric=metric,
        mode=file.mode,
        at=file.at,
        skip=file.skip,
        fits=file.fits,
        exit_code=file.experiment.exit_code,
    )


def read_as_of(node: AsOf, mistakes: Mistakes) -> tuple[str, tuple[tuple[str, str], ...]]:
    """The rule of all packages, and those of single ones by name (normalised, sorted); mistakes are noted.

    A rule is `release`, `none` or a date; a package's own one is `none` or a date.
    """
    if isinstance(node, str):
        return node, ()
    dates: dict[str, str] = {}
    for key, rule in node.items():
        if key == "default":
            continue
        try:
            dates[_package(key, dates)] = rule
        except RefusedError as error:
            mistakes.refuse(error, key.position, "as_of")
    default = next((rule for key, rule in node.items() if key == "default"), "release")
    return default, tuple(sorted(dates.items()))


def _package(key: Text, taken: Mapping[str, str]) -> str:
    name = axis_name(key)
    if name in RESERVED_AXES:
        raise RefusedError(f"{quoted(name)} is not a package", "only packages have rules of their own")
    if name in taken:
        raise RefusedError(f"the package {quoted(name)} appears twice", "names are compared as PEP 503 says")
    return name
