"""The judged trials of a run, which lie in a file beyond the last few."""

from __future__ import annotations

import gc
import math
from dataclasses import fields
from typing import TYPE_CHECKING, Any

from fake_engine import FakeEngine, came_to, world_of, write_matrix
from outcomes_records import crash, record

from runner.matrix.matrix_file import Matrix
from runner.outcomes.judging import verdict_of
from runner.outcomes.observation import Observation
from runner.outcomes.verdict import Verdict
from runner.session import ledger, trial_file
from runner.session.session import open_session
from runner.session.trial_file import FOUND, FOUND_OFTEN, SEEN, SEEN_OFTEN, KeptTrials, TrialFile

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    import pytest

    from runner.engines.protocol import Job
    from runner.outcomes.tally import Trial
    from runner.trials.record import Record


def unread(key: str) -> Record:
    raise AssertionError(key)


def trials(number: int, *losses: float, **values: Any) -> list[Trial]:
    made = [record(*losses, seed=seed, **values) for seed in range(number)]
    return [(Observation.of(one, unread), verdict_of(one)) for one in made]


def test_every_field_of_a_trial_comes_back_from_the_file(tmp_path: Path) -> None:
    assert {*SEEN, *SEEN_OFTEN, "fingerprint"} == {one.name for one in fields(Observation)}
    assert {*FOUND, *FOUND_OFTEN} == {one.name for one in fields(Verdict)}
    file = TrialFile(tmp_path, most=1)
    cells = [
        trials(3, 1.0, 0.5, 0.1),
        trials(2, 1.0, math.nan),
        trials(1, **crash("no layer 17")),
        trials(4, duration_s=0.1 + 0.2, processor="one", device="two"),
    ]
    kept = [file.keep(cell) for cell in cells]
    for cell, back in zip(cells, kept, strict=True):
        assert isinstance(back, KeptTrials)
        assert len(back) == len(cell)
        assert [repr(one) for one in back] == [repr(one) for one in cell]
        assert [one.source for one, _ in back] == [unread] * len(cell)
    assert sum(one.held is not None for one in kept) == 1
    assert kept[0][0] == cells[0][0]


def test_what_trials_hold_in_memory_does_not_grow_with_their_number(tmp_path: Path) -> None:
    def held(number: int) -> int:
        file = TrialFile(tmp_path, most=10)
        kept = [file.keep(trials(5)) for _ in range(number)]
        gc.collect()
        found = sum(isinstance(one, Observation) for one in gc.get_objects())
        assert [len(one) for one in kept] == [5] * number
        return found

    held(1)
    assert held(40) - held(4) == 0


def test_a_trial_that_nothing_could_read_again_keeps_its_record(tmp_path: Path) -> None:
    one = record()
    kept = TrialFile(tmp_path, most=1).keep([(Observation.of(one), verdict_of(one))] * 2)
    assert isinstance(kept, tuple)
    assert kept[1][0].record is one


def test_where_the_disk_takes_nothing_trials_stay_in_memory(tmp_path: Path) -> None:
    file = TrialFile(tmp_path / "missing", most=1)
    cells = [trials(2), trials(3), trials(4)]
    assert [list(file.keep(cell)) for cell in cells] == cells
    kept = [file.keep(cell) for cell in cells]
    assert [list(one) for one in kept] == cells


def test_a_matrix_comes_to_the_same_whether_its_trials_lie_in_memory_or_in_a_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def losses(job: Job, seed: int) -> Sequence[float]:
        last = {"1.15.0": 0.01, "1.16.0": 0.9 if seed % 2 else 0.02}[job.labels["cell"].split("six=")[1][:6]]
        return [1.0 + seed / 100, 0.9, *[last * (1 + seed / 1000)] * 20]

    path = write_matrix(tmp_path, "axes: {six: [1.15.0, 1.16.0], script: [a.py, b.py]}\nseeds: 5\n")
    found = []
    for most in (1_000, 1):
        monkeypatch.setattr(trial_file.TrialFile.__init__, "__defaults__", (most,))
        with open_session(Matrix.load(path), world=world_of(FakeEngine(losses=losses))) as session:
            session.run()
            results = session.results()
            found.append((came_to(results), results.result.model_dump_json(exclude={"made_at"})))
    assert found[0] == found[1]
    assert {str(one.outcome) for one in results.outcomes} == {"converges", "flaky (neither leads)"}


def test_cells_that_are_held_against_each_other_again_are_not_read_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    read: list[int] = []

    class Counted(TrialFile):
        def _read(self, kept: KeptTrials) -> tuple[Trial, ...]:
            found = super()._read(kept)
            read.append(id(kept))
            return found

    def losses(job: Job, seed: int) -> Sequence[float]:
        return [1.0, 0.9, *[(0.9 if "1.15.0" in job.labels["cell"] else 0.01) * (1 + seed / 1000)] * 8]

    axes = f"six: [1.15.0, 1.16.0], env: [{', '.join(f'N={n}' for n in range(5))}], script: [a.py, b.py]"
    path = write_matrix(tmp_path, f"axes: {{{axes}}}\nseeds: 5\n")
    with open_session(Matrix.load(path), world=world_of(FakeEngine(losses=losses))) as session:
        session.run()
    monkeypatch.setattr(TrialFile.__init__, "__defaults__", (1,))
    monkeypatch.setattr(ledger, "TrialFile", Counted)
    with open_session(Matrix.load(path), world=world_of(FakeEngine(losses=losses))) as session:
        known = session.ledger()
        baseline = known.judged().baseline
        assert baseline is not None
        read.clear()
        for _ in range(3):
            known.judged()
            assert not known.wanted()
        assert set(read) <= {id(baseline.counts.kept)}
        results = session.results()
        read.clear()
        assert len(results.brief.cells) == 20
    assert 20 <= len(read) <= 31  # the ten that failed once more, for the reasons of failures
