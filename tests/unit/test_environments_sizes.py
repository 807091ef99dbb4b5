"""What locks take on disk, from wheels that are there and from what the index said of those that are not."""

from __future__ import annotations

import hashlib
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import pytest
from fake_index import FakeIndex, wheel

from runner.cache import cache_folder
from runner.environments.index.catalog import Catalog
from runner.environments.lock import Environment, Layer, Lock, LockedPackage
from runner.environments.target import this_platform
from runner.environments.wheelhouse import DiskNeed, LockSizes, sizes_of, total

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

BASE = wheel("base", "1.0", files={"base.py": "x" * 1000, "base.so": "y" * 5000})
EXTRA = wheel("extra", "1.0", files={"extra.py": "z" * 3000})


@pytest.fixture
def index(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[FakeIndex]:
    monkeypatch.setenv("RUNNER_CACHE", str(tmp_path))
    served = FakeIndex()
    monkeypatch.setenv("UV_DEFAULT_INDEX", served.url)
    served.add("extra-1.0-py3-none-any.whl", EXTRA, "2021-01-01")
    yield served
    served.stop()


def lock(version: str = "1.0") -> Lock:
    packages = [
        LockedPackage(
            name=name, version=version, layer=layer, hashes=(f"sha256:{hashlib.sha256(content).hexdigest()}",)
        )
        for name, layer, content in (("base", Layer.BASE, BASE), ("extra", Layer.OVERLAY, EXTRA))
    ]
    return Lock(
        environment=Environment(pins=(("base", "1.0"), ("extra", version))),
        python="3.11",
        platform=this_platform(),
        as_of=datetime(2021, 1, 1, tzinfo=UTC),
        exemptions=(),
        packages=tuple(packages),
        text="",
    )


def keep(content: bytes, name: str) -> None:
    folder = cache_folder() / "files" / hashlib.sha256(content).hexdigest()
    folder.mkdir(parents=True)
    (folder / name).write_bytes(content)


def test_a_wheel_on_disk_is_counted_by_its_own_directory_and_nothing_is_asked(index: FakeIndex) -> None:
    keep(BASE, "base-1.0-py3-none-any.whl")
    keep(EXTRA, "extra-1.0-py3-none-any.whl")
    sizes = sizes_of(lock(), Catalog())
    base, extra = sizes.layers.values()
    assert sizes.downloads == {}
    assert 6000 + 820 < base < 6000 + 820 + 600  # and what the wheel says of itself
    assert 3000 + 2460 < extra < 3000 + 2460 + 600
    assert index.asked == []


def test_a_file_that_is_not_here_is_counted_by_what_the_index_once_said(index: FakeIndex) -> None:
    catalog = Catalog()
    catalog.project("extra")
    index.asked.clear()
    sizes = sizes_of(lock(), catalog)
    assert list(sizes.downloads.values()) == [len(EXTRA)]
    assert sorted(sizes.layers.values()) == [0, round(len(EXTRA) * 3.9)]  # of the base nothing is known
    assert sizes.unknown == {f"sha256:{hashlib.sha256(BASE).hexdigest()}"}
    assert index.asked == []


def test_what_several_locks_share_counts_once() -> None:
    shared = frozenset({"c"})
    one = LockSizes(downloads={"a": 10, "b": 5}, layers={"base": 100, "overlay 1": 7}, unknown=shared)
    other = LockSizes(downloads={"a": 10}, layers={"base": 100, "overlay 2": 3}, unknown=shared | {"d"})
    assert total([one, other]) == DiskNeed(download_bytes=15, install_bytes=110, unknown_files=2)
