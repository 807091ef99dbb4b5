"""What unit tests share: a folder with a matrix, and golden pages, which `RUNNER_ACCEPT=1` writes anew."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from fake_engine import write_matrix

if TYPE_CHECKING:
    from collections.abc import Callable

GOLDEN = Path(__file__).parent / "golden"


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
    for name in ("RUNNER_ENGINE", "RUNNER_BASE"):
        monkeypatch.delenv(name, raising=False)
    return tmp_path / "here"
