"""`results.json` a cell at a time: what is opened says what is read, holds no trials, and tells when it was changed."""

from __future__ import annotations

import json
import weakref
from typing import TYPE_CHECKING

import pytest
from made_report import report_of_sizes

from runner.errors import UsageError
from runner.outcomes import result_file
from runner.outcomes.result_file import as_json, opened_result, read_result
from runner.reports.past_runs import continued
from runner.reports.site import write_site

if TYPE_CHECKING:
    from pathlib import Path

    from runner.outcomes.result import CellResult, Result


@pytest.fixture(scope="module")
def report() -> Result:
    made = report_of_sizes({"tensorflow": 3, "script": 2}, seeds=2, epochs=4)
    return made.model_copy(update={"description": 'A "comma", a brace } and a bracket ] in 日本語 \\ 🙂'})


@pytest.fixture
def path(report: Result, tmp_path: Path) -> Path:
    (tmp_path / "results.json").write_text(as_json(report), "utf-8")
    return tmp_path / "results.json"


@pytest.mark.parametrize("part", [1, 7, 1000, 1024**2])
@pytest.mark.parametrize("indent", [None, 3])
def test_what_is_opened_says_the_same_wherever_its_parts_end(
    path: Path, report: Result, part: int, indent: int | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(result_file, "_PART", part)
    path.write_text(json.dumps(json.loads(path.read_text("utf-8")), indent=indent, ensure_ascii=part < 9), "utf-8")
    opened = opened_result(path)
    assert [(cell.trials, cell.commands) for cell in opened.cells] == [((), None)] * 6
    assert [cell.seeds for cell in opened.cells] == [2] * 6
    assert as_json(opened) == as_json(report)
    assert as_json(read_result(path)) == as_json(report)
    assert [len(cell.trials) for cell in read_result(path).cells] == [2] * 6


def test_members_in_another_order_are_read_too(path: Path, report: Result) -> None:
    found = json.loads(path.read_text("utf-8"))
    path.write_text(json.dumps({name: found[name] for name in reversed(found)}))
    assert as_json(opened_result(path)) == as_json(report)


@pytest.mark.parametrize("end", ["", "]", "]}", "]}x", "],}", ',"title":"a"', ']],"title":"a"}', "\0"])
def test_what_is_cut_or_goes_on_is_no_report(path: Path, end: str) -> None:
    text = path.read_text("utf-8")
    path.write_text(text[: text.index('"trials"')] + end)
    with pytest.raises(UsageError, match=r"results\.json is not a report that this version can read: the whole"):
        opened_result(path)
    path.write_text(text + "{}")
    with pytest.raises(UsageError, match="is not a report"):
        opened_result(path)


def test_a_report_that_is_changed_while_it_is_read_is_told(path: Path) -> None:
    opened = opened_result(path)
    path.write_text(path.read_text("utf-8").replace("日本語", "にほん"), "utf-8")
    with pytest.raises(UsageError, match=r"results\.json was changed or removed while it was read"):
        opened.told(opened.cells[0])
    path.unlink()
    with pytest.raises(UsageError, match="was changed or removed"):
        opened.told(opened.cells[0])


def test_a_site_tells_each_cell_once_and_lets_it_go(
    path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("runner.reports.pages.bundle", lambda: b"// a library\n")
    opened = opened_result(path)
    told: list[weakref.ref[CellResult]] = []
    most: list[int] = []

    def counting(cell: CellResult) -> CellResult:
        most.append(sum(one() is not None for one in told))
        found = opened.told(cell)
        told.append(weakref.ref(found))
        return found

    write_site(opened.telling(opened.cells, counting), tmp_path / "site")
    assert len(told) == len(opened.cells)
    assert max(most) <= 1, "the one before, which is written"
    assert (tmp_path / "site" / "results.json").read_bytes() == path.read_bytes()


def test_a_report_is_held_against_the_one_before_without_its_trials_in_memory(path: Path, report: Result) -> None:
    before = opened_result(path)
    again = report.model_copy(update={"made_at": "2027-01-01T00:00:00+00:00"})
    assert as_json(continued(again, before)) == as_json(report)
    trial = report.cells[5].trials[1].model_copy(update={"duration_s": 9.0})
    cell = report.cells[5].model_copy(update={"trials": (report.cells[5].trials[0], trial)})
    other = again.model_copy(update={"cells": (*report.cells[:5], cell)})
    assert continued(other, before).made_at == again.made_at
