"""Which two cells an explanation is about: what a user says of the good and the bad one → all their axis values."""

from __future__ import annotations

from typing import TYPE_CHECKING

from runner.errors import UsageError
from runner.matrix.axes import axis_kind, axis_name, canonical
from runner.matrix.mistakes import RefusedError, quoted
from runner.outcomes.outcome import OutcomeKind

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from runner.matrix.model import Cell
    from runner.session.results import Results


_SHOWN = 8


def sides_of(cells: Sequence[Cell], good: str, bad: str) -> tuple[dict[str, str], dict[str, str]]:
    """The axis values of the good and the bad cell, by texts like `import=tf.keras,tensorflow=2.4.0`.

    Of the cells that fit, the two that differ in the fewest axes; a version that no cell has takes the other axes of
    the cells that there are. Raises UsageError where that leaves several pairs, or none.
    """
    wanted = _read("--good", good), _read("--bad", bad)
    fitting = [[cell for cell in cells if cell.matches(one)] for one in wanted]
    pairs = [(dict(g.values), dict(b.values)) for g in fitting[0] for b in fitting[1] if g is not b]
    if not pairs:
        named = {**wanted[0], **wanted[1]}
        rests = [{axis: text for axis, text in cell.values.items() if axis not in named} for cell in cells]
        pairs = [({**rest, **wanted[0]}, {**rest, **wanted[1]}) for rest in rests]
    pairs = _distinct([(g, b) for g, b in pairs if g != b])
    if not pairs:
        raise UsageError(f"--good {good} and --bad {bad} mean the same cell.")
    fewest = min(map(_distance, pairs))
    closest = [pair for pair in pairs if _distance(pair) == fewest]
    if len(closest) > 1:
        open_axes = sorted({axis for g, _ in closest for axis in g if len({one[axis] for one, _ in closest}) > 1})
        raise UsageError(
            f"--good {good} and --bad {bad} mean {len(closest)} pairs of cells; say more of them, or narrow with"
            f" --only: {', '.join(open_axes[:_SHOWN])}."
        )
    g, b = closest[0]
    if g.keys() != b.keys():
        lacking = ", ".join(sorted(g.keys() ^ b.keys()))
        raise UsageError(f"--good {good} and --bad {bad}: only one of them has a value of {lacking}.")
    return g, b


def sides_in(results: Results) -> tuple[dict[str, str], dict[str, str]]:
    """The pair of a good and a bad cell that differ in the fewest axes, by what is recorded.

    Raises UsageError where there is no such pair.
    """
    kinds = list(zip(results.cells, results.outcomes, strict=True))
    found = [
        (dict(g.values), dict(b.values))
        for g, ours in kinds
        for b, theirs in kinds
        if ours.kind is OutcomeKind.GOOD and theirs.kind in {OutcomeKind.BAD, OutcomeKind.UNTESTABLE}
    ]
    if not found:
        raise UsageError(
            "No recorded cell is good while another is bad. Run the matrix first, or name two cells:"
            " --good import=tf.keras --bad import=keras."
        )
    return min(found, key=_distance)


def cell_and_ends(cells: Sequence[Cell], axis: str, first: str, last: str) -> tuple[dict[str, str], tuple[str, str]]:
    """The values of the one cell that a bisection is about, and the two ends of its axis.

    Raises UsageError where the cells differ in more than this axis and what `era` pairs with it.
    """
    try:
        axis = axis_name(axis)
    except RefusedError as error:
        raise UsageError(f"--axis {axis}: {error}") from error
    values = list(dict.fromkeys(cell.values[axis] for cell in cells if axis in cell.values))
    ends = first or (values[0] if values else ""), last or (values[-1] if values else "")
    if not all(ends):
        raise UsageError(f"No cell has an axis {axis}. Name its two ends: --from VERSION --to VERSION.")
    others = {
        name: {cell.values.get(name, "") for cell in cells if cell.values.get(axis) in {None, values[0]}}
        for cell in cells
        for name in cell.values
        if name != axis
    }
    if open_ := {name: texts for name, texts in others.items() if len(texts) > 1}:
        listed = "; ".join(f"{name} is {', '.join(sorted(texts)[:_SHOWN])}" for name, texts in open_.items())
        raise UsageError(f"Which cell? Say with --only: {listed}.")
    return dict(cells[0].values), ends


def _distance(pair: tuple[dict[str, str], dict[str, str]]) -> int:
    good, bad = pair
    return sum(good.get(axis) != bad.get(axis) for axis in {**good, **bad})


def _distinct(pairs: Sequence[tuple[dict[str, str], dict[str, str]]]) -> list[tuple[dict[str, str], dict[str, str]]]:
    return list({(tuple(g.items()), tuple(b.items())): (g, b) for g, b in pairs}.values())


def _read(option: str, text: str) -> Mapping[str, str]:
    found: dict[str, str] = {}
    for part in text.split(","):
        word, sign, value = part.partition("=")
        if not sign or not value.strip():
            raise UsageError(f"{option} {text}: {quoted(part)} names no axis and value (write it like keras=2.2.4)")
        try:
            axis = axis_name(word.strip())
            found[axis] = canonical(axis_kind(axis), value.strip())
        except RefusedError as error:
            raise UsageError(f"{option} {text}: {error}") from error
    return found
