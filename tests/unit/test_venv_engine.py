"""What the venv engine offers, without any environment."""

from __future__ import annotations

from typing import TYPE_CHECKING

from runner.engines.venv.venv_engine import VenvEngine

if TYPE_CHECKING:
    from pathlib import Path

    import pytest


def test_uvs_own_cpythons_are_offered_only_where_downloads_are_allowed(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("RUNNER_CACHE", str(tmp_path))
    monkeypatch.delenv("UV_PYTHON_DOWNLOADS", raising=False)
    monkeypatch.delenv("UV_OFFLINE", raising=False)
    assert VenvEngine(tuple).pythons() == ("3.13", "3.12", "3.11", "3.10", "3.9", "3.8")
    monkeypatch.setenv("UV_PYTHON_DOWNLOADS", "never")
    assert VenvEngine(tuple).pythons() == ()
