"""What a notebook shows of results: a matrix, a styled table and charts, and never markup that a script printed."""

from __future__ import annotations

import json
import sys
from html.parser import HTMLParser
from typing import TYPE_CHECKING

import pytest
from fake_engine import MATRIX, FakeEngine, world_of, write_matrix
from outcomes_records import BREAKS, LEARNS, crash, record, trial
from reports_made import HOSTILE

from runner.errors import BuildFailedError, UsageError
from runner.matrix.cell_id import CellId
from runner.matrix.matrix_file import Matrix
from runner.matrix.model import Seeds
from runner.outcomes.judged_cell import judge_cell
from runner.outcomes.judging import verdict_of
from runner.outcomes.verdict import Standing
from runner.session.session import open_session

if TYPE_CHECKING:
    from pathlib import Path

    from runner.session.results import Results


ALLOWED = {"table", "thead", "tbody", "tr", "th", "td", "p", "strong", "small", "br", "h3"}


class Reader(HTMLParser):
    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, frozenset[str]]] = []
        self.words: list[str] = []
        self.titles: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, frozenset(name for name, _ in attrs)))
        self.titles += [str(value) for name, value in attrs if name == "title"]

    def handle_data(self, data: str) -> None:
        self.words.append(data)


def results(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, reason: str = "no wheel") -> Results:
    engine = FakeEngine()
    engine.broken = {"six-1.16.0": BuildFailedError("install", reason)}
    engine.losses = lambda job, seed: (
        (1.0 + seed, float("nan")) if "b.py" in job.argv else (1.0, 0.5, 1e-6 * (seed + 1))
    )
    path = write_matrix(tmp_path, MATRIX + "expect: [{six: 1.15.0, script: b.py, outcome: converges}]\n")
    with open_session(Matrix.load(path), world=world_of(engine)) as session:
        return session.run()


def test_results_are_a_matrix_with_a_symbol_a_word_and_the_counts(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = Reader(results(tmp_path, monkeypatch)._repr_html_())
    text = " ".join(found.words)
    assert "script a.py script b.py" in text or "six 1.15.0 six 1.16.0" in text
    assert "✓ converges 4/4 2.5e-06" in text
    assert "✗ fails (nan) 0/" in text
    assert "⊘ blocked (install-failed)" in text
    assert any("no wheel" in title for title in found.titles)
    assert "expected converges (line 7), got fails (nan): six=1.15.0,script=b.py" in text


@pytest.mark.parametrize("text", [one for one in HOSTILE if "\ud800" not in one])
def test_nothing_that_a_script_printed_is_markup(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, text: str) -> None:
    made = results(tmp_path, monkeypatch, reason=text)
    for tag, attributes in Reader(made._repr_html_()).tags:
        assert tag in ALLOWED
        assert attributes <= {"style", "title"}
    table = Reader(made.styled().to_html())
    assert {tag for tag, _ in table.tags} <= ALLOWED | {"style"}
    assert not {name for _, names in table.tags for name in names if name.startswith("on")}


def test_the_styled_table_colours_outcomes_by_their_kind(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    made = results(tmp_path, monkeypatch)
    html = made.styled().to_html()
    assert "color: #0072b2" in html
    assert "color: #d55e00" in html
    assert html.count("<tr>") == 1 + len(made.table())


def test_an_outcome_is_drawn_with_every_seed_and_where_it_broke() -> None:
    outcome = judge_cell(CellId.of({"six": "1"}), [trial(*LEARNS), trial(*BREAKS, seed=1)], Seeds(lead=2, cap=4))
    chart = outcome.plot().to_dict()
    points = chart["data"]["values"] if "values" in chart.get("data", {}) else next(iter(chart["datasets"].values()))
    assert [point["seed"] for point in points] == [0] * 6 + [1] * 2
    assert [point["broken"] for point in points if point["broken"]] == ["nan in epoch 3"]
    assert {point["trial"] for point in points} == {"success", "failure"}
    assert "NaN" not in json.dumps(chart)
    assert "six 1: flaky" in chart["title"]


def test_a_long_training_is_thinned_and_its_break_is_kept() -> None:
    losses = [1 / (1 + n) for n in range(1_000)] + [float("nan")]
    records = [record(*losses, seed=seed) for seed in range(6)]
    outcome = judge_cell(CellId.of({"six": "1"}), [(one, verdict_of(one)) for one in records], Seeds(lead=4, cap=6))
    chart = outcome.plot().to_dict()
    [points] = chart["datasets"].values() if "datasets" in chart else [chart["data"]["values"]]
    assert len(points) < 5000
    assert sum(bool(point["broken"]) for point in points) == 6


def test_without_altair_or_without_a_curve_it_is_said_what_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    nothing = record(**crash(stage="import"))
    outcome = judge_cell(CellId.of({"six": "1"}), [(nothing, verdict_of(nothing))], Seeds(lead=1, cap=1))
    with pytest.raises(UsageError, match="There is nothing to draw"):
        outcome.plot()
    monkeypatch.setitem(sys.modules, "altair", None)
    with pytest.raises(UsageError, match=r"pip install 'convergence-matrix\[notebook\]'"):
        outcome.plot()


def test_every_standing_has_a_look_of_its_own() -> None:
    from runner.outcomes.judged_cell import _LOOKS

    assert _LOOKS.keys() == {kind.value for kind in Standing}
    assert len({str(look) for look in _LOOKS.values()}) == len(_LOOKS)


def test_without_jinja2_it_is_said_what_to_do(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import pandas as pd

    made = results(tmp_path, monkeypatch)
    monkeypatch.setattr(pd.DataFrame, "style", property(lambda _self: (_ for _ in ()).throw(ImportError("jinja2"))))
    with pytest.raises(UsageError, match=r"pip install 'convergence-matrix\[notebook\]'"):
        made.styled()
