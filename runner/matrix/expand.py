"""`Matrix` → cells, pure: the product of the axes without `exclude:`, then `include:` as in a GitHub Actions matrix."""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING

from runner.errors import UsageError
from runner.matrix.mistakes import RefusedError, nearest, quoted
from runner.matrix.model import RESERVED_AXES, Cell, Partial, axis_kind, same_value
from runner.matrix.values import axis_name, canonical, env_pairs

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Mapping, Sequence

    from runner.matrix.model import Matrix

_ANYTHING: Mapping[str, str] = {}


def expand(matrix: Matrix) -> tuple[Cell, ...]:
    """All cells: the product in the order of the file (the last axis turns fastest), then the included; none twice."""
    return tuple(cells(matrix))


def cells(matrix: Matrix, where: Mapping[str, str] = _ANYTHING) -> Iterator[Cell]:
    """The cells one by one; with `where`, the product is narrowed to these values before it is made."""
    includes = [_Include(matrix, include) for include in matrix.include]
    for values in _combinations(matrix, where):
        added: dict[str, str] = {}
        for include in includes:
            if include.extends(values):
                added.update(include.added)
        yield _cell(matrix, {**values, **added})
    new = [_in_order(matrix, include) for include in matrix.include if adds_cell(matrix, include)]
    for items in dict.fromkeys(tuple(values.items()) for values in new):
        yield _cell(matrix, dict(items))


def adds_cell(matrix: Matrix, include: Partial) -> bool:
    """Whether an entry of `include:` makes a new cell, because it can extend none."""
    return next(_combinations(matrix, include.values), None) is None


class _Include:
    """An entry of `include:` against the product: which combinations it extends, and with what."""

    def __init__(self, matrix: Matrix, include: Partial) -> None:
        axes = {axis.name for axis in matrix.axes}
        self.match = _texts(matrix, {axis: value for axis, value in include.values.items() if axis in axes})
        self.added = {axis: value for axis, value in include.values.items() if axis not in axes}

    def extends(self, values: Mapping[str, str]) -> bool:
        return all(values[axis] in texts for axis, texts in self.match)


def _texts(matrix: Matrix, partial: Mapping[str, str]) -> list[tuple[str, frozenset[str]]]:
    """Per axis that a partial match names, the texts that match: versions are compared once, not once a cell."""
    values = {axis.name: axis.values for axis in matrix.axes}
    return [
        (name, frozenset(value.text for value in values.get(name, ()) if same_value(name, value.text, wanted)))
        for name, wanted in partial.items()
    ]


def _combinations(matrix: Matrix, where: Mapping[str, str]) -> Iterator[dict[str, str]]:
    """The product of the axes, narrowed to `where` (names of other axes do not narrow), without what is excluded."""
    names = [axis.name for axis in matrix.axes]
    lists = [
        [
            value.text
            for value in axis.values
            if axis.name not in where or same_value(axis.name, value.text, where[axis.name])
        ]
        for axis in matrix.axes
    ]
    excludes = [_texts(matrix, exclude.values) for exclude in matrix.exclude]
    for texts in itertools.product(*lists):
        values = dict(zip(names, texts, strict=True))
        if not any(all(values.get(axis) in matching for axis, matching in exclude) for exclude in excludes):
            yield values


def _in_order(matrix: Matrix, include: Partial) -> dict[str, str]:
    names = [axis.name for axis in matrix.axes if axis.name in include.values]
    return {name: include.values[name] for name in (*names, *include.values)}


def _cell(matrix: Matrix, values: dict[str, str]) -> Cell:
    script = values.get("script", matrix.experiment.script)
    if script is None:
        raise UsageError("the matrix names no script: neither its experiment nor an axis does")
    return Cell(
        values=values,
        pins=tuple((axis, value) for axis, value in values.items() if axis not in RESERVED_AXES),
        script=script,
        python=values.get("python"),
        import_flavour=values.get("import", "as-written"),
        env=env_pairs(values.get("env", "")),
    )


def select(cells: Sequence[Cell], only: str) -> tuple[Cell, ...]:
    """The cells that `--only keras=2.2.4|2.3.1,script=a.py` or a cell's whole name means.

    Raises UsageError for an axis or value that no cell has, naming the nearest, and where no cell has them together.
    """
    named = tuple(cell for cell in cells if cell.name == only)
    if named:
        return named
    wanted = _wanted(cells, only)
    chosen = tuple(
        cell
        for cell in cells
        if all(any(cell.matches({axis: value}) for value in values) for axis, values in wanted.items())
    )
    if not chosen:
        raise UsageError(f"--only {only}: no cell has these values together")
    return chosen


def _wanted(cells: Sequence[Cell], only: str) -> dict[str, list[str]]:
    known: dict[str, dict[str, None]] = {}
    for cell in cells:
        for axis, value in cell.values.items():
            known.setdefault(axis, {})[value] = None
    wanted: dict[str, list[str]] = {}
    for part in only.split(","):
        word, sign, alternatives = part.partition("=")
        if not sign:
            raise UsageError(f"--only {only}: {quoted(part)} names no axis and value (write it like keras=2.2.4)")
        axis = _known_axis(word.strip(), known, only)
        if axis in wanted:
            raise UsageError(f"--only {only}: the axis {quoted(axis)} is there twice (several values: {axis}=A|B)")
        wanted[axis] = [_known_value(axis, text.strip(), known[axis], only) for text in alternatives.split("|")]
    return wanted


def _known_axis(word: str, known: Collection[str], only: str) -> str:
    try:
        axis = axis_name(word)
    except RefusedError:
        axis = word
    if axis not in known:
        raise UsageError(f"--only {only}: there is no axis {quoted(word)} ({nearest(word, known)})")
    return axis


def _known_value(axis: str, text: str, known: Collection[str], only: str) -> str:
    try:
        value = canonical(axis_kind(axis), text)
    except RefusedError:
        value = text
    if not any(same_value(axis, own, value) for own in known):
        raise UsageError(f"--only {only}: the axis {quoted(axis)} has no value {quoted(text)} ({nearest(text, known)})")
    return value
