"""A script that late releases break until a line mends it, over a fake engine, for tests of `--fix`."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from fake_engine import FakeEngine, world_of, write_matrix
from packaging.version import Version
from six_releases import VERSIONS, FakeCatalog, good, stuck, values

from runner.explain import fix as fixing
from runner.explain.fix import mend, mend_everywhere
from runner.explain.investigation import explain
from runner.explain.sides import sides_of
from runner.matrix.matrix_file import Matrix
from runner.outcomes.tried_fix import FixKind
from runner.scripts.added_lines import added_lines
from runner.session.options import Options
from runner.session.session import open_session

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from runner.engines.protocol import Job
    from runner.explain.candidates import Candidate, Ill
    from runner.explain.experimenter import Budget
    from runner.outcomes.account import Account

TEXT = """\
axes:
  six: [1.0.0, 1.5.0, 1.15.0]
  script: [a.py]
experiment: {timeout: 10s}
criterion: loss < 1e-4
"""


def source(job: Job) -> str:
    return (job.folder.work / values(job)["script"]).read_text()


def late(job: Job) -> bool:
    return Version(values(job)["six"]) >= Version("1.11.0")


@pytest.fixture
def engine() -> FakeEngine:
    """Late releases are bad, unless the script has a line `MEND = …`."""
    return FakeEngine(losses=lambda job, seed: stuck(seed) if late(job) and "MEND" not in source(job) else good(seed))


@pytest.fixture
def matrix(tmp_path: Path) -> Path:
    return write_matrix(tmp_path / "here", TEXT, VERSIONS)


@pytest.fixture
def adding(monkeypatch: pytest.MonkeyPatch) -> Callable[[Sequence[Sequence[str]]], None]:
    """Have the edits that are tried be these lines, one candidate each."""

    def candidates(ill: Ill, choices: Sequence[Sequence[str]]) -> list[Candidate]:
        return [
            one
            for lines in choices
            for one in ill.edit(
                FixKind.EDIT,
                "; ".join(lines),
                "a test says so",
                lambda text, path, lines=lines: [] if lines[0] in text else added_lines(text, lines),
            )
        ]

    return lambda choices: monkeypatch.setattr(fixing, "edits_for", lambda ill: candidates(ill, choices))


def mended(engine: FakeEngine, path: Path, *, everywhere: bool = False, budget: Budget | None = None) -> Account:
    with open_session(Matrix.load(path), Options(), world=world_of(engine, FakeCatalog())) as session:
        pair = sides_of(session.cells, "six=1.0.0", "six=1.15.0")
        found = explain(session.laboratory, session.matrix, *pair, budget=budget)
        account = found.account("explain")
        search = mend_everywhere if everywhere else mend
        return search(found, account, session.all_cells).told_in(account, found.experimenter.budget.executed)
