"""The digest over `data:` follows the contents, and a large file is read once."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from runner.errors import UsageError
from runner.matrix.model import DataMapping
from runner.trials.data import digest_of, mounts_of
from runner.trials.store import Store

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    with Store(tmp_path / "store.sqlite") as opened:
        yield opened


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "set" / "deep").mkdir(parents=True)
    (tmp_path / "set" / "a.csv").write_text("1")
    (tmp_path / "set" / "deep" / "b.csv").write_text("2")
    return tmp_path


def digest(folder: Path, store: Store, target: str = "data") -> str:
    return digest_of(mounts_of([DataMapping(source=folder / "set", target=target)], folder), store)


def test_the_digest_changes_with_content_name_and_target(folder: Path, store: Store) -> None:
    seen = {digest(folder, store), digest(folder, store, target="~/.keras/datasets")}
    (folder / "set/deep/b.csv").write_text("3")
    seen.add(digest(folder, store))
    (folder / "set/deep/b.csv").rename(folder / "set/deep/c.csv")
    seen.add(digest(folder, store))
    assert len(seen) == 4


def test_a_file_is_read_again_only_when_size_or_time_changed(
    folder: Path, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = digest(folder, store)
    monkeypatch.setattr("hashlib.file_digest", lambda *_: pytest.fail("read again"))
    assert digest(folder, store) == before


def test_what_lies_behind_a_link_counts_and_a_link_upwards_is_walked_once(folder: Path, store: Store) -> None:
    elsewhere = folder / "elsewhere"
    elsewhere.mkdir()
    (elsewhere / "c.csv").write_text("1")
    (folder / "set" / "link").symlink_to(elsewhere)
    (folder / "set" / "up").symlink_to(folder / "set")
    before = digest(folder, store)
    (elsewhere / "c.csv").write_text("22")
    assert digest(folder, store) != before


def test_a_single_file_can_be_mapped(folder: Path, store: Store) -> None:
    mounts = mounts_of([DataMapping(source=folder / "set/a.csv", target="a.csv")], folder)
    assert digest_of(mounts, store) != digest_of((), store)


def test_a_missing_file_is_named(folder: Path, store: Store) -> None:
    mounts = mounts_of([DataMapping(source=folder / "gone.csv", target="a.csv")], folder)
    with pytest.raises(UsageError, match=r"gone\.csv can't be read: No such file"):
        digest_of(mounts, store)
