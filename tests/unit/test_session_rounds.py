"""A matrix held against its baseline: rounds of further trials, the same from the store, judged without an engine."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

import pytest
from fake_engine import WITHOUT_ENGINE, FakeEngine, came_to, world_of, write_matrix

from runner.engines.protocol import EngineKind
from runner.errors import BuildFailedError
from runner.matrix.matrix_file import Matrix
from runner.session.ledger import FIRST_CONTROL_SEED
from runner.session.options import Options
from runner.session.rounds import StoppedEarly
from runner.session.session import open_session

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from runner.engines.protocol import Image, Job
    from runner.environments.lock import Lock
    from runner.session.results import Results


WITHOUT_CRITERION = """\
axes:
  six: [1.15.0, 1.16.0]
  script: [a.py, b.py]
experiment:
  timeout: 10s
"""


@pytest.fixture
def write(tmp_path: Path) -> Callable[[str], Path]:
    return lambda text: write_matrix(tmp_path / "here", text)


def run(engine: FakeEngine, path: Path, **options: object) -> Results:
    with open_session(Matrix.load(path), Options(**options), world=world_of(engine)) as session:  # type: ignore[arg-type]
        return session.run()


def settles_at(job: Job, seed: int) -> Sequence[float]:
    """The first stack settles at 0.1, the second at 0.5: a fifth of the starting loss above."""
    level = 0.1 if "six=1.15.0" in job.labels["cell"] else 0.5
    return (2.0, *[level + seed / 1e4] * 7)


def breaks(job: Job, seed: int) -> Sequence[float]:
    """One cell of four ends in NaN; the others end at the same level, the first of them a little lower."""
    cell = job.labels["cell"]
    if cell == "six=1.16.0,script=a.py":
        return (1.0 + seed / 100, float("nan"))
    return (1.0, 0.5, 1e-6 * (1 + seed % 1000 / 100) * (1 if cell == "six=1.15.0,script=a.py" else 1.02))


def labels(results: Results) -> list[str]:
    return [outcome.label for outcome in results.outcomes]


def test_what_settles_above_the_best_cell_has_not_converged(engine: FakeEngine, write: Callable[[str], Path]) -> None:
    engine.losses = settles_at
    results = run(engine, write(WITHOUT_CRITERION))
    assert labels(results) == ["converges"] * 2 + ["fails (plateaued)"] * 2
    assert results.outcomes[2].trials[0][1].basis == "above-baseline"


def test_cells_that_look_different_get_as_many_trials_as_it_takes_to_be_sure(
    engine: FakeEngine, write: Callable[[str], Path]
) -> None:
    engine.losses = breaks
    results = run(engine, write(f"{WITHOUT_CRITERION}criterion: loss < 1e-4\n"))
    assert [outcome.n_trials for outcome in results.outcomes] == [5, 4, 5, 4]
    assert [one.label for one in results.compared if one] == ["baseline", "equivalent", "worse", "equivalent"]
    assert results.compared[2] is not None
    assert results.compared[2].p == pytest.approx(3 * 2 / 252)


def test_the_store_gives_the_same_outcomes_as_the_run_did(engine: FakeEngine, write: Callable[[str], Path]) -> None:
    engine.losses = breaks
    path = write(f"{WITHOUT_CRITERION}criterion: loss < 1e-4\ncontrol: true\n")
    first = run(engine, path)
    engine.ran.clear()
    second = run(engine, path)
    assert (engine.ran, second.executed) == ([], 0)
    assert came_to(second) == came_to(first)
    assert str(second.judged.control) == str(first.judged.control)


def test_a_cell_comes_out_the_same_whichever_cells_are_looked_at(
    engine: FakeEngine, write: Callable[[str], Path]
) -> None:
    engine.losses = settles_at
    path = write(WITHOUT_CRITERION)
    whole = run(engine, path)
    engine.ran.clear()
    alone = run(engine, path, only="six=1.16.0,script=b.py")
    assert engine.ran == []
    assert came_to(alone) == came_to(whole)[3:]


def test_a_fixed_number_of_seeds_stays_fixed(engine: FakeEngine, write: Callable[[str], Path]) -> None:
    engine.losses = breaks
    results = run(engine, write(f"{WITHOUT_CRITERION}criterion: loss < 1e-4\nseeds: 4\n"))
    assert [outcome.n_trials for outcome in results.outcomes] == [4] * 4


def test_the_baseline_is_the_named_one(engine: FakeEngine, write: Callable[[str], Path]) -> None:
    engine.losses = breaks
    path = write(f"{WITHOUT_CRITERION}criterion: loss < 1e-4\nbaseline: {{six: 1.16.0, script: b.py}}\n")
    results = run(engine, path)
    assert [one.label for one in results.compared if one] == ["equivalent", "equivalent", "worse", "baseline"]


def test_the_control_is_the_baseline_again_with_other_seeds(engine: FakeEngine, write: Callable[[str], Path]) -> None:
    engine.losses = breaks
    results = run(engine, write(f"{WITHOUT_CRITERION}criterion: loss < 1e-4\ncontrol: true\n"))
    copies = Counter(cell for cell, seed in engine.ran if seed >= FIRST_CONTROL_SEED)
    assert copies == {str(results.cells[0].id): 4}
    assert results.outcomes[0].n_trials == 5
    assert "of 1 pairs of the same cell 0 were called different" in str(results.judged.control)


def test_under_docker_the_control_runs_in_an_image_that_is_made_again(
    engine: FakeEngine, write: Callable[[str], Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    engine.kind = EngineKind.DOCKER
    engine.losses = lambda _job, seed: (1.0, 0.5, 1e-6 * (1 + seed % 7))
    made: list[str] = []

    def make(lock: Lock, *_arguments: object, **_options: object) -> Image | None:
        made.append(lock.environment.name)
        return engine.find(lock)

    monkeypatch.setattr(engine, "make", make, raising=False)
    monkeypatch.setattr(engine, "toolchain", lambda _python: None, raising=False)
    monkeypatch.setattr("runner.environments.wheelhouse.fetch", lambda *_arguments, **_options: None)
    results = run(engine, write(f"{WITHOUT_CRITERION}criterion: loss < 1e-4\ncontrol: true\n"))
    assert results.judged.baseline is not None
    assert made == [f"six-{results.judged.baseline.id.get('six')}"]
    assert engine.removed == [f"image-of-{made[0]}"]


def test_without_control_nothing_is_said_of_it(engine: FakeEngine, write: Callable[[str], Path]) -> None:
    engine.losses = breaks
    assert run(engine, write(WITHOUT_CRITERION)).judged.control is None


def test_an_environment_that_is_gone_for_a_later_round_keeps_its_outcomes(
    engine: FakeEngine, write: Callable[[str], Path]
) -> None:
    made = Counter[str]()
    find = engine.find

    def found_once(lock: Lock) -> Image | None:
        made[lock.environment.name] += 1
        if made["six-1.16.0"] > 2 and lock.environment.name == "six-1.16.0":
            raise BuildFailedError("image-build", "the disk is gone")
        return find(lock)

    engine.find = found_once  # type: ignore[method-assign]
    engine.losses = breaks
    results = run(engine, write(f"{WITHOUT_CRITERION}criterion: loss < 1e-4\n"))
    assert labels(results) == ["converges", "converges", "fails (nan)", "converges"]
    assert [outcome.n_trials for outcome in results.outcomes] == [5, 4, 4, 4]


def test_fail_fast_waits_for_the_baseline_where_a_cell_only_settles(
    engine: FakeEngine, write: Callable[[str], Path]
) -> None:
    engine.losses = lambda _job, seed: (2.0, *[0.1 + seed / 1e4] * 7)
    text = f"{WITHOUT_CRITERION}expect: [{{six: 1.15.0, outcome: converges}}]\n"
    assert labels(run(engine, write(text), fail_fast=True)) == ["converges"] * 4
    engine.losses = breaks
    with pytest.raises(StoppedEarly):
        run(engine, write(text.replace("10s", "11s")), fail_fast=True)


def test_stored_trials_are_judged_without_an_engine(engine: FakeEngine, write: Callable[[str], Path]) -> None:
    engine.losses = breaks
    engine.broken = {"six-1.16.0": BuildFailedError("install", "no wheel")}
    path = write(f"{WITHOUT_CRITERION}criterion: loss < 1e-4\n")
    first = run(engine, path)

    path.write_text(path.read_text().replace("1e-4", "1e-9"))
    with open_session(Matrix.load(path), world=WITHOUT_ENGINE) as session:
        again = session.results(recorded=True)
    assert labels(first) == ["converges"] * 2 + ["blocked (install-failed)"] * 2
    assert labels(again) == ["fails (missed)"] * 2 + ["blocked (install-failed)"] * 2
    assert again.executed == 0


def test_what_an_edited_script_ran_before_is_not_judged(engine: FakeEngine, write: Callable[[str], Path]) -> None:
    path = write(f"{WITHOUT_CRITERION}criterion: loss < 1e-4\n")
    run(engine, path)
    (path.parent / "a.py").write_text("print('edited')\n")
    with open_session(Matrix.load(path), world=world_of(engine)) as session:
        again = session.results(recorded=True)
    assert [outcome.n_trials for outcome in again.outcomes] == [0, 2, 0, 2]
