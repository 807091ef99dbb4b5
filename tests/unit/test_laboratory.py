"""The laboratory over a fake engine: what it answers, in which order it tells of it, and what is kept apart."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pytest
from fake_engine import FakeEngine, world_of, write_matrix

from runner.environments.index.catalog import Catalog
from runner.environments.index.connection import Connection
from runner.environments.lock import Lock, Unresolvable
from runner.errors import BuildFailedError
from runner.laboratory.equipment import World
from runner.laboratory.laboratory import Laboratory, open_laboratory
from runner.laboratory.request import Answer, Request, Silence
from runner.laboratory.setup import Setup
from runner.matrix.cells import expand
from runner.matrix.matrix_file import Matrix

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from runner.engines.protocol import Ending, Image, Job, JobFolder
    from runner.trials.trial import Trial


class Listener(Silence):
    """Writes down what it hears, with what a customer adds."""

    def __init__(self) -> None:
        self.heard: list[tuple[str, int]] = []

    def trial_started(self, trial: Trial, folder: JobFolder) -> None:
        self.heard.append(("started", trial.seed))


@pytest.fixture
def matrix(tmp_path: Path) -> Matrix:
    return Matrix.load(write_matrix(tmp_path / "here"))


def opened(matrix: Matrix, engine: FakeEngine, listener: Listener | None = None, jobs: int = 1) -> Laboratory:
    return open_laboratory(matrix.folder, world=world_of(engine), observer=listener, jobs=jobs)


def test_an_answer_may_ask_for_further_seeds_and_each_is_told_in_the_order_in_which_it_happened(matrix: Matrix) -> None:
    listener = Listener()

    def more(answer: Answer) -> Sequence[int]:
        listener.heard.append(("finished", answer.seed))
        return (answer.seed + 1,) if answer.seed < 3 else ()

    with opened(matrix, FakeEngine(), listener) as laboratory:
        laboratory.run(Setup.of(matrix), [Request(cell=expand(matrix)[0], seeds=(0,))], more)
    assert listener.heard == [(word, seed) for seed in range(4) for word in ("started", "finished")]


def test_what_ended_is_told_before_what_began_after_it_in_its_place(matrix: Matrix) -> None:
    listener = Listener()

    def more(answer: Answer) -> Sequence[int]:
        listener.heard.append(("finished", answer.seed))
        return ()

    with opened(matrix, FakeEngine(), listener) as laboratory:
        laboratory.run(Setup.of(matrix), [Request(cell=expand(matrix)[0], seeds=tuple(range(6)))], more)
    assert listener.heard == [(word, seed) for seed in range(6) for word in ("started", "finished")]


class Lasting(FakeEngine):
    """Its trials say that they took as long as their cell's name says."""

    def run(self, image: Image, job: Job) -> Ending:
        return replace(super().run(image, job), duration_s=float(job.env["LASTS"]))


def test_after_the_first_of_every_cell_the_longest_trials_begin_first(tmp_path: Path) -> None:
    lasting = [3, 9, 5, 7]
    values = ", ".join(f"LASTS={one}" for one in lasting)
    text = f"axes: {{six: [1.16.0], env: [{values}]}}\nexperiment: {{script: a.py}}\ncriterion: loss < 1e-4\n"
    matrix = Matrix.load(write_matrix(tmp_path / "here", text))
    engine = Lasting()
    with opened(matrix, engine) as laboratory:
        requests = [Request(cell=cell, seeds=(0, 1, 2)) for cell in expand(matrix)]
        laboratory.run(Setup.of(matrix), requests, lambda _: ())
    begun = [(int(cell.partition("LASTS=")[2]), seed) for cell, seed in engine.ran]
    assert begun[:4] == [(one, 0) for one in lasting]
    assert begun[4:] == [(one, seed) for seed in (1, 2) for one in sorted(lasting, reverse=True)]


def test_what_is_stored_is_handed_over_and_not_repeated(matrix: Matrix) -> None:
    engine, answers = FakeEngine(), list[Answer]()
    cell = expand(matrix)[0]
    for seeds in ((0, 1), (0, 1, 2)):
        answers.clear()
        with opened(matrix, engine) as laboratory:
            laboratory.run(Setup.of(matrix), [Request(cell=cell, seeds=seeds)], lambda one: answers.append(one) or ())
    assert [(one.seed, one.stored) for one in answers] == [(0, True), (1, True), (2, False)]
    assert [seed for _, seed in engine.ran] == [0, 1, 2]


