"""A matrix of which few cells are run: what runs, what a second run does, and what is said of the rest."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import TYPE_CHECKING
from xml.etree import ElementTree as ET

import pytest
from fake_engine import FakeEngine, world_of, write_matrix

from runner.errors import BuildFailedError, UsageError
from runner.matrix.matrix_file import Matrix
from runner.outcomes.earlier import against
from runner.outcomes.outcome import NOT_RUN, Outcome, OutcomeKind
from runner.outcomes.tally import LEFT_OUT
from runner.reports.cell_page import CellPages, Nearness
from runner.reports.feed import feed
from runner.reports.junit import junit
from runner.reports.markdown import report_md
from runner.reports.notation import kind_counts, summary
from runner.reports.pages import matrix_script
from runner.reports.past_runs import News, continued, gone, news_of, state_of, turns
from runner.reports.terminal.grid import grid_lines
from runner.session.options import Options, Shard, Unwatched
from runner.session.results import FailOn, broken
from runner.session.session import open_session

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from runner.engines.protocol import Job
    from runner.matrix.model import Cell
    from runner.outcomes.judged_cell import JudgedCell

VERSIONS = [f"1.{minor}.0" for minor in range(6, 16)]
MATRIX = f"""\
axes:
  six: [{", ".join(VERSIONS)}]
  env: [{", ".join(f"N={number}" for number in range(5))}]
  script: [a.py, b.py]
exclude:
  - {{six: 1.15.0, script: b.py}}
