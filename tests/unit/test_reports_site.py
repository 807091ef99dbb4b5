"""The site of a report: complete, the same where nothing changed, and nothing of a report is obeyed."""

from __future__ import annotations

import csv
import json
import re
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from made_account import DIFF, made_account, made_fixes
from made_report import era_report, report_of_sizes
from markupsafe import escape

from runner.check.findings import FindingKind
from runner.errors import MachineError
from runner.outcomes.predicted_change import PredictedChange
from runner.outcomes.result_file import as_json, read_result
from runner.outcomes.verdict import Basis
from runner.reports.cell_page import CellPages
from runner.reports.pages import RULES
from runner.reports.site import write_site

if TYPE_CHECKING:
    from runner.outcomes.result import Result


@pytest.fixture(autouse=True)
def _no_bundle(monkeypatch: pytest.MonkeyPatch) -> None:
    """The charts' library takes seconds to make, and only a browser needs it."""
    monkeypatch.setattr("runner.reports.pages.bundle", lambda: b"// a library\n")


@pytest.fixture(scope="module")
def small() -> Result:
    return report_of_sizes({"tensorflow": 3, "script": 2}, seeds=2, epochs=4)


def texts(folder: Path) -> dict[str, str]:
    return {
        str(path.relative_to(folder)): path.read_text("utf-8") for path in sorted(folder.rglob("*")) if path.is_file()
    }


def test_a_site_has_a_page_and_data_for_every_cell(small: Result, tmp_path: Path) -> None:
    write_site(small, tmp_path)
    names = set(texts(tmp_path))
    data = {"results.json", "results.csv", "report.md", "junit.xml", "badge.svg", "data/matrix.js"}
    assert {"index.html", "compare.html", "changes.html", *data} <= names
    assert {f"cells/{cell.id}.html" for cell in small.cells} | {f"data/{cell.id}.js" for cell in small.cells} <= names
    for name, text in texts(tmp_path).items():
        for link in re.findall(r'(?:href|src)="([^"#]+)', text) if name.endswith(".html") else ():
            assert (tmp_path / name).parent.joinpath(link).resolve().is_file(), f"{name} leads to {link}"


def test_what_is_predicted_and_what_mends_it_have_pages_that_the_others_lead_to(small: Result, tmp_path: Path) -> None:
    told = {"file": "train.py", "package": "keras", "since": "3.0.0", "cells": (small.cells[0].id,)}
    predicted = tuple(
        PredictedChange(kind=kind, path=f"keras.{kind}", line=line, message=f"<b>{kind}</b>", certain=line < 9, **told)
        for kind in FindingKind
        for line in (7, 8, 9)
    )
    account = made_account(fixes=made_fixes(), advice=("Write it otherwise.",))
    assert not {"advice.html", "predicted.html"} & set(texts(write_site(small, tmp_path).folder))
    write_site(small.model_copy(update={"predicted": predicted, "accounts": (account,)}), tmp_path)
    pages = texts(tmp_path)
    for kind in FindingKind:
        assert pages["predicted.html"].count(f"&lt;b&gt;{kind}&lt;/b&gt;") == 2, "one for both places that are certain"
        assert pages["predicted.html"].count(f"perhaps: &lt;b&gt;{kind}&lt;/b&gt;") == 1
    assert pages["predicted.html"].count(f'href="cells/{small.cells[0].id}.html"') == len(predicted)
    for words in ("Write it otherwise.", "This one-line change makes it converge.", escape(DIFF), "numpy&lt;1.20"):
        assert words in pages["advice.html"]
    assert 'href="advice.html"' in pages["index.html"]
    assert 'href="../predicted.html"' in pages[f"cells/{small.cells[0].id}.html"]


def test_a_site_made_again_writes_nothing(small: Result, tmp_path: Path) -> None:
    first = write_site(small, tmp_path)
    again = write_site(small, tmp_path)
    assert (again.written, again.kept, again.removed) == (0, first.written, 0)


@pytest.mark.parametrize("path", sorted((Path(__file__).parent / "fixtures").glob("results-*.json")), ids=str)
def test_results_of_an_older_version_still_make_every_page(path: Path, tmp_path: Path) -> None:
    """What a version wrote stays here for good: `schema_version` and month are its name."""
    older = read_result(path)
    write_site(older, tmp_path)
    index = (tmp_path / "index.html").read_text("utf-8")
    assert len(older.cells) == 4
    for cell in older.cells:
        assert cell.told in (tmp_path / "cells" / f"{cell.id}.html").read_text("utf-8")
        assert cell.id in index or cell.id in (tmp_path / "data" / "matrix.js").read_text("utf-8")
    assert read_result(tmp_path / "results.json") == older


