"""What is kept of judged trials: figures, not records; a record is read again where its page is asked for."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from fake_engine import FakeEngine, world_of, write_matrix
from outcomes_records import LEARNS, crash, record

from runner.errors import BuildFailedError, UsageError
from runner.matrix.matrix_file import Matrix
from runner.outcomes.observation import Observation, fault
from runner.outcomes.verdict import Basis, Label, Verdict
from runner.session.session import open_session
from runner.trials.record import Package, Record

if TYPE_CHECKING:
    from pathlib import Path

    from runner.session.results import Results


@pytest.fixture
def results(engine: FakeEngine, tmp_path: Path) -> Results:
    engine.losses = lambda _job, seed: (1.0, 0.5, 1e-6 * (seed + 1))
    with open_session(Matrix.load(write_matrix(tmp_path)), world=world_of(engine)) as session:
        return session.run()


def test_an_observation_has_the_figures_of_its_record_and_reads_the_rest_by_its_key() -> None:
    made = record(*LEARNS, seed=3, processor="EPYC", peak_memory_bytes=7, packages={"keras": Package(version="3.0")})
    kept = Observation.of(made, {"key-3": made}.__getitem__)
    assert (kept.key, kept.seed, kept.epoch_s, kept.peak_memory_bytes) == ("key-3", 3, 4.0, 7)
    assert (kept.processor, kept.identity, kept.ran) == ("EPYC", made.identity, True)
    assert kept.circumstances.imported == (("keras", "3.0"),)
    assert kept.record is made
    assert not any(isinstance(getattr(kept, name), Record) for name in kept.__slots__)


def test_a_record_and_its_observation_tell_the_same_fault() -> None:
    made = record(seed=1, **crash("no 'lr' at 0x7f", kind="keras.TypeError"))
    kept = Observation.of(made, lambda _key: made)
    ended = Verdict(label=Label.CRASHED_TRAINING, basis=Basis.PROCESS, reason="")
    assert fault((kept, ended)) == fault((made, ended)) == kept.fingerprint
    assert (kept.raised, str(kept.fingerprint)) == ("keras.TypeError", "TypeError: no 'lr' at <address> (training)")


def test_observations_of_one_environment_share_what_they_ran_in() -> None:
    one, other = (Observation.of(record(*LEARNS, seed=seed, image="sha256:1")) for seed in (0, 1))
    assert one.circumstances is other.circumstances


def test_results_hold_no_record_and_read_those_of_a_cell_also_after_the_session(results: Results) -> None:
    kept = [one for cell in results.outcomes for one, _ in cell.trials]
    assert len(kept) == 16
    assert not any(isinstance(one.source, Record) for one in kept)
    first = results.outcomes[0]
    assert [len(one.epochs) for one in first.records] == [3] * 4
    assert [one.key for one in first.records] == [one.key for one, _ in first.trials]


def test_the_brief_result_is_the_whole_one_without_trials_and_without_what_only_they_tell(results: Results) -> None:
    whole, brief = results.result, results.brief
    assert [cell.trials for cell in brief.cells] == [()] * 4
    assert [cell.seeds for cell in brief.cells] == [cell.seeds for cell in whole.cells] == [4] * 4
    bare = [cell.model_copy(update={"trials": (), "commands": None, "untold": (True,) * 4}) for cell in whole.cells]
    assert tuple(bare) == brief.cells
    assert tuple(brief.told_cells()) == whole.cells
    assert "untold" not in brief.model_dump_json()


def test_a_record_that_is_removed_while_it_is_looked_at_is_told(engine: FakeEngine, tmp_path: Path) -> None:
    with open_session(Matrix.load(write_matrix(tmp_path)), world=world_of(engine)) as session:
        results = session.run()
        session.forget()
        with pytest.raises(UsageError, match=r"was removed while it was looked at\. Do that once more\."):
            assert results.result


def test_the_reason_of_an_obstacle_that_passes_is_told_though_the_next_run_looks_for_no_record_of_it(
    engine: FakeEngine, tmp_path: Path
) -> None:
    engine.broken = {"six-1.15.0": BuildFailedError("image-build", "the disk was full", passing=True)}
    with open_session(Matrix.load(write_matrix(tmp_path)), world=world_of(engine)) as session:
        results = session.run()
    assert [cell.trials[0].message for cell in results.result.cells[:2]] == ["the disk was full"] * 2