def test_a_cell_that_can_not_run_gets_one_record_that_says_why(matrix: Matrix) -> None:
    engine, answers = FakeEngine(broken={"six-1.15.0": BuildFailedError("install", "no wheel")}), list[Answer]()
    cell = expand(matrix)[0]
    with opened(matrix, engine) as laboratory:
        setup = Setup.of(matrix)
        unmade = laboratory.run(setup, [Request(cell=cell, seeds=(0, 1))], lambda one: answers.append(one) or ())
        further = laboratory.run(
            setup, [Request(cell=cell, seeds=(2,), further=True)], lambda one: answers.append(one) or ()
        )
    assert [(one.record.ran, one.record.message) for one in answers] == [(False, "no wheel")]
    assert (unmade, further) == (frozenset(), {cell.id})


def test_one_laboratory_that_stops_leaves_another_one_working(matrix: Matrix, tmp_path: Path) -> None:
    other = Matrix.load(write_matrix(tmp_path / "there"))
    engines = FakeEngine(), FakeEngine()
    with opened(matrix, engines[0]) as stopped, opened(other, engines[1]) as working:
        stopped.equipment.stop()
        working.run(Setup.of(other), [Request(cell=expand(other)[0], seeds=(0,))], lambda _: ())
    assert [seed for _, seed in engines[1].ran] == [0]
    assert not engines[1].stopped.is_set()


class Line(Connection):
    """A connection that knows whether it is open."""

    is_open = True

    def close(self) -> None:
        self.is_open = False


def test_leaving_a_laboratory_lets_go_of_the_index(matrix: Matrix) -> None:
    line = Line()
    with open_laboratory(matrix.folder, world=World(catalog=lambda *_means: Catalog(line))) as laboratory:
        assert laboratory.equipment.catalog.connection is line
    assert not line.is_open


def test_a_pattern_that_is_new_is_looked_for_in_the_log_and_repeats_no_trial(tmp_path: Path) -> None:
    engine = FakeEngine(log=b"epoch 1 acc 0.5\nepoch 2 acc 0.75\n")
    path = write_matrix(tmp_path / "here")
    text = path.read_text("utf-8").replace("criterion: loss < 1e-4", "seeds: 1")
    seen = []
    for pattern in ("epoch (\\d)", "acc (\\S+)", "acc (\\S+)"):
        path.write_text(f"{text}metrics: {{acc: '{pattern}'}}\n", "utf-8")
        matrix = Matrix.load(path)
        with opened(matrix, engine) as laboratory:
            cells = expand(matrix)[:1]
            laboratory.run(Setup.of(matrix), [Request(cell=cells[0], seeds=(0,))], lambda _answer: ())
            (known,) = laboratory.known(Setup.of(matrix), cells, (0,))
            seen.append([epoch.logs["acc"] for epoch in known.records[0].epochs if "acc" in epoch.logs])
            if len(seen) == 2:  # what was found is kept, and the log is not needed any more
                laboratory.equipment.workplace.log(known.records[0].key).unlink()
    assert seen == [[1.0, 2.0], [0.5, 0.75], [0.5, 0.75]]
    assert len(engine.ran) == 1


@pytest.mark.parametrize("passing", [True, False])
def test_what_may_not_be_built_is_no_answer_of_the_resolver_and_a_missing_cpython_stays_what_it_is(
    passing: bool, matrix: Matrix
) -> None:
    def resolve(*_: object, **_more: object) -> Lock:
        raise BuildFailedError("image-build", "in the way", passing=passing)

    def answered() -> Lock | Unresolvable:
        return laboratory.environments.resolved(Setup.of(matrix).environment(expand(matrix)[0]))

    with opened(matrix, FakeEngine()) as laboratory:
        laboratory.equipment.resolve = resolve
        if passing:
            found = answered()
            assert isinstance(found, Unresolvable)
            assert (found.reason, found.passing) == ("in the way", True)
        else:
            with pytest.raises(BuildFailedError) as caught:
                answered()
            assert caught.value.stage == "image-build"
