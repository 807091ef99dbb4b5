"""Which cells are near another: neighbours along an axis, and the nearest of another outcome."""

from __future__ import annotations

from typing import TYPE_CHECKING

from made_report import era_report, report_of_sizes
from reports_made import cell as made_cell

from runner.outcomes.outcome import OutcomeKind
from runner.reports.cell_page import CellPages, Nearness, difference
from runner.reports.terminal.cell_sheet import print_cell
from runner.reports.terminal.console import output_console

if TYPE_CHECKING:
    import pytest


def test_neighbours_are_those_along_one_axis_and_what_follows_it_goes_with_it() -> None:
    report = era_report()
    cell = next(
        cell
        for cell in report.cells
        if (cell.values["tensorflow"], cell.values["script"], cell.values["import"])
        == ("1.14.0", "functional.py", "keras")
    )
    found = {one.axis: (one.before, one.after) for one in Nearness(report).neighbours(cell)}
    before, after = found["tensorflow"]
    assert before is not None
    assert after is not None
    assert (before.values["tensorflow"], before.values["keras"]) == ("1.13.1", "2.2.4")
    assert (after.values["tensorflow"], after.values["keras"]) == ("1.15.5", "2.3.1")
    assert found["script"][0] is None
    assert "keras" not in found


def test_a_base_image_is_a_difference_where_both_ran_and_it_is_another_one() -> None:
    one = made_cell(base_image="old:1", base_identity="sha256:a")
    for changes, told in (
        ({"base_image": "", "base_identity": "sha256:b"}, [("base image", "old:1", "the usual one")]),
        ({"base_image": "new:1", "base_identity": "sha256:a"}, []),  # another name of the same
        ({"base_image": "new:1", "base_identity": ""}, []),
    ):
        other = one.model_copy(update=changes)
        assert [row for row in difference(one, other) if row[0] == "base image"] == told


def test_the_nearest_of_another_outcome_differs_in_as_little_as_can_be() -> None:
    report = era_report()
    nearness = Nearness(report)
    for cell in report.cells:
        other = nearness.other(cell)
        assert other is not None
        assert other.kind != cell.kind
        free = [axis.name for axis in report.axes if axis.name != "keras"]
        differs = [name for name in free if cell.values[name] != other.values[name]]
        fewest = min(
            sum(cell.values[name] != one.values[name] for name in free) for one in report.cells if one.kind != cell.kind
        )
        assert len(differs) == fewest


def test_the_nearest_along_an_axis_is_the_first_that_was_run_and_came_to_something_else() -> None:
    report = report_of_sizes({"tensorflow": 7}, seeds=1, epochs=2)
    kinds = ["bad", "good", "good", "left-out", "good", "left-out", "undecided"]
    cells = tuple(
        cell.model_copy(update={"kind": "good", "flags": ("left-out",)} if kind == "left-out" else {"kind": kind})
        for cell, kind in zip(report.cells, kinds, strict=True)
    )
    nearness = Nearness(report.model_copy(update={"cells": cells}))
    places = {cell.id: place for place, cell in enumerate(cells)}
    found = [nearness.other(cell) for cell in cells]
    assert [one and places[one.id] for one in found] == [1, 0, 0, 2, 6, 4, 4]


def test_where_all_came_to_the_same_no_cell_is_of_another_outcome() -> None:
    report = report_of_sizes({"tensorflow": 2, "script": 2}, seeds=1, epochs=3)
    same = report.model_copy(
        update={"cells": tuple(c.model_copy(update={"kind": OutcomeKind.GOOD}) for c in report.cells)}
    )
    assert Nearness(same).other(same.cells[0]) is None
    single = same.model_copy(update={"cells": same.cells[:1]})
    assert Nearness(single).other(single.cells[0]) is None
    assert list(Nearness(single).neighbours(single.cells[0])) == []


def test_the_page_of_a_cell_and_show_say_that_epochs_were_left_out(capsys: pytest.CaptureFixture[str]) -> None:
    report = report_of_sizes({"tensorflow": 1}, seeds=1, epochs=3)
    [cell] = report.cells
    told = cell.trials[0].model_copy(update={"thinned": "3 of 9 epochs are kept"})
    cell = cell.model_copy(update={"trials": (told,)})
    assert "; 3 of 9 epochs are kept" in CellPages(report).page(cell)
    print_cell(report.model_copy(update={"cells": (cell,)}), output_console())
    assert "\n    3 of 9 epochs are kept\n" in capsys.readouterr().out
