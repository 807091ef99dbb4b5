"""A session over a fake engine: which trials run, when it stops, what is kept, what comes out."""

from __future__ import annotations

import threading
from collections import Counter
from dataclasses import replace
from types import SimpleNamespace
from typing import TYPE_CHECKING

import pytest
from fake_engine import MATRIX, NO_INDEX, FakeEngine, came_to, lost, world_of, write_matrix
from packaging.version import Version
from waiting import PATIENCE_S

from runner.engines.protocol import Room
from runner.environments.lock import Unresolvable
from runner.environments.wheelhouse import LockSizes
from runner.errors import BuildFailedError, EngineLostError, MachineError, UsageError
from runner.laboratory.equipment import Claim
from runner.laboratory.executor import slots_of
from runner.matrix.matrix_file import Matrix
from runner.matrix.model import Resources
from runner.outcomes.outcome import OutcomeKind
from runner.session.options import Options, Unwatched
from runner.session.rounds import StoppedEarly
from runner.session.session import open_session
from runner.trials.job_files import Workplace

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from runner.engines.protocol import Image, Job
    from runner.environments.lock import Environment, Lock
    from runner.matrix.model import Cell
    from runner.outcomes.verdict import Verdict
    from runner.session.results import Results
    from runner.trials.record import Record


@pytest.fixture
def matrix(tmp_path: Path) -> Path:
    return write_matrix(tmp_path / "here")


def run(engine: FakeEngine, path: Path, **options: object) -> Results:
    with open_session(Matrix.load(path), Options(**options), world=world_of(engine)) as session:  # type: ignore[arg-type]
        return session.run()


def labels(results: Results) -> list[str]:
    return [outcome.label for outcome in results.outcomes]


def test_every_cell_gets_as_many_seeds_as_its_answer_needs(engine: FakeEngine, matrix: Path) -> None:
    engine.losses = lambda _job, seed: (1.0, 0.5, 1e-6 * (seed + 1))
    results = run(engine, matrix)
    assert labels(results) == ["converges"] * 4
    assert Counter(cell for cell, _ in engine.ran) == {str(cell.id): 4 for cell in results.cells}
    assert results.executed == 16
    assert results.exit_code == 0


def test_every_cell_gets_a_first_look_before_any_gets_a_second_and_no_third_while_one_has_none(
    engine: FakeEngine, matrix: Path
) -> None:
    seen, find = threading.Event(), engine.find

    def slow(lock: Lock) -> Image | None:
        """The second environment is made when the cells of the first have had two trials each."""
        if lock.environment.name == "six-1.16.0" and threading.current_thread() is not threading.main_thread():
            assert seen.wait(PATIENCE_S)
        return find(lock)

    def losses(_job: Job, seed: int) -> Sequence[float]:
        if len(engine.ran) == 4:
            seen.set()
        return (1.0, 0.5, 1e-6 * (seed + 1))

    engine.find, engine.losses = slow, losses  # type: ignore[method-assign]
    run(engine, matrix, jobs=1)
    order = [seed for _, seed in engine.ran]
    assert sorted(order[:4]) == [0, 0, 1, 1]
    assert sorted(order[4:8]) == [0, 0, 1, 1]
    assert len(order) == 16


