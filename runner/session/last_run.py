"""The last run of a matrix: its engine, base images and seeds, so that whoever looks sees what it came to.

It is kept beside the records, under the name of the matrix file; `--engine`, `--base` and `--seeds` say otherwise.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from pydantic import BaseModel, ConfigDict, ValidationError

from runner.cache import write_whole
from runner.engines.protocol import EngineKind
from runner.laboratory.request import Stored

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from runner.engines.protocol import Engine
    from runner.matrix.matrix_file import Matrix
    from runner.session.options import Options


class LastRun(BaseModel):
    """How a matrix was run last."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    engine: EngineKind
    base: Literal["registry", "offline", ""]
    found: bool
    """True where engine and base were not named, but found by what works."""
    seeds: int | None
    identities: dict[str, str]
    """What the lock does not pin, by CPython: where the trials of this run ran."""

    @property
    def way(self) -> tuple[str, str]:
        """Engine and base, as they are chosen."""
        return self.engine.value, self.base

    @property
    def stored(self) -> Stored:
        """The records of this run's engine and base images."""
        return Stored(engine=self.engine, identities=tuple(sorted(self.identities.items())))

    def is_meant(self, options: Options) -> bool:
        """True where options name no other engine and no other base images than this run's."""
        same_base = options.base in {"auto", self.base} or self.engine is EngineKind.VENV
        return options.engine in {"auto", self.engine.value} and same_base


def read_last_run(root: Path, matrix: Matrix) -> LastRun | None:
    """How a matrix was run last; None where nobody knows."""
    try:
        return LastRun.model_validate_json(_file(root, matrix).read_bytes())
    except (OSError, ValidationError):
        return None


def keep_last_run(root: Path, matrix: Matrix, engine: Engine, pythons: Iterable[str], options: Options) -> None:
    """Keep how a matrix is run now, of the CPythons that its locks need."""
    before = read_last_run(root, matrix)
    way = (engine.kind.value, engine.base)
    known = dict(before.identities) if before and before.way == way else {}
    known |= {python: identity for python in pythons if (identity := engine.known_identity(python))}
    found = options.engine == "auto" and options.base == "auto"
    run = LastRun.model_validate(
        {"engine": engine.kind, "base": engine.base, "found": found, "seeds": options.seeds, "identities": known}
    )
    if run != before:
        write_whole(_file(root, matrix), run.model_dump_json().encode())


def _file(root: Path, matrix: Matrix) -> Path:
    return root / "runs" / f"{matrix.path.name}.json"
