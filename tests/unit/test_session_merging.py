"""Stores of parts joined into the matrix's own: all of it, once, of two our own, and nothing that a part makes up."""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING

import pytest
from fake_engine import FakeEngine, came_to, world_of, write_matrix

from runner.errors import UsageError
from runner.matrix.matrix_file import Matrix
from runner.session.options import Options, Shard
from runner.session.session import open_session
from runner.session.shards import Merged, merge
from runner.trials.job_files import Workplace
from runner.trials.store import Store

if TYPE_CHECKING:
    from pathlib import Path

    from runner.session.results import Results


def engine() -> FakeEngine:
    fake = FakeEngine()
    fake.losses = lambda job, seed: (1.0 + seed, float("nan")) if "b.py" in job.argv else (1.0, 0.5, 1e-6 * (seed + 1))
    return fake


def run(path: Path, shard: Shard | None = None) -> Results:
    with open_session(Matrix.load(path), Options(shard=shard), world=world_of(engine())) as session:
        return session.run()


def stored(path: Path) -> Results:
    with open_session(Matrix.load(path), world=world_of(engine())) as session:
        return session.results()


@pytest.fixture
def parts(tmp_path: Path) -> list[Path]:
    """The folders of two machines that ran a part each."""
    paths = [write_matrix(tmp_path / name) for name in ("one", "two")]
    for number, path in enumerate(paths, 1):
        run(path, Shard(number, 2))
    return [path.parent for path in paths]


def into(folder: Path, *parts: Path) -> Merged:
    return merge(Workplace(root=folder / ".runner"), parts)


def test_the_parts_together_are_what_one_machine_would_have(tmp_path: Path, parts: list[Path]) -> None:
    own, whole = write_matrix(tmp_path / "own"), write_matrix(tmp_path / "whole")
    merged = into(own.parent, parts[0], parts[1] / ".runner")
    assert (merged.added, merged.same, merged.conflicts, merged.unreadable) == (16, 0, [], 0)
    joined, alone = run(own), run(whole)  # comparing cells asks for more trials: only now are they side by side
    assert (joined.executed, alone.executed) == (4, 20)
    assert came_to(joined) == came_to(alone)
    logs = [sorted(file.name for file in (path.parent / ".runner" / "logs").iterdir()) for path in (own, whole)]
    assert logs[0] == logs[1]


def test_merging_again_changes_nothing(tmp_path: Path, parts: list[Path]) -> None:
    own = write_matrix(tmp_path / "own")
    into(own.parent, *parts)
    before = came_to(stored(own))
    again = into(own.parent, *parts, own.parent)
    assert (again.added, again.same, again.conflicts) == (0, 16, [])
    assert came_to(stored(own)) == before


def changed(folder: Path, started_at: str, log: str) -> str:
    """One record of a part made another, with its log; its key."""
    with Store(folder / ".runner" / "records.sqlite") as store:
        key = store.keys()[0]
        record = store.get([key])[key]
        store.put(record.model_copy(update={"started_at": started_at, "duration_s": 99.0}))
    (folder / ".runner" / "logs" / f"{key}.log").write_text(log)
    return key


@pytest.mark.parametrize("replace", [False, True])
def test_of_two_records_of_a_trial_one_is_kept_with_its_log_and_that_is_said(
    tmp_path: Path, parts: list[Path], replace: bool
) -> None:
    own = write_matrix(tmp_path / "own")
    into(own.parent, *parts)
    key = changed(parts[0], "2099-01-01T00:00:00+00:00", "theirs")
    merged = merge(Workplace(root=own.parent / ".runner"), parts, replace=replace)
    [said] = merged.conflicts
    assert "two records of the same trial differ; kept is " in said
    assert ("our own" in said) != replace
    with Store(own.parent / ".runner" / "records.sqlite") as store:
        assert (store.get([key])[key].duration_s == 99.0) == replace
    assert ((own.parent / ".runner" / "logs" / f"{key}.log").read_text() == "theirs") == replace
    if replace:
        assert into(own.parent, *parts).conflicts == []


def test_artifacts_come_along_and_links_do_not(tmp_path: Path, parts: list[Path]) -> None:
    own = write_matrix(tmp_path / "own")
    with Store(parts[0] / ".runner" / "records.sqlite") as store:
        key, other = store.keys()[:2]
    place = parts[0] / ".runner" / "artifacts" / key / "deep"
    place.mkdir(parents=True)
    (place / "model.h5").write_bytes(b"weights")
    (place / "passwd").symlink_to("/etc/passwd")
    log = parts[0] / ".runner" / "logs" / f"{other}.log"
    log.unlink()
    log.symlink_to("/etc/passwd")
    into(own.parent, parts[0])
    kept = own.parent / ".runner" / "artifacts" / key / "deep"
    assert [file.name for file in kept.iterdir()] == ["model.h5"]
    assert not (own.parent / ".runner" / "logs" / f"{other}.log").exists()


def test_a_key_that_is_a_path_is_not_followed(tmp_path: Path, parts: list[Path]) -> None:
    own = write_matrix(tmp_path / "own")
    with Store(parts[0] / ".runner" / "records.sqlite") as store:
        key = store.keys()[0]
        store.put(store.get([key])[key].model_copy(update={"key": "../../evil"}))
    (parts[0] / "evil.log").write_text("evil")
    merged = into(own.parent, parts[0])
    assert merged.unreadable == 1
    assert not list(tmp_path.glob("**/own/evil*"))


def test_a_part_is_only_read(tmp_path: Path, parts: list[Path]) -> None:
    before = {file: file.read_bytes() for file in parts[0].rglob("*") if file.is_file()}
    into(write_matrix(tmp_path / "own").parent, parts[0])
    assert {file: file.read_bytes() for file in parts[0].rglob("*") if file.is_file()} == before


def test_a_folder_without_records_is_refused_before_anything_is_taken(tmp_path: Path, parts: list[Path]) -> None:
    own = write_matrix(tmp_path / "own").parent
    with pytest.raises(UsageError, match="nothing has no records"):
        into(own, parts[0], tmp_path / "nothing")
    shutil.rmtree(own / ".runner", ignore_errors=True)
    assert not (own / ".runner").exists()
