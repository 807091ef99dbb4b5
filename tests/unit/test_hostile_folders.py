"""A matrix folder from a stranger, with links laid where this tool writes: one message, and nothing else is touched."""

from __future__ import annotations

import errno
import fcntl
import os
import shutil
import sqlite3
from contextlib import closing
from typing import TYPE_CHECKING

import portalocker.portalocker
import pytest
from fake_engine import FakeEngine, write_matrix

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    Command = Callable[[str], int]

RUN, PUBLISH = "matrix.yaml", "publish"


@pytest.fixture
def engine(monkeypatch: pytest.MonkeyPatch) -> FakeEngine:
    monkeypatch.setattr("runner.reports.pages.bundle", lambda: b"// a library")
    return FakeEngine(losses=lambda _job, seed: (1.0, 0.5, 1e-6 * (seed + 1)))


@pytest.fixture
def victim(tmp_path: Path) -> Path:
    """The user's own files, which no command may touch or read."""
    folder = tmp_path / "victim"
    for name in ("jobs", "cells", "site", "deep/er"):
        (folder / name).mkdir(parents=True)
        (folder / name / "precious").write_text("precious")
    (folder / "authorized_keys").write_text("ssh-ed25519 SECRET")
    return folder


def contents(folder: Path) -> dict[str, bytes | None]:
    return {str(path.relative_to(folder)): path.read_bytes() if path.is_file() else None for path in folder.rglob("*")}


LINKS = [
    (".runner", "victim", RUN),
    (".runner/jobs", "victim", RUN),
    (".runner/logs", "victim", RUN),
    (".runner/artifacts", "victim", "clean --records"),
    (".runner/claim", "victim/authorized_keys", RUN),
    (".runner/records.sqlite", "victim/new", RUN),
    (".runner/records.sqlite", "victim/authorized_keys", "table"),
    (".runner/records.sqlite-wal", "victim/authorized_keys", RUN),
    (".runner/runs", "victim", RUN),
    (".runner/comparisons", "victim", RUN),
    (".runner/shards.json", "victim/authorized_keys", f"{RUN} --shard 1/2"),
    (".runner/jobs", "victim", "clean --records"),
    ("locks", "victim", "lock --upgrade"),
    ("locks", "victim", RUN),
    ("reports", "victim", PUBLISH),
    ("reports/site", "victim", PUBLISH),
    ("reports/site/cells", "victim/cells", PUBLISH),
    ("reports/site/index.html", "victim/authorized_keys", PUBLISH),
    (".runner/accounts", "victim", PUBLISH),
    (".runner/logs", "victim", PUBLISH),
]


