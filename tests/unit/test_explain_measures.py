"""Bisecting on what a trial costs: the noise first, both ends in turn with every release, no flip within the noise."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest
from fake_engine import FakeEngine, world_of, write_matrix
from packaging.version import Version
from six_releases import TEXT, VERSIONS, FakeCatalog, good, values

from runner.errors import UsageError
from runner.explain.experimenter import Budget
from runner.explain.investigation import explain
from runner.explain.measures import Criterion, Measure, walk_costs
from runner.explain.sides import cell_and_ends, sides_of
from runner.explain.walk import walk
from runner.matrix.matrix_file import Matrix
from runner.session.options import Options
from runner.session.session import open_session

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from runner.engines.protocol import Ending, Image, Job
    from runner.outcomes.account import Walk


class CostlyEngine(FakeEngine):
    """`seconds(version, seed, run)` says how long a trial takes, `run` is its number."""

    seconds: Callable[[Version, int, int], float]

    def run(self, image: Image, job: Job) -> Ending:
        ended = super().run(image, job)
        version, seed = Version(values(job)["six"]), int(job.env["RUNNER_SEED"])
        took = self.seconds(version, seed, len(self.ran))
        return replace(ended, duration_s=took, peak_memory_bytes=int(1e8 * took))


@pytest.fixture
def engine() -> CostlyEngine:
    found = CostlyEngine(losses=lambda _job, seed: good(seed))
    found.seconds = lambda version, seed, _run: (20.0 if version >= Version("1.7.0") else 10.0) + seed % 3 / 5
    return found


def walked(
    engine: FakeEngine,
    folder: Path,
    asked: str,
    *,
    axis: str = "six",
    last: str = "",
    only: str = "script=a.py",
    **options: object,
) -> Walk:
    path = write_matrix(folder / "here", TEXT, VERSIONS)
    with open_session(Matrix.load(path), Options(only=only, jobs=1), world=world_of(engine, FakeCatalog())) as session:
        cell, ends = cell_and_ends(session.cells, axis, "", last)
        return walk_costs(
            session.laboratory,
            session.matrix,
            cell,
            axis,
            ends,
            criterion=Criterion.parse(asked),
            every="patch",
            observer=session.observer,
            **options,
        )


def steps(found: Walk) -> list[tuple[str | None, str | None]]:
    places = found.bisection.places
    return [(places[flip.before].values["six"], places[flip.after].values["six"]) for flip in found.bisection.flips]


@pytest.mark.parametrize("asked", ["seconds", "memory", "seconds < 1.5x baseline"])
def test_the_release_at_which_a_trial_gets_slower_or_hungrier_is_found(
    asked: str, engine: CostlyEngine, tmp_path: Path
) -> None:
    found = walked(engine, tmp_path, asked)
    assert steps(found) == [("1.6.0", "1.7.0")]
    assert "1.98 times as much" in found.sentence
    assert "breaks at six 1.6.0 → 1.7.0" in found.sentence


def test_both_ends_are_measured_in_turn_before_and_with_every_release(engine: CostlyEngine, tmp_path: Path) -> None:
    walked(engine, tmp_path, "seconds")
    order = [cell.partition("six=")[2].partition(",")[0] for cell, _ in engine.ran]
    assert order[:8] == ["1.0.0", "1.15.0"] * 4
    inner = [place for place, version in enumerate(order) if version not in {"1.0.0", "1.15.0"}]
    assert all({"1.0.0", "1.15.0"} <= set(order[place - 2 : place + 3]) for place in inner)


def test_a_machine_that_gets_slower_meanwhile_makes_no_flip(engine: CostlyEngine, tmp_path: Path) -> None:
    engine.seconds = lambda _version, _seed, run: 10.0 + run / 10
    found = walked(engine, tmp_path, "seconds")
    assert steps(found) == []
    assert "no difference beyond the noise is shown" in found.sentence


def test_a_difference_below_the_limit_is_no_flip(engine: CostlyEngine, tmp_path: Path) -> None:
    assert steps(walked(engine, tmp_path, "seconds < 2.5x baseline")) == []


def test_what_breaks_has_no_cost_and_a_budget_that_is_too_small_is_told(engine: CostlyEngine, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="both ends need trials"):
        walked(engine, tmp_path, "seconds", budget=Budget(trials=1))
    engine.exits = lambda _job: 1
    with pytest.raises(UsageError, match="no trial ended with a value of seconds"):
        walked(engine, tmp_path / "other", "seconds")


def test_an_axis_without_an_order_and_ends_that_are_one_are_refused(engine: CostlyEngine, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="six has one value only"):
        walked(engine, tmp_path, "seconds", last="1.0.0")
    with pytest.raises(UsageError, match="script has no order to bisect"):
        walked(engine, tmp_path / "other", "seconds", axis="script", last="b.py", only="six=1.0.0")
    assert engine.ran == []


@pytest.mark.parametrize("text", ["minutes", "seconds < x", "seconds > 2x", "memory < 1x baseline", "loss < 0.1"])
def test_what_can_not_be_measured_is_refused(text: str) -> None:
    with pytest.raises(UsageError, match="--on"):
        Criterion.parse(text)
    assert Criterion.parse(" epoch < 1.25x baseline") == Criterion(measure=Measure.EPOCH, factor=1.25)


LIMITED = TEXT.replace(
    "criterion: loss < 1e-4", "criterion: [loss < 1e-4, seconds < 1.5x baseline]\nbaseline: {six: 1.0.0}"
)


def test_a_matrix_judges_what_its_cells_cost_and_its_trials_run_one_at_a_time(
    engine: CostlyEngine, tmp_path: Path
) -> None:
    path = write_matrix(tmp_path / "here", LIMITED, VERSIONS)
    with open_session(Matrix.load(path), Options(only="script=a.py"), world=world_of(engine, FakeCatalog())) as session:
        assert session.laboratory.trials_at_once(session.setup) == 1
        outcomes = {one.id.values["six"]: str(one.outcome) for one in session.run().outcomes}
    assert outcomes == {"1.0.0": "converges", "1.15.0": "fails (missed)"}
    versions = [name.partition("six=")[2].partition(",")[0] for name, _ in engine.ran]
    # by turns, once both environments are ready: so a machine that gets slower moves both
    assert Counter(versions[:4]) == {"1.0.0": 2, "1.15.0": 2}


def test_why_a_cell_takes_more_is_explained_by_the_limit_of_the_good_one(engine: CostlyEngine, tmp_path: Path) -> None:
    path = write_matrix(tmp_path / "here", LIMITED, VERSIONS)
    with open_session(Matrix.load(path), Options(), world=world_of(engine, FakeCatalog())) as session:
        pair = sides_of(session.cells, "six=1.0.0,script=a.py", "six=1.15.0,script=a.py")
        account = explain(session.laboratory, session.matrix, *pair).account("explain")
        with pytest.raises(UsageError, match=r"bisect it with --on 'seconds < 1\.5x baseline'"):
            walk(session.laboratory, session.matrix, pair[0], "six", ("1.0.0", "1.15.0"), every="patch")
    assert (account.real, account.fault) == (True, "takes more time than it may")
    (bisection,) = account.bisections
    (flip,) = bisection.flips
    assert [bisection.places[place].values["six"] for place in (flip.before, flip.after)] == ["1.6.0", "1.7.0"]
    assert account.sentences[0] == "With six 1.15.0 the script takes more time than it may, beside six 1.0.0."
