"""A matrix in parts: complete and disjoint whatever the costs, the same each time, and balanced."""

from __future__ import annotations

import json
from itertools import pairwise
from typing import TYPE_CHECKING

import pytest
from fake_engine import MATRIX, FakeEngine, world_of, write_matrix
from hypothesis import given
from hypothesis import strategies as st

from runner.errors import UsageError
from runner.matrix.matrix_file import Matrix
from runner.session.options import Options, Shard, parse_shard
from runner.session.session import open_session
from runner.session.shards import MAKING_S, MOST_JOBS, divide

if TYPE_CHECKING:
    from pathlib import Path


costs = st.floats(0, 1e5, allow_nan=False)
matrices = st.lists(st.lists(costs, min_size=1, max_size=12), min_size=1, max_size=12)


def pieces(sizes: list[int]) -> list[tuple[int, ...]]:
    ends = [0]
    for size in sizes:
        ends.append(ends[-1] + size)
    return [tuple(range(start, end)) for start, end in pairwise(ends)]


def loads(environments: list[tuple[int, ...]], cost: list[float], parts: list[int], of: int) -> list[float]:
    """How long each part takes, with every environment that it has to make."""
    return [
        sum(
            MAKING_S + sum(cost[cell] for cell in cells if parts[cell] == part)
            for cells in environments
            if any(parts[cell] == part for cell in cells)
        )
        for part in range(1, of + 1)
    ]


@given(matrices, st.integers(1, 12))
def test_every_cell_is_in_exactly_one_part_and_always_in_the_same(matrix: list[list[float]], of: int) -> None:
    environments = pieces([len(cells) for cells in matrix])
    cost = [seconds for cells in matrix for seconds in cells]
    parts = divide(environments, cost, of)
    assert len(parts) == len(cost)
    assert all(1 <= part <= of for part in parts)
    assert parts == divide(environments, cost, of)


@given(matrices, st.integers(1, 12))
def test_no_part_is_idle_much_longer_than_its_longest_piece_asks_for(matrix: list[list[float]], of: int) -> None:
    environments = pieces([len(cells) for cells in matrix])
    cost = [seconds for cells in matrix for seconds in cells]
    found = loads(environments, cost, divide(environments, cost, of), of)
    whole = sum(cost) + MAKING_S * len(environments)
    longest = max(MAKING_S + sum(cells) for cells in matrix)
    assert max(found) <= whole / of + longest + 1e-6


@given(st.integers(1, 12), st.integers(1, 10), st.integers(1, 8))
def test_environments_stay_whole_where_there_are_enough_of_them(number: int, size: int, of: int) -> None:
    if number % of:
        number += of - number % of
    environments = pieces([size] * number)
    parts = divide(environments, [10.0] * (number * size), of)
    assert all(len({parts[cell] for cell in cells}) == 1 for cells in environments)
    assert len(set(parts)) == of


def test_one_environment_of_many_cells_is_divided() -> None:
    parts = divide(pieces([80]), [100.0] * 80, 8)
    assert [parts.count(part) for part in range(1, 9)] == [10] * 8
    assert parts == sorted(parts)  # neighbours stay together


def test_long_cells_are_spread_by_what_they_take() -> None:
    cost = [1000.0, 1.0, 1.0, 1.0, 1000.0, 1.0]
    parts = divide(pieces([1] * 6), cost, 2)
    assert parts[0] != parts[4]


def test_a_shard_is_written_like_3_8() -> None:
    assert parse_shard("3/8") == Shard(3, 8)
    assert parse_shard("") is None
    for wrong in ("0/8", "9/8", "3", "a/b", "3/8/9", "-1/8", "3/0", "٣/8"):
        with pytest.raises(UsageError, match="Write it like 3/8"):
            parse_shard(wrong)


@pytest.fixture
def engine() -> FakeEngine:
    fake = FakeEngine()
    fake.losses = lambda _job, seed: (1.0, 0.5, 1e-6 * (seed + 1))
    return fake


