"""A matrix as the jobs of a GitHub workflow: what `strategy.matrix` takes, a job an environment or a shard."""

from __future__ import annotations

from typing import TYPE_CHECKING

from runner.errors import UsageError
from runner.matrix.cells import select
from runner.session.sharding import divided

if TYPE_CHECKING:
    from runner.session.session import Session

MOST_JOBS = 256
"""GitHub runs so many of one matrix."""


def github_jobs(session: Session, shards: int | None = None) -> dict[str, list[dict[str, str]]]:
    """One entry a job with its name and what `--only` and `--shard` take; together they are all cells, each once.

    Raises UsageError for more jobs than GitHub runs.
    """
    jobs = _environments(session) if shards is None else _shards(session, shards)
    if len(jobs) > MOST_JOBS:
        raise UsageError(
            f"{len(jobs)} jobs are more than the {MOST_JOBS} that GitHub runs of a matrix; use --shards 20."
        )
    return {"include": jobs}


def _shards(session: Session, of: int) -> list[dict[str, str]]:
    parts = set(divided(session, of, session.cells, anew=True))
    only = session.options.only or ""
    return [{"name": f"{part} of {of}", "only": only, "shard": f"{part}/{of}"} for part in sorted(parts)]


def _environments(session: Session) -> list[dict[str, str]]:
    """A job for each environment; what an `--only` can't tell from another environment is one job with it."""
    own = {cell.name for cell in session.cells}
    jobs: list[tuple[str, str, frozenset[str]]] = []
    for group in session.groups:
        first = group.cells[0]
        pins = [*first.pins, *([("python", first.python)] if first.python else [])]
        only = ",".join(f"{axis}={value}" for axis, value in pins)
        found = frozenset(cell.name for cell in select(session.all_cells, only))
        if not found <= own:  # the caller's own --only takes some of an environment's cells
            raise UsageError(
                f"--only {session.options.only} divides the environment {group.environment.name}: use --shards, or an"
                " --only that names package versions alone."
            )
        jobs.append((group.environment.name, only, found))
    return [
        {"name": name, "only": only, "shard": ""}
        for number, (name, only, found) in enumerate(jobs)
        if not any(found < other or (found == other and at < number) for at, (_, _, other) in enumerate(jobs))
    ]