def test_second_trials_wait_for_an_environment_that_is_being_installed(
    engine: FakeEngine, matrix: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    told, looks, installing, find = list[int](), threading.Event(), threading.Event(), engine.find
    made = set[str]()

    class Told(Unwatched):
        def trial_finished(self, cell: Cell, record: Record, verdict: Verdict) -> None:
            told.append(record.seed)
            if len(told) == 2:
                looks.set()

    def make(lock: Lock, *_arguments: object, **_options: object) -> Image | None:
        installing.set()
        assert looks.wait(PATIENCE_S)
        made.add(lock.environment.name)
        return find(lock)

    def losses(_job: Job, seed: int) -> Sequence[float]:
        assert installing.wait(PATIENCE_S)  # the first trial ends while the second environment is installed
        return (1.0, 0.5, 1e-6 * (seed + 1))

    engine.find = lambda lock: find(lock) if lock.environment.name in {"six-1.15.0", *made} else None  # type: ignore[method-assign]
    engine.losses = losses
    monkeypatch.setattr(engine, "make", make, raising=False)
    monkeypatch.setattr(engine, "toolchain", lambda _python: None, raising=False)
    monkeypatch.setattr("runner.environments.wheelhouse.fetch", lambda *_arguments, **_options: None)
    with open_session(Matrix.load(matrix), Options(jobs=1), Told(), world=world_of(engine)) as session:
        session.run()
    assert [seed for _, seed in engine.ran[:8]] == [0, 0, 0, 0, 1, 1, 1, 1]


def test_where_seeds_disagree_more_are_spent_up_to_the_cap(engine: FakeEngine, matrix: Path) -> None:
    engine.losses = lambda _job, seed: (1.0, 0.5, 1e-6 * (seed + 1) if seed % 2 else 0.1 + seed / 100)
    results = run(engine, matrix, only="six=1.15.0,script=a.py")
    assert labels(results) == ["flaky (neither leads)"]
    assert sorted(seed for _, seed in engine.ran) == list(range(10))


def test_a_cell_whose_trials_are_copies_stops_after_two(engine: FakeEngine, matrix: Path) -> None:
    results = run(engine, matrix, only="six=1.15.0,script=a.py")
    assert (labels(results), results.executed) == (["converges"], 2)
    assert "seed-insensitive" in results.outcomes[0].flags


def test_a_second_run_repeats_nothing(engine: FakeEngine, matrix: Path) -> None:
    first = run(engine, matrix)
    engine.ran.clear()
    second = run(engine, matrix)
    assert engine.ran == []
    assert second.executed == 0
    assert came_to(second) == came_to(first)


def test_what_changes_a_trial_runs_again_and_what_does_not_does_not(engine: FakeEngine, matrix: Path) -> None:
    run(engine, matrix)
    engine.ran.clear()
    (matrix.parent / "a.py").write_text("print('changed')\n")
    matrix.write_text(MATRIX.replace("1e-4", "1e-3"))  # a criterion judges records: it is no part of a trial
    results = run(engine, matrix)
    assert {cell for cell, _ in engine.ran} == {str(cell.id) for cell in results.cells if cell.script == "a.py"}


def test_fewer_seeds_than_are_stored_give_the_outcome_of_those_seeds(engine: FakeEngine, matrix: Path) -> None:
    engine.losses = lambda _job, seed: (1.0, 0.5, 1e-6 * (seed + 1))
    run(engine, matrix)
    results = run(engine, matrix, seeds=1)
    assert [outcome.n_trials for outcome in results.outcomes] == [1] * 4
    assert results.executed == 0


def test_a_lost_engine_is_tried_again_and_then_said(
    engine: FakeEngine, matrix: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tenacity.nap.time.sleep", lambda _s: None)
    engine.losses = lost
    with pytest.raises(EngineLostError, match="The engine stopped answering"):
        run(engine, matrix, only="six=1.15.0,script=a.py", jobs=1)
    assert Counter(engine.ran).most_common(1)[0][1] == 3
    assert engine.stopped.is_set()


def test_what_was_finished_before_a_failure_is_kept(
    engine: FakeEngine, matrix: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tenacity.nap.time.sleep", lambda _s: None)

    def losses(job: Job, seed: int) -> Sequence[float]:
        return lost(job, seed) if "b.py" in job.argv else (1.0, 0.5, 1e-6)

    engine.losses = losses
    with pytest.raises(EngineLostError):
        run(engine, matrix, only="six=1.15.0", jobs=1)
    engine.losses = lambda _job, _seed: (1.0, 0.5, 1e-6)
    engine.ran.clear()
    run(engine, matrix, only="six=1.15.0", jobs=1)
    assert sorted((cell.rpartition("=")[2], seed) for cell, seed in engine.ran)[:2] == [("a.py", 1), ("b.py", 0)]


def test_an_environment_that_can_not_be_made_blocks_its_cells_and_no_others(
    engine: FakeEngine, matrix: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    engine.broken = {"six-1.15.0": BuildFailedError("image-build", "no space for six")}
    results = run(engine, matrix)
    assert labels(results) == ["blocked (image-build-failed)"] * 2 + ["converges"] * 2
    assert results.outcomes[0].records[0].message == "no space for six"
    engine.ran.clear()
    assert labels(run(engine, matrix)) == labels(results)
    assert engine.ran == []


def test_a_run_in_which_every_cell_is_blocked_is_not_green(engine: FakeEngine, matrix: Path) -> None:
    engine.broken = {f"six-{version}": BuildFailedError("install", "no") for version in ("1.15.0", "1.16.0")}
    results = run(engine, matrix)
    assert results.complaint == "Nothing was executed: no cell has a finished trial."
    assert results.exit_code == 1


def test_fail_fast_also_stops_at_what_is_stored(engine: FakeEngine, matrix: Path) -> None:
    engine.losses = lambda job, seed: (1.0, float("nan")) if "a.py" in job.argv else (1.0, 0.5, 1e-6 * (seed + 1))
    run(engine, matrix, only="six=1.15.0,script=a.py")
    engine.ran.clear()
    with pytest.raises(StoppedEarly, match=r"six=1\.15\.0,script=a\.py fails"):
        run(engine, matrix, fail_fast=True)
    assert engine.ran == []


def test_a_missing_interpreter_blocks_cells_until_it_is_there(engine: FakeEngine, matrix: Path) -> None:
    engine.broken = {"six-1.15.0": BuildFailedError("install", "CPython 3.11 is not on this machine")}
    engine.identity = None
    assert labels(run(engine, matrix, only="six=1.15.0,script=a.py")) == ["blocked (install-failed)"]
    engine.broken, engine.identity = {}, "now-there"
    assert labels(run(engine, matrix, only="six=1.15.0,script=a.py")) == ["converges"]


def test_what_does_not_resolve_is_a_result_with_the_resolver_s_reason(engine: FakeEngine, matrix: Path) -> None:
    (matrix.parent / "locks" / "six-1.15.0.txt").unlink()
    asked: list[str] = []

    def resolve(environment: Environment, **_: object) -> Unresolvable:
        asked.append(environment.name)
        return Unresolvable(environment=environment, reason="six 1.15.0 needs a planet")

    there = [SimpleNamespace(version=Version(version)) for version in ("1.15.0", "1.16.0")]
    catalog = SimpleNamespace(project=lambda _name: SimpleNamespace(releases=there), connection=NO_INDEX.connection)
    for _ in range(2):
        with open_session(Matrix.load(matrix), world=replace(world_of(engine, catalog), resolve=resolve)) as session:
            results = session.run()
        assert labels(results) == ["blocked (unresolvable)"] * 2 + ["converges"] * 2
        assert "needs a planet" in results.outcomes[0].reason
    assert asked == ["six-1.15.0"]


def test_a_missed_expectation_is_told_with_its_line_and_is_not_green(engine: FakeEngine, matrix: Path) -> None:
    matrix.write_text(
        MATRIX
        + "expect:\n  - {six: 1.15.0, outcome: converges}\n  - {six: 1.16.0, script: a.py, outcome: fails (nan)}\n"
    )
    results = run(engine, matrix)
    assert results.exit_code == 1
    assert [str(miss) for miss in results.misses] == [
        "expected fails (nan) (line 9), got converges: six=1.16.0,script=a.py"
    ]


def test_fail_fast_stops_at_the_first_cell_that_is_not_as_it_should_be(engine: FakeEngine, matrix: Path) -> None:
    engine.losses = lambda job, seed: (1.0, float("nan")) if "a.py" in job.argv else (1.0, 0.5, 1e-6 * (seed + 1))
    # the environments are prepared side by side: either may come first
    with pytest.raises(StoppedEarly, match=r"six=1\.1[56]\.0,script=a\.py fails \(nan\)"):
        run(engine, matrix, fail_fast=True, jobs=1)
    assert len(engine.ran) < 10


def test_nothing_executed_is_not_green(engine: FakeEngine, matrix: Path) -> None:
    with open_session(Matrix.load(matrix), world=world_of(engine)) as session:
        results = session.results()
    assert results.complaint == "Nothing was executed: no cell has a finished trial."
    assert results.exit_code == 1


def test_mostly_undecided_is_not_green(engine: FakeEngine, matrix: Path) -> None:
    engine.losses = lambda _job, _seed: ()
    results = run(engine, matrix)
    assert {outcome.kind for outcome in results.outcomes} == {OutcomeKind.UNDECIDED}
    assert results.complaint == "Most cells are undecided: 4 of 4."
    assert results.exit_code == 1


def test_a_run_in_which_nothing_is_good_is_not_green_unless_that_is_what_was_expected(
    engine: FakeEngine, matrix: Path
) -> None:
    engine.losses = lambda _job, seed: (1.0 + seed, float("nan"))
    results = run(engine, matrix)
    assert results.complaint == "No cell is good: 4 failed."
    assert results.exit_code == 1
    matrix.write_text(f"{matrix.read_text()}expect: [{{outcome: fails}}]\n")
    assert run(engine, matrix).exit_code == 0


def test_two_runs_of_one_matrix_at_once_are_refused(engine: FakeEngine, matrix: Path) -> None:
    with (
        Claim(Workplace.beside(matrix.parent)).held(),
        pytest.raises(UsageError, match=r"Another run of this matrix is at work \(process \d+\)"),
    ):
        run(engine, matrix)


def test_what_a_killed_run_left_is_cleared(engine: FakeEngine, matrix: Path) -> None:
    left = matrix.parent / ".runner" / "jobs" / "killed" / "work"
    left.mkdir(parents=True)
    (left / "locked").mkdir(mode=0o500)
    run(engine, matrix)
    assert not (matrix.parent / ".runner" / "jobs" / "killed").exists()


def test_the_plan_says_what_is_there_and_what_would_run(engine: FakeEngine, matrix: Path) -> None:
    with open_session(Matrix.load(matrix), world=world_of(engine)) as session:
        before = session.plan()
        session.run()
        after = session.plan()
    assert (before.to_lock, before.to_build, before.finished, before.wanted) == (0, 0, 0, 8)
    assert (after.finished, after.wanted) == (8, 0)


def test_the_table_is_a_data_frame_with_one_row_a_cell(engine: FakeEngine, matrix: Path) -> None:
    table = run(engine, matrix).table()
    assert list(table["script"]) == ["a.py", "b.py"] * 2
    assert list(table["outcome"]) == ["converges"] * 4
    assert set(table["lock"]) == {"six-1.15.0", "six-1.16.0"}


def test_forgotten_trials_run_again(engine: FakeEngine, matrix: Path) -> None:
    run(engine, matrix)
    with open_session(Matrix.load(matrix), world=world_of(engine)) as session:
        assert session.forget() == 8
        assert list((matrix.parent / ".runner" / "logs").iterdir()) == []
    assert run(engine, matrix).executed == 8


def test_an_import_flavour_runs_the_rewritten_script_and_its_record_has_the_diff(
    engine: FakeEngine, tmp_path: Path
) -> None:
    path = write_matrix(tmp_path, MATRIX.replace("[a.py, b.py]", "[a.py]\n  import: [as-written, tf.keras]"))
    (tmp_path / "a.py").write_text("import keras\nprint(keras.layers)\n")
    results = run(engine, path, only="six=1.15.0", seeds=1)
    as_written, rewritten = (outcome.records[0] for outcome in results.outcomes)
    assert as_written.rewritten == ""
    assert "-import keras\n+from tensorflow import keras\n" in rewritten.rewritten
    assert as_written.key != rewritten.key


def test_a_script_that_can_not_be_rewritten_ends_the_run_before_anything_is_made(
    engine: FakeEngine, tmp_path: Path
) -> None:
    path = write_matrix(tmp_path, MATRIX.replace("[a.py, b.py]", "[a.py]\n  import: [keras]"))
    (tmp_path / "a.py").write_text("import keras\nprint 'Python 2'\n")
    with pytest.raises(UsageError, match=r"a\.py"):
        run(engine, path)
    assert engine.ran == []


def test_what_a_flavour_has_to_leave_alone_is_told(
    engine: FakeEngine, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    from rich.console import Console

    from runner.cli.progress import PlainProgress

    path = write_matrix(tmp_path, MATRIX.replace("[a.py, b.py]", "[a.py]\n  import: [tf.keras]"))
    (tmp_path / "a.py").write_text("import keras\nfrom keras.src import ops\n")
    with open_session(
        Matrix.load(path),
        Options(only="six=1.15.0", seeds=1),
        PlainProgress(Console(stderr=True)),
        world=world_of(engine),
    ) as session:
        session.run()
    assert "import=tf.keras leaves alone a.py:2" in capsys.readouterr().err


def test_images_that_do_not_fit_are_refused_with_figures(engine: FakeEngine, matrix: Path) -> None:
    engine.space = Room(path=matrix.parent, free_bytes=1000)
    engine.found = False
    sizes = LockSizes(downloads={}, layers={"layer": 5_000_000_000})
    with open_session(Matrix.load(matrix), world=world_of(engine)) as session:
        session.laboratory.environments.sizes = lambda _lock: sizes  # type: ignore[method-assign]
        with pytest.raises(MachineError, match=r"2 environments to make take about 5\.0 GB, and 0\.0 GB are free in "):
            session.build()


def processors(cpus: int, jobs: int | None) -> list[tuple[int, ...]]:
    return [slot.cpus for slot in slots_of(Resources(cpus=cpus), jobs)]


def test_slots_share_no_processor_unless_more_are_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("os.sched_getaffinity", lambda _pid: {3, 1, 5, 7})
    assert processors(1, None) == [(1,), (3,), (5,), (7,)]
    assert processors(2, None) == [(1, 3), (5, 7)]
    assert processors(3, 2) == [(1, 3, 5), (7, 1, 3)]
    assert processors(8, None) == [(1, 3, 5, 7)]


def test_a_trial_that_fails_where_the_disk_is_full_is_no_result(
    engine: FakeEngine, matrix: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    engine.exits = lambda _job: 1
    monkeypatch.setattr("shutil.disk_usage", lambda _path: SimpleNamespace(free=1000))
    with pytest.raises(MachineError, match=r"^The disk of .* is full"):
        run(engine, matrix, only="six=1.15.0,script=a.py")
    monkeypatch.undo()
    engine.exits = lambda _job: 0
    assert labels(run(engine, matrix, only="six=1.15.0,script=a.py")) == ["converges"]
