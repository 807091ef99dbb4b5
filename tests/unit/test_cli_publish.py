"""The command `publish` over a fake engine: a site beside the matrix, with its history."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest
from fake_engine import FakeEngine

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    Command = Callable[[str], int]


@pytest.fixture
def engine(monkeypatch: pytest.MonkeyPatch) -> FakeEngine:
    fake = FakeEngine()
    fake.losses = lambda _job, seed: (1.0, 0.5, 1e-6 * (seed + 1))
    monkeypatch.setattr("runner.reports.pages.bundle", lambda: b"// a library")
    return fake


def test_publish_writes_a_site_beside_the_matrix_and_again_from_its_results_alone(
    command: Command, engine: FakeEngine, here: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    command("matrix.yaml --only script=a.py")
    capsys.readouterr()
    assert command("publish --only script=a.py") == 0
    out = capsys.readouterr().out
    assert out.startswith("reports/site/index.html\n")
    assert command("publish --only script=a.py") == 0
    assert "\n0 files written, " in capsys.readouterr().out
    command("matrix.yaml")
    assert command("publish matrix.yaml") == 0
    site = here / "reports" / "site"
    assert [len(run["cells"]) for run in json.loads((site / "results.json").read_text())["history"]] == [2]
    assert command(f"publish --from {site / 'results.json'} --to {here / 'copy'}") == 0
    assert (here / "copy" / "changes.html").read_text() == (site / "changes.html").read_text()
    assert "new in the matrix" in (site / "changes.html").read_text()


def test_publish_does_not_lose_a_history_that_it_cannot_read(
    command: Command, engine: FakeEngine, here: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (here / "reports" / "site").mkdir(parents=True)
    (here / "reports" / "site" / "results.json").write_text("{}x")
    command("matrix.yaml --seeds 1")
    capsys.readouterr()
    assert command("publish") == 2
    assert "Its history would be lost: move it away" in capsys.readouterr().err
