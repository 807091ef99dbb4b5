"""The commands about environments over a fake engine: `lock`, `lock diff`, `build`, `clean`."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from fake_engine import FakeEngine

    Command = Callable[[str], int]


def test_a_lock_that_is_missing_or_was_edited_fails_the_check_and_is_named(
    command: Command, engine: FakeEngine, here: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert command("lock --check") == 0
    capsys.readouterr()
    lock = here / "locks" / "six-1.16.0.txt"
    lock.write_text(lock.read_text().replace("sha256:0", "sha256:1"))
    assert command("lock --check --format json") == 1
    found = {row["environment"]: row["lock"] for row in json.loads(capsys.readouterr().out)}
    assert found["six-1.15.0"] == "ok"
    assert "six-1.16.0.txt was edited by hand" in found["six-1.16.0"]
    assert command("run") == 2
    assert "six-1.16.0.txt was edited by hand" in capsys.readouterr().err
    lock.unlink()
    assert command("lock --check") == 1
    assert "there is none yet" in capsys.readouterr().out


def test_two_locks_are_told_apart(
    command: Command, engine: FakeEngine, here: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert command("lock diff six=1.15.0 six=1.16.0") == 0
    out = capsys.readouterr().out
    assert "1.15.0" in out
    assert "1.16.0" in out
    assert command("lock diff six=1.15.0 six=1.15.0") == 0
    assert "the same" in capsys.readouterr().out
    assert command("lock diff six=1.15.0 script=a.py") == 2
    assert "means 2 environments; name one of them" in capsys.readouterr().err


def test_a_dockerfile_is_printed_for_one_environment(
    command: Command, engine: FakeEngine, here: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert command("build --print-dockerfile six=1.16.0") == 0
    assert capsys.readouterr().out == "FROM base-of-six-1.16.0\n"
    assert command("build --print-dockerfile script=a.py") == 2
    assert "means 2 environments; name one of them" in capsys.readouterr().err


def test_clean_removes_images_and_keeps_records_unless_asked(command: Command, engine: FakeEngine, here: Path) -> None:
    command("run")
    assert command("clean --older-than 100000") == 0
    assert engine.removed == []
    assert command("clean") == 0
    assert engine.removed == ["image"]
    engine.ran.clear()
    command("run")
    assert engine.ran == []
    assert command("clean --records") == 0
    command("run")
    assert len(engine.ran) == 8


@pytest.mark.parametrize(
    ("line", "removed"),
    [
        ("clean", ["long-ago"]),
        ("clean --records", ["long-ago"]),
        ("clean --older-than 0", ["long-ago", "today"]),
        ("clean --image today", ["today"]),
    ],
)
def test_what_another_matrix_may_use_is_taken_only_after_a_while_or_by_name(
    line: str, removed: list[str], command: Command, engine: FakeEngine, here: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (image,) = engine.images()
    now = datetime.now(UTC)
    stored = tuple(
        replace(image, reference=name, last_used=used)
        for name, used in {"long-ago": now - timedelta(days=8), "today": now}.items()
    )
    engine.images = lambda: stored  # type: ignore[method-assign]
    assert command(line) == 0
    assert engine.removed == removed
    assert ("1 image stay" in capsys.readouterr().err.replace("images", "image")) is (len(line.split()[1:]) < 2)


def test_clean_of_an_image_that_is_not_there_removes_nothing(
    command: Command, engine: FakeEngine, here: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert command("clean --image none") == 2
    assert "There is no image none" in capsys.readouterr().err
    assert engine.removed == []


def test_clean_keeps_the_images_that_were_used_last(command: Command, engine: FakeEngine, here: Path) -> None:
    (image,) = engine.images()
    days = {"older": 1, "newest": 9, "old": 5}
    stored = tuple(
        replace(image, reference=name, last_used=datetime(2026, 1, day, tzinfo=UTC)) for name, day in days.items()
    )
    engine.images = lambda: stored  # type: ignore[method-assign]
    assert command("clean --keep-last 3") == 0
    assert engine.removed == []
    assert command("clean --keep-last 1") == 0
    assert engine.removed == ["older", "old"]