cells: pairwise
criterion: loss < 1e-4
seeds: 1
"""


@pytest.fixture
def matrix(tmp_path: Path) -> Matrix:
    return Matrix.load(write_matrix(tmp_path, MATRIX, VERSIONS))


def losses(job: Job, _seed: int) -> Sequence[float]:
    cell = job.labels["cell"]
    bad = "b.py" in cell and int(cell.split("six=1.")[1].split(".")[0]) >= 12
    return (1.0, 0.9, 0.8) if bad else (1.0, 0.5, 1e-6)


def test_few_cells_run_and_every_change_is_pinned(matrix: Matrix) -> None:
    engine = FakeEngine(losses=losses)
    with open_session(matrix, world=world_of(engine)) as session:
        results = session.run()
        ran = {cell for cell, _ in engine.ran}
    assert len(ran) < len(results.cells) == 95
    assert not any("1.15.0" in cell and "b.py" in cell for cell in ran)
    assert {str(one.id) for one in results.outcomes if not one.is_left_out} == ran
    assert {one.outcome for one in results.outcomes if one.is_left_out} == {NOT_RUN}
    assert results.complaint == ""
    assert results.sentences[0].startswith(f"{len(ran)} of 95 cells were chosen to run")
    assert "six 1.11.0 to 1.12.0: good becomes bad, but not with script a.py." in results.sentences
    assert results.result.sentences == results.sentences
    assert {(one.before.get("six"), one.after.get("six")) for one in results.changes} == {("1.11.0", "1.12.0")}
    assert all(OutcomeKind.BAD.value in line or "missed" in line for line in broken(results.result, [FailOn.NOT_GOOD]))


def test_reports_tell_what_was_left_out_from_what_is_undecided(matrix: Matrix) -> None:
    with open_session(matrix, world=world_of(FakeEngine(losses=losses))) as session:
        result = session.run().result
    left = [cell for cell in result.cells if LEFT_OUT in cell.flags]
    assert left
    suite = ET.fromstring(junit(result))[0]
    assert (suite.get("errors"), suite.get("skipped")) == ("0", str(len(left)))
    assert f", {len(left)} not chosen and not run" in summary(result)
    assert not {cell.id for cell in left} & set(state_of(result))
    assert kind_counts(result)["undecided"] == 0


def test_a_cell_is_judged_by_the_sum_that_the_ledger_has_of_it(matrix: Matrix) -> None:
    with open_session(matrix, world=world_of(FakeEngine(losses=losses))) as session:
        session.run()
        ledger = session.ledger()
    assert all(cell.counts is ledger.of(cell.id).counts for cell in ledger.judged().cells)


def test_cells_that_a_later_run_leaves_out_are_not_told_as_gone(matrix: Matrix) -> None:
    with open_session(replace(matrix, ways=0), world=world_of(FakeEngine(losses=losses))) as session:
        whole = session.run().result
    with open_session(matrix, world=world_of(FakeEngine(losses=losses))) as session:
        few = continued(session.run().result, whole)
    ((_, moved),) = turns(few)
    assert [one.news for one in moved] == []
    assert gone(few) == 0


def test_cells_that_a_later_run_chooses_are_no_news_of_the_script(matrix: Matrix) -> None:
    with open_session(matrix, world=world_of(FakeEngine(losses=losses))) as session:
        few = session.run().result
    with open_session(replace(matrix, ways=0), world=world_of(FakeEngine(losses=losses))) as session:
        whole = session.run().result
    more = continued(whole.model_copy(update={"made_at": "2031-01-01T00:00:00+00:00"}), few)
    chosen = {cell.id for cell in few.cells if LEFT_OUT in cell.flags}
    assert {one.cell.id for one in news_of(more) if one.news is News.CHOSEN} == chosen
    ((_, moved),) = turns(more)
    assert {one.news for one in moved} == {News.CHOSEN}
    assert "<entry>" not in feed(more)
    worse = [
        cell.model_copy(update={"kind": OutcomeKind.BAD, "outcome": Outcome.parse("fails (missed)")})
        if cell.kind is OutcomeKind.GOOD
        else cell
        for cell in whole.cells
    ]
    last = whole.model_copy(update={"cells": tuple(worse), "made_at": "2031-02-01T00:00:00+00:00"})
    assert [{one.news for one in found} for _, found in turns(continued(last, more))] == [
        {News.CHOSEN},
        {News.NEWLY_FAILING},
    ]


class Notes(Unwatched):
    """An observer that keeps what it is told of the whole run."""

    def __init__(self) -> None:
        self.notes: list[str] = []

    def note(self, text: str) -> None:
        self.notes.append(text)


class Planned(Unwatched):
    """An observer that keeps the cells which it is told that a run is about."""

    def __init__(self) -> None:
        self.cells: list[set[str]] = []

    def planned(self, cells: Sequence[Cell], known: Sequence[JudgedCell]) -> None:
        assert {one.id for one in known} <= {cell.id for cell in cells}
        self.cells.append({str(cell.id) for cell in cells})


def test_a_run_tells_of_the_cells_that_are_chosen_and_of_more_as_they_come(matrix: Matrix) -> None:
    engine, told = FakeEngine(losses=losses), Planned()
    with open_session(matrix, observer=told, world=world_of(engine)) as session:
        first = set(map(str, session.sparse.first)) if session.sparse else set()
        session.run()
    assert told.cells[0] == first
    assert len(told.cells) > 1
    assert told.cells[-1] == {cell for cell, _ in engine.ran}


def test_the_records_of_cells_that_are_left_out_can_be_dropped(matrix: Matrix) -> None:
    engine = FakeEngine(losses=losses)
    with open_session(replace(matrix, ways=0), world=world_of(engine)) as session:
        session.run()
    with open_session(matrix, world=world_of(engine)) as session:
        assert session.forget() == len(engine.ran) == 95


def test_cells_that_are_left_out_are_not_held_against_an_earlier_result(matrix: Matrix) -> None:
    with open_session(replace(matrix, ways=0), world=world_of(FakeEngine(losses=losses))) as session:
        whole = session.run().result
    with open_session(matrix, world=world_of(FakeEngine(losses=losses))) as session:
        few = session.run().result
        cells = {cell.id for cell in session.all_cells}
    ran = {cell.cell_id for cell in few.cells if LEFT_OUT not in cell.flags}
    for now, then in ((few, whole), (whole, few)):
        found = against(now, then, cells)
        assert {one.cell for one in found if one.then is not None and one.now is not None} == ran
        assert not any(one.notable for one in found)


def test_cells_that_were_left_out_are_drawn_as_neither_undecided_nor_anything_else(matrix: Matrix) -> None:
    with open_session(matrix, world=world_of(FakeEngine(losses=losses))) as session:
        result = session.run().result
    left = [LEFT_OUT in cell.flags for cell in result.cells]
    drawn = "\n".join(str(line) for line in grid_lines(result, 200))
    assert "?" not in drawn
    assert f". not chosen to run: {sum(left)} cells" in drawn
    script = matrix_script(result)
    data = json.loads(script[script.index("{") : script.rindex("}") + 1])
    assert [data["kinds"][kind] == LEFT_OUT for kind in data["cells"]["kind"]] == left
    pages = CellPages(result)
    drawn_as = [pages.page(cell).partition('class="badge ')[2].partition('"')[0] for cell in result.cells]
    assert [one == LEFT_OUT for one in drawn_as] == left


def test_a_cell_is_shown_beside_one_that_ran(matrix: Matrix) -> None:
    with open_session(matrix, world=world_of(FakeEngine(losses=losses))) as session:
        result = session.run().result
    nearness = Nearness(result)
    others = [(cell, nearness.other(cell)) for cell in result.cells]
    assert all(other is not None and LEFT_OUT not in other.flags for _, other in others)
    assert {(cell.kind, other.kind) for cell, other in others if other and LEFT_OUT not in cell.flags} == {
        ("good", "bad"),
        ("bad", "good"),
    }


def test_a_long_table_has_the_cells_that_failed_not_those_that_were_left_out(
    matrix: Matrix, monkeypatch: pytest.MonkeyPatch
) -> None:
    with open_session(matrix, world=world_of(FakeEngine(losses=losses))) as session:
        result = session.run().result
    bad = kind_counts(result)["bad"]
    monkeypatch.setattr("runner.reports.markdown.MOST_ROWS", bad)
    assert report_md(result).count("| ✗ fails (missed) |") == bad


def test_a_second_run_and_a_look_run_nothing_and_know_the_same_cells(matrix: Matrix) -> None:
    with open_session(matrix, world=world_of(FakeEngine(losses=losses))) as session:
        first = session.run()
    again = FakeEngine(losses=losses)
    with open_session(matrix, world=world_of(again)) as session:
        second, looked = session.run(), session.results()
        plan = session.plan()
    assert again.ran == []
    outcomes = [(one.id, one.outcome, one.flags) for one in first.outcomes]
    assert outcomes == [(one.id, one.outcome, one.flags) for one in second.outcomes]
    assert outcomes == [(one.id, one.outcome, one.flags) for one in looked.outcomes]
    assert plan.cells == sum(not one.is_left_out for one in first.outcomes)
    assert plan.cells + plan.left_out == 95
    assert plan.wanted == 0


def test_a_cell_that_is_named_runs_though_it_was_not_chosen(matrix: Matrix) -> None:
    with open_session(matrix, world=world_of(FakeEngine(losses=losses))) as session:
        left = next(one.id for one in session.run().outcomes if one.is_left_out)
    engine = FakeEngine(losses=losses)
    with open_session(matrix, Options(only=str(left)), world=world_of(engine)) as session:
        session.run()
    assert engine.ran == [(str(left), 0)]


def test_a_cell_whose_trials_are_to_run_once_more_is_the_only_one_that_runs(matrix: Matrix) -> None:
    with open_session(matrix, world=world_of(FakeEngine(losses=losses))) as session:
        ran = next(one.id for one in session.run().outcomes if not one.is_left_out)
    engine = FakeEngine(losses=losses)
    with open_session(matrix, Options(again=(str(ran),)), world=world_of(engine)) as session:
        session.run()
    assert engine.ran == [(str(ran), 0)]


def test_the_named_baseline_is_among_the_cells_that_are_chosen(matrix: Matrix, tmp_path: Path) -> None:
    with open_session(matrix, world=world_of(FakeEngine(losses=losses))) as session:
        left = next(one.id for one in session.run().outcomes if one.is_left_out and "a.py" in str(one.id))
    (tmp_path / "named").mkdir()
    named = "".join(f"  {axis}: {value}\n" for axis, value in left)
    path = write_matrix(tmp_path / "named", f"{MATRIX}baseline:\n{named}", VERSIONS)
    with open_session(Matrix.load(path), world=world_of(FakeEngine(losses=losses))) as session:
        results = session.run()
    assert results.judged.chosen == left


def test_an_expectation_of_a_cell_that_was_left_out_is_not_missed(tmp_path: Path) -> None:
    path = write_matrix(tmp_path, MATRIX + "expect:\n  - {script: a.py, outcome: converges}\n", VERSIONS)
    with open_session(Matrix.load(path), world=world_of(FakeEngine(losses=losses))) as session:
        results = session.run()
    assert (results.misses, results.exit_code) == ((), 0)


def test_where_no_chosen_cell_is_good_the_run_is_not_green(matrix: Matrix) -> None:
    with open_session(matrix, world=world_of(FakeEngine(losses=lambda _job, _seed: (1.0, 0.9, 0.8)))) as session:
        results = session.run()
    assert results.complaint.startswith("No cell is good")
    assert results.exit_code == 1


def test_where_an_environment_can_not_be_made_now_it_goes_on_elsewhere_and_says_what_stays_unknown(
    matrix: Matrix,
) -> None:
    with open_session(matrix, world=world_of(FakeEngine(losses=losses))) as session:
        name = next(group.environment.name for group in session.groups if "1.8.0" in group.environment.name)
    away = {name: BuildFailedError("install", "no route to the index", passing=True)}
    engine = FakeEngine(losses=losses, broken=away)
    with open_session(matrix, world=world_of(engine)) as session:
        first = session.sparse.first if session.sparse else ()
        results, looked = session.run(), session.results()
    ran = {cell for cell, _ in engine.ran}
    assert len(ran) > len(first)
    unknown = {str(one.id) for one in results.outcomes if one.is_unknown}
    assert unknown
    assert all("six=1.8.0" in cell for cell in unknown)
    for found in (results, looked):
        assert [line.split(":")[0] for line in found.sentences[1:-1]] == ["six 1.11.0 to 1.12.0", "script a.py to b.py"]
        assert found.sentences[-1].startswith(f"{len(unknown)} chosen cells could not be run yet (six=1.8.0")
        assert {str(one.id) for one in found.outcomes if not one.is_left_out} == ran | unknown
    mended = FakeEngine(losses=losses)
    with open_session(matrix, world=world_of(mended)) as session:
        again = session.run()
    assert unknown <= {cell for cell, _ in mended.ran}
    assert not {cell for cell, _ in mended.ran} & ran
    assert not any(one.is_unknown for one in again.outcomes)


def test_environments_of_cells_that_are_left_out_are_made_only_where_they_are_asked_for(tmp_path: Path) -> None:
    packages = "{six: [1.6.0, 1.7.0, 1.8.0], attrs: [21.1.0, 21.2.0, 21.3.0], idna: [3.1, 3.2, 3.3]}"
    path = write_matrix(tmp_path, f"axes: {packages}\ncells: pairwise\nexperiment: {{script: a.py}}\n", [])
    told = Notes()
    with open_session(Matrix.load(path), observer=told, world=world_of(FakeEngine())) as session:
        chosen = {group.environment.name for group in session.prepared()}
        every = {group.environment.name for group in session.prepared(whole=True)}
        first = [cell for cell in session.all_cells if session.sparse and cell.id in session.sparse.first]
    assert len(every) == 27
    assert chosen == {session.setup.environment(cell).name for cell in first} < every
    few = f"{len(chosen)} of 27 environments, those of the {len(chosen)} of 27 cells that are chosen to run by now"
    assert told.notes == [f"{few}; --all takes the others, too."]
    with open_session(Matrix.load(path), Options(only="six=1.6.0"), world=world_of(FakeEngine())) as session:
        assert len(session.prepared()) == 9


def test_it_is_run_in_one_part(matrix: Matrix) -> None:
    options = Options(shard=Shard(index=1, of=2))
    with open_session(matrix, options, world=world_of(FakeEngine())) as session, pytest.raises(UsageError) as refused:
        session.run()
    assert "is run in one part" in str(refused.value)
