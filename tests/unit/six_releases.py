"""Sixteen releases of a package and two scripts over a fake engine, for tests of what explains them."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, ClassVar

import pytest
from fake_engine import FakeEngine, world_of, write_matrix
from packaging.version import Version

from runner.explain.investigation import explain
from runner.explain.sides import sides_of
from runner.matrix.matrix_file import Matrix
from runner.session.options import Options
from runner.session.session import open_session

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from runner.engines.protocol import Job

VERSIONS = [f"1.{minor}.0" for minor in range(16)]
TEXT = """\
axes:
  six: [1.0.0, 1.15.0]
  script: [a.py, b.py]
experiment: {timeout: 10s}
criterion: loss < 1e-4
"""


@dataclass(frozen=True)
class Published:
    version: Version
    uploaded: datetime = datetime(2020, 1, 1, tzinfo=UTC)
    yanked: bool = False


class FakeProject:
    releases: ClassVar = [Published(Version(text)) for text in VERSIONS]


class FakeCatalog:
    class connection:  # noqa: N801
        @staticmethod
        def close() -> None:
            pass

    def project(self, name: str) -> FakeProject | None:
        return FakeProject() if name == "six" else None


@pytest.fixture
def engine() -> FakeEngine:
    return FakeEngine()


@pytest.fixture
def matrix(tmp_path: Path) -> Path:
    return write_matrix(tmp_path / "here", TEXT, VERSIONS)


def good(seed: int) -> Sequence[float]:
    return 1.0, 0.5, 1e-6 * (seed + 1)


def stuck(seed: int) -> Sequence[float]:
    return 1.0, 0.9 - seed / 1000, 0.8 - seed / 1000


def values(job: Job) -> dict[str, str]:
    return dict(part.split("=") for part in job.labels["cell"].split(","))


def explained(engine, path: Path, good_text: str, bad_text: str, **options):
    with open_session(Matrix.load(path), Options(), world=world_of(engine, FakeCatalog())) as session:
        pair = sides_of(session.cells, good_text, bad_text)
        return explain(session.laboratory, session.matrix, *pair, **options).account("explain")
