"""The two cells of an investigation: the texts by which a user names the good and the bad one → their ids."""

from __future__ import annotations

from typing import TYPE_CHECKING

from runner.errors import UsageError
from runner.matrix.axes import axis_kind, axis_name, canonical
from runner.matrix.cell_id import CellId
from runner.matrix.mistakes import RefusedError, quoted
from runner.outcomes.outcome import OutcomeKind

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from runner.matrix.model import Cell
    from runner.session.results import Results


_SHOWN = 8
Pair = tuple[CellId, CellId]
"""The good and the bad cell."""


def sides_of(cells: Sequence[Cell], good: str, bad: str) -> Pair:
    """The good and the bad cell, by texts like `import=tf.keras,tensorflow=2.4.0`.

    Of the cells that fit, the two that differ in the fewest axes; a version that no cell has takes the other axes of
    the cells that there are. Raises UsageError where that leaves several pairs, or none.
    """
    wanted = _read("--good", good), _read("--bad", bad)
    fitting = [[cell.id for cell in cells if cell.id.matches(one)] for one in wanted]
    pairs = [(one, other) for one in fitting[0] for other in fitting[1] if one != other]
    if not pairs:
        named = {**wanted[0], **wanted[1]}
        rests = [{axis: value for axis, value in cell.id if axis not in named} for cell in cells]
        pairs = [(CellId.of({**rest, **wanted[0]}), CellId.of({**rest, **wanted[1]})) for rest in rests]
    pairs = [(one, other) for one, other in dict.fromkeys(pairs) if one != other]
    if not pairs:
        raise UsageError(f"--good {good} and --bad {bad} name the same cell. Name two that differ.")
    fewest = min(map(axes_apart, pairs))
    closest = [pair for pair in pairs if axes_apart(pair) == fewest]
    if len(closest) > 1:
        open_axes = sorted({axis for one, _ in closest for axis in one.values if _varies(axis, closest)})
        raise UsageError(
            f"--good {good} and --bad {bad} fit {len(closest)} pairs of cells; say more of them, or narrow with"
            f" --only: {', '.join(open_axes[:_SHOWN])}."
        )
    ((one, other),) = closest
    if one.values.keys() != other.values.keys():
        lacking = ", ".join(sorted(one.values.keys() ^ other.values.keys()))
        raise UsageError(f"--good {good} and --bad {bad}: only one of the two cells has a value of {lacking}.")
    return one, other


def _varies(axis: str, pairs: Sequence[Pair]) -> bool:
    return len({one.get(axis) for one, _ in pairs}) > 1


def sides_in(results: Results) -> Pair:
    """The pair of a good and a bad cell that differ in the fewest axes, by what is recorded.

    Raises UsageError where there is no such pair.
    """
    kinds = list(zip(results.cells, results.outcomes, strict=True))
    found = [
        (good.id, bad.id)
        for good, ours in kinds
        for bad, theirs in kinds
        if ours.kind is OutcomeKind.GOOD and theirs.kind in {OutcomeKind.BAD, OutcomeKind.UNTESTABLE}
    ]
    if not found:
        raise UsageError(
            "No recorded cell is good while another is bad. Run the matrix first, or name two cells:"
            " --good import=tf.keras --bad import=keras."
        )
    return min(found, key=axes_apart)


def sides_for(results: Results, bad: str, good: str = "") -> Pair:
    """The closest recorded good cell, of those that `good` names, and the cell that `bad` names.

    Raises UsageError where there is none of either.
    """
    if good:
        return sides_of(results.cells, good, bad)
    wanted = _read("--fix-for", bad)
    kinds = list(zip(results.cells, results.outcomes, strict=True))
    found = [
        (one.id, other.id)
        for other in results.cells
        if other.id.matches(wanted)
        for one, outcome in kinds
        if outcome.kind is OutcomeKind.GOOD and one.id != other.id
    ]
    good_ones = {cell.id for cell, outcome in kinds if outcome.kind is OutcomeKind.GOOD}
    found = [pair for pair in found if pair[1] not in good_ones]
    if not found:
        raise UsageError(
            f"--fix-for {bad}: no such cell is bad while another one is recorded as good. Run the matrix first, or name"
            " both cells: --good tensorflow=2.10.1 --fix-for tensorflow=2.16.1."
        )
    return min(found, key=axes_apart)


def cell_and_ends(cells: Sequence[Cell], axis: str, first: str, last: str) -> tuple[CellId, tuple[str, str]]:
    """The one cell that a bisection is about, and the two ends of its axis.

    Raises UsageError where the cells differ in more than this axis and what `era` pairs with it.
    """
    try:
        axis = axis_name(axis)
    except RefusedError as error:
        raise UsageError(f"--axis {axis}: {error}") from error
    ids = [cell.id for cell in cells]
    values = list(dict.fromkeys(value for one in ids if (value := one.get(axis)) is not None))
    ends = first or (values[0] if values else ""), last or (values[-1] if values else "")
    if not all(ends):
        raise UsageError(f"No cell has an axis {axis}. Name its two ends: --from VERSION --to VERSION.")
    others = {
        name: {one.get(name) or "" for one in ids if one.get(axis) in {None, values[0]}}
        for cell in ids
        for name in cell.values
        if name != axis
    }
    if open_ := {name: texts for name, texts in others.items() if len(texts) > 1}:
        listed = "; ".join(f"{name} is {', '.join(sorted(texts)[:_SHOWN])}" for name, texts in open_.items())
        raise UsageError(f"Which cell? Narrow with --only: {listed}.")
    return ids[0], ends


def axes_apart(pair: Pair) -> int:
    """The number of axes in which two cells differ."""
    good, bad = pair
    return sum(good.get(axis) != bad.get(axis) for axis in {**good.values, **bad.values})


def _read(option: str, text: str) -> Mapping[str, str]:
    found: dict[str, str] = {}
    for part in text.split(","):
        word, sign, value = part.partition("=")
        if not sign or not value.strip():
            raise UsageError(f"{option} {text}: {quoted(part)} is not an axis and a value (write it like keras=2.2.4)")
        try:
            axis = axis_name(word.strip())
            found[axis] = canonical(axis_kind(axis), value.strip())
        except RefusedError as error:
            raise UsageError(f"{option} {text}: {error}") from error
    return found
