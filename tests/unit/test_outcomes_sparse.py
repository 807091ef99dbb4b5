"""Few cells of a large matrix: which are chosen, how they are refined, and which changes they show."""

from __future__ import annotations

import itertools

import pytest

from runner.matrix.cell_id import CellId
from runner.outcomes.outcome import OutcomeKind
from runner.outcomes.sparse import MOST, SparseMatrix

TYPES = {
    "tensorflow": [f"2.{n}.0" for n in range(10)],
    "keras": [f"3.{n}.0" for n in range(8)],
    "python": ["3.8", "3.9", "3.10"],
    "import": ["as-written", "keras"],
}
CELLS = [CellId(tuple(zip(TYPES, values, strict=True))) for values in itertools.product(*TYPES.values())]
GOOD, BAD = OutcomeKind.GOOD, OutcomeKind.BAD


def place(cell: CellId, axis: str) -> int:
    return TYPES[axis].index(str(cell.get(axis)))


def searched(matrix: SparseMatrix, bad) -> dict[CellId, OutcomeKind]:
    ran: dict[CellId, OutcomeKind] = {}
    wanted = matrix.first
    while wanted:
        assert not set(wanted) & set(ran)
        ran |= {cell: BAD if bad(cell) else GOOD for cell in wanted}
        wanted = matrix.further(ran)
    return ran


@pytest.mark.parametrize("ways", [2, 3])
def test_values_meet_in_a_chosen_cell_wherever_they_can(ways: int) -> None:
    def meetings(cells) -> set[frozenset[tuple[str, str]]]:
        return {frozenset(some) for cell in cells for some in itertools.combinations(cell.pairs, ways)}

    possible = [cell for cell in CELLS if not (place(cell, "tensorflow") > 5 and place(cell, "keras") < 2)]
    chosen = SparseMatrix(possible, "tensorflow", ways).first
    assert set(chosen) <= set(possible)
    assert meetings(chosen) == meetings(possible)
    assert len(chosen) < (100 if ways == 2 else 300)


def test_the_same_matrix_has_the_same_cells() -> None:
    one, other = (SparseMatrix(list(CELLS), "tensorflow", 2) for _ in range(2))
    assert one.first == other.first
    kinds = {cell: BAD if place(cell, "tensorflow") > 4 else GOOD for cell in one.first}
    assert one.further(kinds) == other.further(dict(reversed(kinds.items())))


PLANTED = {
    "one border": lambda cell: place(cell, "tensorflow") >= 6,
    "an old one": lambda cell: place(cell, "keras") < 3,
    "an interaction": lambda cell: place(cell, "tensorflow") >= 4 and place(cell, "keras") >= 5,
    "two borders": lambda cell: place(cell, "tensorflow") >= 7 or place(cell, "python") == 2,
    "a bad value": lambda cell: place(cell, "keras") == 4,
    "a flavour from a version on": lambda cell: place(cell, "import") == 1 and place(cell, "tensorflow") >= 3,
    "all bad": lambda _cell: True,
}


TAKES = {
    "one border": 87,
    "an old one": 89,
    "an interaction": 98,
    "two borders": 100,
    "a bad value": 93,
    "a flavour from a version on": 94,
    "all bad": 80,
}
"""The cells that each takes; a search among all pairs of cells took the same ones."""


@pytest.mark.parametrize("kind", PLANTED)
def test_few_cells_show_the_same_changes_as_all(kind: str) -> None:
    matrix = SparseMatrix(CELLS, "tensorflow", 2)
    ran = searched(matrix, PLANTED[kind])
    assert len(ran) == TAKES[kind]
    whole = {cell: BAD if PLANTED[kind](cell) else GOOD for cell in CELLS}
    assert set(matrix.changes(ran)) == set(matrix.changes(whole))
    assert len(ran) <= MOST * len(CELLS)


def test_a_change_that_depends_on_another_axis_is_told_with_the_values_where_it_is_not_there() -> None:
    matrix = SparseMatrix(CELLS, "tensorflow", 2)
    ran = searched(matrix, PLANTED["a flavour from a version on"])
    told = {str(change): values for change, values in matrix.changes(ran).items()}
    assert told["tensorflow 2.2.0 to 2.3.0: good becomes bad"] == ("import as-written",)
    one_border = searched(matrix, PLANTED["one border"])
    assert set(matrix.changes(one_border).values()) == {()}


def test_undecided_cells_ask_for_no_more() -> None:
    matrix = SparseMatrix(CELLS, "tensorflow", 2)
    kinds = {cell: OutcomeKind.UNDECIDED if place(cell, "python") else GOOD for cell in matrix.first}
    assert matrix.further(kinds) == ()


def test_between_two_cells_that_differ_in_many_axes_half_of_them_are_changed() -> None:
    """More sets of axes than pairs of cells: only those along which two cells differ are looked at."""
    names = [f"env{number}" for number in range(16)]

    def cell(values: str) -> CellId:
        return CellId(tuple(zip(names, values, strict=True)))

    good, bad, middle = cell("0" * 16), cell("1" * 16), cell("1" * 8 + "0" * 8)
    alone = [cell("0" * at + "1" + "0" * (15 - at)) for at in range(16)]
    matrix = SparseMatrix([good, bad, middle, *alone], "", 2)
    assert matrix.further({good: GOOD, bad: BAD}) == (middle,)


def test_refining_ends_at_its_limit_whatever_the_outcomes_are() -> None:
    matrix = SparseMatrix(CELLS, "tensorflow", 2)
    ran = searched(matrix, lambda cell: hash(str(sorted(cell.pairs)).count("1") * 7 % 3) == 1)
    assert len(ran) <= max(MOST * len(CELLS), 2 * len(matrix.first))
