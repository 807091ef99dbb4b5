"""What the venv engine offers, without any environment."""

from __future__ import annotations

import json
import threading
from dataclasses import asdict
from typing import TYPE_CHECKING

import pytest

from runner.engines.protocol import EngineKind, Image
from runner.engines.venv.venv_engine import VenvEngine
from runner.engines.venv.venv_folder import MARKER, Installed, held
from runner.errors import StoppedError
from runner.runner_mark import this_boot

if TYPE_CHECKING:
    from pathlib import Path


def test_uvs_own_cpythons_are_offered_only_where_downloads_are_allowed(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("RUNNER_CACHE", str(tmp_path))
    monkeypatch.delenv("UV_PYTHON_DOWNLOADS", raising=False)
    monkeypatch.delenv("UV_OFFLINE", raising=False)
    assert VenvEngine(tuple).pythons() == ("3.13", "3.12", "3.11", "3.10", "3.9", "3.8")
    monkeypatch.setenv("UV_PYTHON_DOWNLOADS", "never")
    assert VenvEngine(tuple).pythons() == ()


@pytest.fixture
def image(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Image:
    """An environment as it lies in the cache, with nothing in it."""
    monkeypatch.setenv("RUNNER_CACHE", str(tmp_path))
    folder = tmp_path / "environments" / "lock-base"
    folder.mkdir(parents=True)
    made = Installed(lock_name="six-1", lock_digest="0", base_identity="base", python_full="3.11.7", size_bytes=1)
    (folder / MARKER).write_text(json.dumps(asdict(made)))
    folder.with_name("lock-base.lock").write_text(this_boot())
    return Image(
        engine=EngineKind.VENV, reference=str(folder), lock_digest="0", base_identity="base", python_full="3.11.7"
    )


def test_an_environment_that_a_runner_uses_is_not_removed_by_another(image: Image) -> None:
    user, other = VenvEngine(tuple), VenvEngine(tuple)
    assert user.use(image)
    assert not other.remove_image(image.reference)
    user.close()
    assert other.remove_image(image.reference)
    assert not user.use(image)


def test_a_runner_that_uses_an_environment_may_remove_it_itself(image: Image) -> None:
    engine = VenvEngine(tuple)
    assert engine.use(image)
    assert engine.use(image)
    assert engine.remove_image(image.reference)


def test_who_waits_for_another_runner_can_be_stopped(image: Image, tmp_path: Path) -> None:
    engine = VenvEngine(tuple)
    with held(tmp_path / "environments" / "lock-base", alone=True) as mine:
        assert mine
        threading.Timer(0.1, engine.stop_all).start()
        with pytest.raises(StoppedError):
            engine.use(image)