@pytest.mark.parametrize(("link", "to", "line"), LINKS)
def test_a_link_ends_the_command_and_nothing_behind_it_changes(
    link: str, to: str, line: str, command: Command, here: Path, victim: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    if line != RUN:
        assert command(RUN) == 0
    place, aside = here / link, here / "aside"
    place.parent.mkdir(parents=True, exist_ok=True)
    if place.exists():
        place.rename(aside)
    place.symlink_to(victim.parent / to)
    before = contents(victim)
    capsys.readouterr()
    assert command(line) == 2
    out, err = capsys.readouterr()
    assert "is a link" in err
    assert "Delete it; " in err
    assert "SECRET" not in out + err
    assert contents(victim) == before
    place.unlink()
    if aside.exists():
        aside.rename(place)
    assert command(RUN) == 0


def test_a_site_of_ones_own_choice_may_be_anywhere(command: Command, here: Path, victim: Path) -> None:
    (here / "elsewhere").symlink_to(victim)
    command(RUN)
    assert command("publish --to elsewhere") == 0
    assert (victim / "index.html").is_file()


def test_what_a_stranger_laid_into_the_site_is_not_published(command: Command, here: Path) -> None:
    from runner.reports.pages import bundle_name

    command(RUN)
    library = here / "reports" / "site" / "assets" / bundle_name()
    library.parent.mkdir(parents=True)
    library.write_text("alert(1)")
    assert command(PUBLISH) == 0
    assert library.read_text() == "// a library"


@pytest.mark.parametrize("linked", ["logs", "artifacts", "log", "artifact"])
def test_merge_takes_nothing_that_a_link_of_the_other_store_leads_to(
    linked: str, command: Command, here: Path, tmp_path: Path, victim: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    other = write_matrix(tmp_path / "other").parent
    shutil.copytree(here / "locks", other / "locks", dirs_exist_ok=True)
    assert command(str(other / "matrix.yaml")) == 0
    (key, *_) = sorted(path.stem for path in (other / ".runner" / "logs").iterdir())
    for kind in ("logs", "artifacts"):
        (victim / kind / key).mkdir(parents=True)
        (victim / kind / key / "secret").write_text("SECRET")
    (victim / "logs" / f"{key}.log").write_text("SECRET")
    store = other / ".runner"
    match linked:
        case "logs":
            shutil.rmtree(store / "logs")
            (store / "logs").symlink_to(victim / "logs")
        case "artifacts":
            (store / "artifacts").symlink_to(victim / "artifacts")
        case "log":
            (store / "logs" / f"{key}.log").unlink()
            (store / "logs" / f"{key}.log").symlink_to(victim / "logs" / f"{key}.log")
        case "artifact":
            (store / "artifacts").mkdir()
            (store / "artifacts" / key).symlink_to(victim / "artifacts" / key)
    capsys.readouterr()
    assert command(f"merge {other}") == 0
    assert "was left out: a link is on the way to it" in capsys.readouterr().err
    own = here / ".runner"
    assert not any("SECRET" in path.read_text(errors="replace") for path in own.rglob("*") if path.is_file())


def test_a_script_that_leaves_links_in_its_log_s_place_shows_no_file_of_the_host(
    command: Command, engine: FakeEngine, here: Path, victim: Path
) -> None:
    """Under `venv` a script can reach its own job's folder; what it reads there itself nobody can keep from it."""

    def swap(job: object, seed: int) -> tuple[float, ...]:
        folder = job.folder  # type: ignore[attr-defined]
        folder.metrics.unlink()
        folder.metrics.symlink_to(victim / "authorized_keys")
        return (1.0, 0.5)

    engine.losses = swap
    assert command(f"{RUN} --seeds 1") in {0, 1, 4}
    store = b"".join(path.read_bytes() for path in (here / ".runner").rglob("*") if path.is_file())
    assert b"SECRET" not in store


def test_artifacts_beyond_what_is_kept_are_left_out_and_that_is_said(
    command: Command, engine: FakeEngine, here: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    def writes(job: object, seed: int) -> tuple[float, ...]:
        for name in ("a.h5", "b.h5"):
            with (job.folder.work / name).open("wb") as file:  # type: ignore[attr-defined]
                file.truncate(9 * 1024**2)
        return (1.0, 0.5, 1e-6 * (seed + 1))

    engine.losses = writes
    text = (here / "matrix.yaml").read_text().replace("timeout: 10s", "timeout: 10s\n  artifacts: ['*.h5']")
    (here / "matrix.yaml").write_text(f"{text}resources: {{keep: 16m}}\n")
    assert command(f"{RUN} --seeds 1 --only six=1.16.0,script=a.py") == 0
    assert "script=a.py seed 0: 1 artifact not kept: more than `keep:` allows" in capsys.readouterr().err
    (kept,) = (here / ".runner" / "artifacts").iterdir()
    assert [path.name for path in kept.iterdir()] == ["a.h5"]


def renamed(store: Path, key: str) -> None:
    """Have every record of a store name another key than that by which it is found."""
    with closing(sqlite3.connect(store)) as db:
        db.execute("UPDATE records SET record = json_set(record, '$.key', ?)", (key,))
        db.commit()


@pytest.mark.parametrize("key", ["../../../victim", "../..", "..", "/etc", "a\0b"])
@pytest.mark.parametrize("line", ["clean --records", "logs six=1.16.0,script=a.py", PUBLISH, RUN])
def test_a_record_whose_key_is_a_path_leads_nowhere(
    key: str, line: str, command: Command, engine: FakeEngine, here: Path, victim: Path
) -> None:
    assert command(RUN) == 0
    (here / ".runner" / "artifacts").mkdir()
    before = contents(victim)
    renamed(here / ".runner" / "records.sqlite", key)
    assert command(line) in {0, 1, 2}
    assert contents(victim) == before
    assert (here / "matrix.yaml").is_file()
    assert (here / ".runner" / "records.sqlite").is_file()


@pytest.mark.parametrize(
    "file", ["claim", "shards.json", "runs/matrix.yaml.json", "comparisons/matrix.yaml.json", "accounts/a.json"]
)
@pytest.mark.parametrize("content", [b"\xff\xfe\x00", b"[" * 100_000, None])
def test_files_of_a_strangers_runner_are_read_within_bounds(
    file: str, content: bytes | None, command: Command, here: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert command(RUN) == 0
    place = here / ".runner" / file
    place.parent.mkdir(exist_ok=True)
    with place.open("wb") as stream:
        stream.write(content or b"")
        stream.truncate(len(content) if content else 1024**4)
    for line in (RUN, f"{RUN} --shard 1/2", "table", PUBLISH):
        assert command(line) in {0, 2}
    assert "Traceback" not in capsys.readouterr().err


def test_who_holds_a_folder_is_said_in_digits_or_not_at_all(
    command: Command, here: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert command(RUN) == 0
    with (here / ".runner" / "claim").open("rb+") as stream:
        fcntl.flock(stream, fcntl.LOCK_EX)
        stream.write(b"\x1b]52;c;ZXZpbA==\x07\xff" * 1000)
        stream.flush()
        assert command(RUN) == 2
    assert "(process unknown)" in capsys.readouterr().err


def test_a_folder_that_can_not_be_locked_is_not_said_to_be_held_by_another_run(
    command: Command, here: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def locks_nothing(*_: object) -> None:
        raise OSError(errno.ENOLCK, os.strerror(errno.ENOLCK))

    monkeypatch.setattr(portalocker.portalocker, "LOCKER", locks_nothing)
    assert command(RUN) == 4
    assert ".runner/claim can't be locked (No locks available)" in capsys.readouterr().err
