"""Walking one axis over a fake engine: every flip along it, what moves along, and which end is good."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING

import pytest
from fake_engine import world_of, write_matrix
from packaging.version import Version
from six_releases import FakeCatalog, Published, engine, explained, good, matrix, stuck, values

from runner.errors import BuildFailedError
from runner.explain.experimenter import Budget
from runner.explain.sides import cell_and_ends
from runner.explain.walk import Span, combinations_along, partners, walk
from runner.matrix.cell_id import CellId
from runner.matrix.cells import expand
from runner.matrix.matrix_file import Matrix
from runner.matrix.settle import settle
from runner.outcomes.account import Decision
from runner.session.options import Options
from runner.session.session import open_session

if TYPE_CHECKING:
    from pathlib import Path

    from fake_engine import FakeEngine

__all__ = ["engine", "matrix"]


def test_a_bisection_by_itself_finds_a_bad_span_between_good_ends(engine: FakeEngine, matrix: Path) -> None:
    engine.losses = lambda job, seed: (
        stuck(seed) if Version("1.4.0") <= Version(values(job)["six"]) <= Version("1.9.0") else good(seed)
    )
    with open_session(
        Matrix.load(matrix), Options(only="script=a.py"), world=world_of(engine, FakeCatalog())
    ) as session:
        cell, ends = cell_and_ends(session.cells, "six", "", "")
        found = walk(session.laboratory, session.matrix, cell, "six", ends, every="patch")
    steps = [
        (found.bisection.places[flip.before].values["six"], found.bisection.places[flip.after].values["six"])
        for flip in found.bisection.flips
    ]
    assert steps == [("1.3.0", "1.4.0"), ("1.9.0", "1.10.0")]
    assert "breaks at six 1.3.0 → 1.4.0, and heals at six 1.9.0 → 1.10.0" in found.sentence


def test_what_could_not_be_installed_is_never_what_bad_means(engine: FakeEngine, matrix: Path) -> None:
    for version in ("1.14.0", "1.15.0"):
        engine.broken[f"six-{version}"] = BuildFailedError("install", "no wheel")
    engine.losses = lambda job, seed: stuck(seed) if Version(values(job)["six"]) >= Version("1.11.0") else good(seed)
    with open_session(
        Matrix.load(matrix), Options(only="script=a.py"), world=world_of(engine, FakeCatalog())
    ) as session:
        cell, ends = cell_and_ends(session.cells, "six", "", "")
        found = walk(session.laboratory, session.matrix, cell, "six", ends, every="patch")
    told = {place.values["six"]: place.told for place in found.bisection.places}
    assert (told["1.10.0"], told["1.11.0"], told["1.15.0"]) == (Decision.GOOD, Decision.BAD, Decision.UNTESTABLE)
    assert "install" not in found.telling
    account = explained(engine, matrix, "six=1.0.0,script=a.py", "six=1.15.0,script=a.py")
    assert not account.real
    assert "six=1.15.0 could not be installed" in account.sentences[1]


@pytest.mark.parametrize("named", ["tensorflow: [2.9.0]", "tensorflow: [2.9.0, 2.16.1]"])
def test_what_era_pairs_with_a_walked_axis_moves_along_also_to_releases_that_the_matrix_does_not_name(
    tmp_path: Path, named: str
) -> None:
    out = {"2.9.0": 1, "2.12.0": 2, "2.16.1": 3}
    days = {number: datetime(2020 + number, 1, 1, tzinfo=UTC) for number in out.values()}
    published = {
        "tensorflow": [Published(Version(text), days[number]) for text, number in out.items()],
        "keras": [
            Published(Version(text), days[number])
            for text, number in zip(("2.9.0", "2.12.0", "3.0.5"), (1, 2, 3), strict=True)
        ],
    }
    text = f"axes:\n  {named}\n  keras: era\nexperiment: {{script: a.py, timeout: 10s}}\n"
    matrix = settle(Matrix.load(write_matrix(tmp_path / "here", text, ())), published.get)
    cell, ends = cell_and_ends(expand(matrix)[:1], "tensorflow", "2.9.0", "2.16.1")
    along = partners(matrix, cell, "tensorflow", ends, published.get)
    span = Span(axis="tensorflow", good=ends[0], bad=ends[1], beside=CellId.of({}), along=along)
    places = combinations_along(span, published.get, lambda: ("3.11",), "patch")
    pairs = [(place.cell.values["tensorflow"], place.cell.values["keras"]) for place in places]
    assert pairs == [("2.9.0", "2.9.0"), ("2.12.0", "2.12.0"), ("2.16.1", "3.0.5")]


def test_a_bisection_calls_the_better_level_good_whichever_end_has_it(engine: FakeEngine, matrix: Path) -> None:
    engine.losses = lambda job, seed: good(seed) if Version(values(job)["six"]) >= Version("1.9.0") else stuck(seed)
    with open_session(
        Matrix.load(matrix), Options(only="script=a.py"), world=world_of(engine, FakeCatalog())
    ) as session:
        cell, ends = cell_and_ends(session.cells, "six", "", "")
        found = walk(session.laboratory, session.matrix, cell, "six", ends, every="patch")
        short = walk(
            session.laboratory, session.matrix, cell, "six", ("1.3.0", "1.5.0"), every="patch", budget=Budget(trials=2)
        )
    assert "heals at six 1.8.0 → 1.9.0" in found.sentence
    assert [place.told for place in found.bisection.places][:: len(found.bisection.places) - 1] == ["bad", "good"]
    assert "the budget ended first" in short.sentence