def names(engine: FakeEngine, path: Path, shard: Shard | None, only: str | None = None) -> list[str]:
    with open_session(Matrix.load(path), Options(shard=shard, only=only), world=world_of(engine)) as session:
        return [str(cell.id) for cell in session.cells]


def test_the_parts_of_a_matrix_are_all_of_it_and_stay_so_when_one_has_run(engine: FakeEngine, tmp_path: Path) -> None:
    path = write_matrix(tmp_path)
    before = [names(engine, path, Shard(part, 2)) for part in (1, 2)]
    assert sorted(before[0] + before[1]) == sorted(names(engine, path, None))
    with open_session(Matrix.load(path), Options(shard=Shard(1, 2)), world=world_of(engine)) as session:
        results = session.run()
    assert [str(cell.id) for cell in results.cells] == before[0]
    assert {cell for cell, _ in engine.ran} == set(before[0])
    assert [names(engine, path, Shard(part, 2)) for part in (1, 2)] == before


def test_a_part_of_what_only_selects(engine: FakeEngine, tmp_path: Path) -> None:
    path = write_matrix(tmp_path)
    found = [names(engine, path, Shard(part, 2), "script=a.py") for part in (1, 2)]
    assert sorted(found[0] + found[1]) == ["six=1.15.0,script=a.py", "six=1.16.0,script=a.py"]


def test_a_part_without_cells_is_refused_not_green(engine: FakeEngine, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"--shard 5/9 has no cell: 4 cells can be divided into at most 2 parts here"):
        names(engine, write_matrix(tmp_path), Shard(5, 9))


def test_what_trials_took_is_known_when_it_is_divided_anew(engine: FakeEngine, tmp_path: Path) -> None:
    path = write_matrix(tmp_path)
    with open_session(Matrix.load(path), world=world_of(engine)) as session:
        results = session.run()
        slow = {str(cell.id) for cell in results.cells[:2]}
        for record in (*results.outcomes[0].records, *results.outcomes[1].records):
            session.laboratory.equipment.store.put(record.model_copy(update={"duration_s": 5000.0}))
        jobs = session.github_jobs(2)["include"]
    assert [job["shard"] for job in jobs] == ["1/2", "2/2"]
    parts = [names(engine, path, parse_shard(job["shard"])) for job in jobs]
    assert [len(slow & set(part)) for part in parts] == [1, 1]


def test_a_kept_division_that_was_damaged_is_made_again(engine: FakeEngine, tmp_path: Path) -> None:
    path = write_matrix(tmp_path)
    before = names(engine, path, Shard(1, 2))
    kept = tmp_path / ".runner" / "shards.json"
    [key] = json.loads(kept.read_text())
    for damaged in ("", "[1]", json.dumps({key: [1]}), json.dumps({key: [1, 2, 3, "x"]})):
        kept.write_text(damaged)
        assert names(engine, path, Shard(1, 2)) == before


def test_the_jobs_of_a_workflow_are_all_cells_each_once(engine: FakeEngine, tmp_path: Path) -> None:
    path = write_matrix(
        tmp_path, MATRIX + "include: [{six: 1.17.0, script: a.py, idna: 3.4}, {six: 1.17.0, script: b.py}]\n"
    )
    with open_session(Matrix.load(path), world=world_of(engine)) as session:
        jobs = session.github_jobs()["include"]
    assert jobs[0] == {"name": "six-1.15.0", "only": "six=1.15.0", "shard": ""}
    found = [name for job in jobs for name in names(engine, path, None, job["only"])]
    assert sorted(found) == sorted(names(engine, path, None))
    json.dumps(jobs)


def test_more_jobs_than_github_runs_are_refused(engine: FakeEngine, tmp_path: Path) -> None:
    versions = ", ".join(f"1.{minor}.0" for minor in range(MOST_JOBS + 1))
    path = write_matrix(tmp_path, MATRIX.replace("1.15.0, 1.16.0", versions))
    with (
        open_session(Matrix.load(path), world=world_of(engine)) as session,
        pytest.raises(UsageError, match="257 jobs are more than the 256 that GitHub runs of a matrix; use --shards"),
    ):
        session.github_jobs()
