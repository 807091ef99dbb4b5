"""`--prune-images` over a fake engine: images go when their cells are decided, and few are there at a time."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

import pytest
from fake_engine import FakeEngine, world_of, write_matrix

from runner.errors import BuildFailedError
from runner.matrix.matrix_file import Matrix
from runner.session.options import Options
from runner.session.session import open_session

if TYPE_CHECKING:
    from pathlib import Path

    from runner.engines.protocol import Image
    from runner.environments.lock import Lock
    from runner.session.results import Results


class CountingEngine(FakeEngine):
    """Knows which images are there, and how many there were at most."""

    def __init__(self) -> None:
        super().__init__()
        self.guard = threading.Lock()
        self.there: set[str] = set()
        self.most = 0

    def find(self, lock: Lock) -> Image | None:
        image = super().find(lock)
        assert image is not None
        with self.guard:
            self.there.add(image.reference)
            self.most = max(self.most, len(self.there))
        return image

    def remove_image(self, reference: str) -> bool:
        with self.guard:
            self.there.discard(reference)
        return super().remove_image(reference)


@pytest.fixture
def engine() -> CountingEngine:
    return CountingEngine()


def run(engine: FakeEngine, path: Path) -> Results:
    with open_session(Matrix.load(path), Options(prune_images=True), world=world_of(engine)) as session:
        return session.run()


def test_each_image_goes_when_its_cells_are_decided(engine: CountingEngine, tmp_path: Path) -> None:
    results = run(engine, write_matrix(tmp_path))
    assert [outcome.label for outcome in results.outcomes] == ["converges"] * 4
    assert engine.there == set()
    assert sorted(engine.removed) == ["image-of-six-1.15.0", "image-of-six-1.16.0"]
    assert engine.most <= 2


def test_an_environment_that_can_not_be_made_gives_its_place_to_the_next(
    engine: CountingEngine, tmp_path: Path
) -> None:
    engine.broken = {"six-1.15.0": BuildFailedError("install", "no wheel")}
    monkeyed = run(engine, write_matrix(tmp_path))
    assert [outcome.label for outcome in monkeyed.outcomes][:2] == ["blocked (install-failed)"] * 2
    assert engine.removed == ["image-of-six-1.16.0"]


def test_a_finished_matrix_makes_and_removes_nothing(engine: CountingEngine, tmp_path: Path) -> None:
    path = write_matrix(tmp_path)
    run(engine, path)
    engine.removed.clear()
    assert run(engine, path).executed == 0
    assert engine.removed == []


def shared_base(folder: Path) -> Path:
    """A matrix of two environments with one base."""
    text = (
        "axes:\n  six: [1.15.0]\n  python: ['3.10', '3.11']\n"
        "experiment: {script: a.py}\ncriterion: loss < 1e-4\nseeds: 1\n"
    )
    path = write_matrix(folder, text)
    _relock(folder)
    return path


def test_what_an_image_to_come_stands_on_stays_until_that_one_is_made(engine: CountingEngine, tmp_path: Path) -> None:
    there_when_removed: list[set[str]] = []
    remove = engine.remove_image
    engine.remove_image = lambda reference: there_when_removed.append(set(engine.there)) or remove(reference)
    run(engine, shared_base(tmp_path))
    assert len(there_when_removed) == 2
    assert len(there_when_removed[0]) == 2  # the first went when the second was there
    assert engine.there == set()


def test_where_the_last_of_a_base_can_not_be_made_nothing_of_the_base_stays(
    engine: CountingEngine, tmp_path: Path
) -> None:
    path = shared_base(tmp_path)
    engine.broken = {"six-1.15.0+py3.11": BuildFailedError("install", "no wheel")}
    run(engine, path)
    assert engine.removed == ["image-of-six-1.15.0+py3.10"]
    assert engine.there == set()


def _relock(folder: Path) -> None:
    from datetime import UTC, datetime

    from runner.environments.lock import Environment, Layer, LockedPackage
    from runner.environments.lockfile import finished, write

    for python in ("3.10", "3.11"):
        environment = Environment(pins=(("six", "1.15.0"),), python=python)
        packages = [LockedPackage(name="six", version="1.15.0", layer=Layer.BASE, hashes=(f"sha256:{'0' * 64}",))]
        lock = finished(
            environment=environment,
            python=python,
            as_of=datetime(2021, 6, 1, tzinfo=UTC),
            exemptions=(),
            packages=packages,
        )
        write(lock, folder / "locks")
