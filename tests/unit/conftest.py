"""What unit tests share: files in memory, a folder with a matrix, golden pages (`RUNNER_ACCEPT=1` writes them anew)."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from fake_engine import FakeEngine, world_of, write_matrix

from runner.cli.app import run_command_line

if TYPE_CHECKING:
    from collections.abc import Callable

MEMORY = Path("/dev/shm")
ENOUGH_BYTES = 2 * 1000**3
GOLDEN = Path(__file__).parent / "golden"


def pytest_configure(config: pytest.Config) -> None:
    """Have temporary files in memory where only unit tests are run: they make thousands, and sync stores to disk."""
    own = Path(__file__).parent
    places = [Path(config.invocation_params.dir, word.partition("::")[0]).resolve() for word in config.args]
    if all(place.is_relative_to(own) for place in places) and _takes_files(MEMORY):
        os.environ.setdefault("PYTEST_DEBUG_TEMPROOT", str(MEMORY))


def _takes_files(folder: Path) -> bool:
    """True where a folder is there, can be written, has room, and what lies in it can be executed."""
    if not os.access(folder, os.W_OK | os.X_OK):
        return False
    about = os.statvfs(folder)
    return about.f_bavail * about.f_frsize > ENOUGH_BYTES and not about.f_flag & os.ST_NOEXEC


@pytest.fixture(scope="session")
def golden() -> Callable[[str, str], None]:
    """Hold a text against the golden page of a name; with RUNNER_ACCEPT=1 it becomes that page."""

    def same(name: str, text: str) -> None:
        path = GOLDEN / name
        if os.environ.get("RUNNER_ACCEPT") == "1":
            path.parent.mkdir(exist_ok=True)
            path.write_text(text, "utf-8")
        assert path.is_file(), f"{path} is not there: RUNNER_ACCEPT=1 writes it"
        assert text == path.read_text("utf-8"), f"{name} reads otherwise; RUNNER_ACCEPT=1 accepts it"

    return same


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with a matrix, to work in; nothing of this machine says how it is run."""
    write_matrix(tmp_path / "here")
    monkeypatch.chdir(tmp_path / "here")
    monkeypatch.setenv("RUNNER_CONFIG", str(tmp_path / "config.toml"))
    for name in ("RUNNER_ENGINE", "RUNNER_BASE", "RUNNER_RUNTIME", "RUNNER_REGISTRY"):
        monkeypatch.delenv(name, raising=False)
    return tmp_path / "here"


@pytest.fixture
def engine() -> FakeEngine:
    """An engine that takes no time; a file of tests may have one of its own."""
    return FakeEngine()


@pytest.fixture
def command(engine: FakeEngine) -> Callable[[str], int]:
    """Give a line to the command line over the engine; its exit code."""
    return lambda line: run_command_line(line.split(), world_of(engine))