def test_what_an_earlier_version_called_untestable_and_breaks_is_bad_today() -> None:
    older = read_result(Path(__file__).parent / "fixtures" / "results-1-2026-11-crashes.json")
    assert [(str(cell.outcome), cell.kind.value) for cell in older.cells] == [
        ("converges", "good"),
        ("breaks (crashed-training)", "bad"),
        ("breaks (crashed-import)", "bad"),
        ("flaky (neither leads)", "undecided"),
    ]
    assert older.cells[3].told == "flaky (5 of 10)"


def test_only_the_files_of_a_cell_that_changed_are_written_and_those_of_a_lost_one_removed(
    small: Result, tmp_path: Path
) -> None:
    write_site(small, tmp_path)
    (tmp_path / "cells" / "mine.html").write_text("not ours")
    kept, changed, lost = small.cells[0], small.cells[1].model_copy(update={"reason": "otherwise"}), small.cells[-1]
    before = (tmp_path / "cells" / f"{kept.id}.html").stat().st_mtime_ns
    write_site(small.model_copy(update={"cells": (kept, changed, *small.cells[2:-1])}), tmp_path)
    assert (tmp_path / "cells" / f"{kept.id}.html").stat().st_mtime_ns == before
    assert "otherwise" in (tmp_path / "cells" / f"{changed.id}.html").read_text()
    assert not (tmp_path / "cells" / f"{lost.id}.html").exists()
    assert not (tmp_path / "data" / f"{lost.id}.js").exists()
    assert (tmp_path / "cells" / "mine.html").exists()


def test_the_site_of_its_own_results_json_is_the_same(small: Result, tmp_path: Path) -> None:
    write_site(small, tmp_path / "one")
    write_site(read_result(tmp_path / "one" / "results.json"), tmp_path / "other")
    assert texts(tmp_path / "one") == texts(tmp_path / "other")


def test_results_json_always_says_the_version_of_its_schema(small: Result) -> None:
    assert json.loads(as_json(small))["schema_version"] == 2


def test_the_csv_has_a_row_for_each_cell_and_no_formula(small: Result, tmp_path: Path) -> None:
    cells = (small.cells[0].model_copy(update={"reason": "=HYPERLINK(1)"}), *small.cells[1:])
    write_site(small.model_copy(update={"cells": cells}), tmp_path)
    rows = list(csv.DictReader((tmp_path / "results.csv").read_text().splitlines()))
    assert [row["outcome"] for row in rows] == [str(cell.outcome) for cell in cells]
    assert rows[0]["reason"] == "'=HYPERLINK(1)"


def test_what_a_script_wrote_is_never_markup(small: Result, tmp_path: Path) -> None:
    evil = "</script><script>alert(1)</script><img src=x onerror=alert(2)>\u202e'\""
    cell = small.cells[0]
    trial = cell.trials[0].model_copy(update={"log": evil, "reason": evil, "message": evil})
    values = {**cell.values, "script": evil}
    hostile = cell.model_copy(update={"values": values, "reason": evil, "diff": f"+{evil}", "trials": (trial,)})
    failures = tuple(one.model_copy(update={"reason": evil}) for one in small.failures)
    report = small.model_copy(
        update={"cells": (hostile, *small.cells[1:]), "failures": failures, "title": evil, "sentences": (evil,)}
    )
    write_site(report, tmp_path)
    for name, text in texts(tmp_path).items():
        if name.endswith(".html"):
            assert "alert(1)</script>" not in text, name
            assert "<img" not in text, name
            assert "\u202e" not in text, name
            assert "script-src 'self'" in text, name
        if name.startswith("data/"):
            assert "\u202e" not in text, name
            assert text.isascii(), name


def test_a_cell_whose_id_is_a_path_is_refused(small: Result, tmp_path: Path) -> None:
    path = tmp_path / "results.json"
    path.write_text(as_json(small).replace(small.cells[0].id, "../../../etc"))
    with pytest.raises(Exception, match=r"results\.json is not a report.*(cells|changes)\.0"):
        read_result(path)


def test_a_folder_that_cannot_be_written_is_told(small: Result, tmp_path: Path) -> None:
    (tmp_path / "site").write_text("a file")
    with pytest.raises(MachineError, match=r"can't be read or written .*another folder, name that: `publish --to"):
        write_site(small, tmp_path / "site")


def test_a_page_of_a_cell_that_breaks_says_where_it_broke() -> None:
    report = era_report()
    broken = next(cell for cell in report.cells if cell.outcome.breaks)
    page = CellPages(report).page(broken)
    for words in ("TypeError", "in stage build-model, train.py:14", "model.add(Input(batch_shape=(2, 4, 1)))"):
        assert words in page


def test_every_rule_has_a_sentence() -> None:
    assert set(RULES) == {basis.value for basis in Basis}


def test_a_hundred_cells_take_less_than_three_megabytes(tmp_path: Path) -> None:
    write_site(era_report(), tmp_path)
    library = 900_000
    assert sum(path.stat().st_size for path in tmp_path.rglob("*") if path.is_file()) + library < 3_000_000
