"""What is copied to an engine elsewhere, and back: what a job wrote is read as if an attacker had made it."""

from __future__ import annotations

import errno
import io
import os
import tarfile
import tracemalloc
from typing import TYPE_CHECKING

import pytest
import requests.exceptions

from runner.engines.docker.archive import Chunks, heads, packed, restored, tree, unpacked

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

MOST = 1024**2


def archive(*members: tuple[str, bytes | str, str]) -> list[bytes]:
    """An archive of an engine: name, content (or what is linked to), kind."""
    raw = io.BytesIO()
    with tarfile.open(fileobj=raw, mode="w", format=tarfile.PAX_FORMAT) as file:
        for name, content, kind in members:
            member = tarfile.TarInfo(name)
            member.type = getattr(tarfile, f"{kind}TYPE")
            if isinstance(content, str):
                member.linkname = content
            else:
                member.size = len(content)
            file.addfile(member, io.BytesIO(content) if isinstance(content, bytes) else None)
    data = raw.getvalue()
    return [data[start : start + 700] for start in range(0, len(data), 700)]


def below(folder: Path) -> dict[str, bytes | None]:
    return {
        path.relative_to(folder).as_posix(): path.read_bytes() if path.is_file() else None for path in folder.rglob("*")
    }


def test_what_is_sent_comes_back_as_it_was(tmp_path: Path) -> None:
    sent, home = tmp_path / "sent", tmp_path / "home"
    (sent / "a" / "empty").mkdir(parents=True)
    home.mkdir()
    (sent / "a" / os.fsdecode(b"\xff.csv")).write_bytes(b"1")
    (sent / ("n" * 200)).write_bytes(b"x" * 70_000)
    (sent / "run.sh").write_bytes(b"#!/bin/sh\n")
    (sent / "run.sh").chmod(0o700)
    (sent / "link").symlink_to("/etc/passwd")
    (sent / "data").mkdir()
    (sent / "data" / "large").write_bytes(b"mapped in")
    os.utime(sent / "run.sh", ns=(1, 1_234_567_890_123_456_789))
    entries = list(tree(sent, "work", owner=65532, without={sent / "data"}))
    assert {entry.owner for entry in entries} == {65532}
    assert {entry.name: entry.mode for entry in entries}["work/run.sh"] == 0o744, "everybody may read"
    assert unpacked(packed(entries), home, most_bytes=MOST, before=sent)
    expected = {
        name: content for name, content in below(sent).items() if name.partition("/")[0] not in {"link", "data"}
    }
    assert below(home) == expected
    assert (home / "run.sh").stat().st_mtime_ns == 1_234_567_890_123_456_789, "unchanged: as it was, to the nanosecond"


def test_a_large_file_that_is_as_it_was_comes_home_without_being_held_in_memory(tmp_path: Path) -> None:
    size = 16 * 1024**2
    sent, home = tmp_path / "sent", tmp_path / "home"
    for folder in (sent, home):
        folder.mkdir()
    (sent / "data.csv").write_bytes(b"x" * size)
    os.utime(sent / "data.csv", ns=(1, 1_234_567_890_123_456_789))
    tracemalloc.start()
    try:
        assert unpacked(packed(tree(sent, "work", owner=0)), home, most_bytes=2 * size, before=sent)
        assert tracemalloc.get_traced_memory()[1] < size // 2
    finally:
        tracemalloc.stop()
    assert (home / "data.csv").stat().st_mtime_ns == 1_234_567_890_123_456_789


def test_a_single_file_is_sent_by_its_name(tmp_path: Path) -> None:
    (tmp_path / "one.csv").write_bytes(b"1,2")
    (tmp_path / "home").mkdir()
    unpacked(packed(tree(tmp_path / "one.csv", "into", owner=0)), tmp_path / "home", most_bytes=MOST)
    assert below(tmp_path / "home") == {"one.csv": b"1,2"}


def test_where_no_file_is_noted_as_a_program_all_can_be_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "uv").write_bytes(b"")
    assert [entry.mode for entry in tree(tmp_path / "uv", "into", owner=0)][1] == 0o644
    monkeypatch.setattr("runner.engines.docker.archive._UNTOLD", 0o111)
    assert [entry.mode for entry in tree(tmp_path / "uv", "into", owner=0)][1] == 0o755


@pytest.mark.parametrize(
    "member",
    [
        ("work/../../evil", b"x", "REG"),
        ("/evil", b"x", "REG"),
        ("work/link", "/etc", "SYM"),
        ("work/pipe", b"", "FIFO"),
        ("work/device", b"", "CHR"),
        ("/".join(["work", *["d"] * 200, "deep"]), b"x", "REG"),
    ],
)
def test_nothing_but_files_and_folders_within_comes_home(tmp_path: Path, member: tuple[str, bytes | str, str]) -> None:
    home = tmp_path / "home"
    home.mkdir()
    members = [("work", b"", "DIR"), member, ("work/link/planted", b"x", "REG"), ("work/good", b"good", "REG")]
    assert unpacked(archive(*members), home, most_bytes=MOST)
    assert below(tmp_path) == {"home": None, "home/good": b"good"}


def test_a_file_with_several_names_does_not_come_home(tmp_path: Path) -> None:
    members = [("work/one", b"1", "REG"), ("work/two", "work/one", "LNK"), ("work/three", b"3", "REG")]
    assert unpacked(archive(*members), tmp_path, most_bytes=MOST)
    assert below(tmp_path) == {"three": b"3"}


def test_more_than_a_disk_holds_is_told_and_not_written(tmp_path: Path) -> None:
    large = [(f"work/{number}", b"x" * 100_000, "REG") for number in range(12)]
    assert not unpacked(archive(*large), tmp_path, most_bytes=MOST)
    assert sum(path.stat().st_size for path in tmp_path.iterdir()) <= MOST
    (tmp_path / "many").mkdir()
    many = [(f"work/{number}", b"", "REG") for number in range(300)]
    assert not unpacked(archive(*many), tmp_path / "many", most_bytes=MOST), "each counts as a block at least"


def test_what_is_no_archive_and_one_that_breaks_off_are_what_is_there(tmp_path: Path) -> None:
    assert unpacked([b"no archive" * 100], tmp_path, most_bytes=MOST)
    whole = b"".join(archive(("work/a", b"a", "REG"), ("work/b", b"b" * 5000, "REG")))
    assert unpacked([whole[:2000]], tmp_path, most_bytes=MOST)
    assert below(tmp_path)["a"] == b"a"


def test_a_connection_that_is_lost_in_the_middle_of_a_file_is_told(tmp_path: Path) -> None:
    def lost() -> Iterator[bytes]:
        yield b"".join(archive(("work/a", b"a" * 30_000, "REG")))[:20_480]
        raise requests.exceptions.ChunkedEncodingError("Connection broken")

    with pytest.raises(requests.exceptions.ChunkedEncodingError):
        unpacked(lost(), tmp_path, most_bytes=MOST)


def test_a_full_disk_here_is_told_and_a_name_that_can_not_be_is_left_out(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    members = [
        ("work/good", b"1", "REG"),
        ("work/" + "n" * 300, b"2", "REG"),
        ("work/good/below", b"3", "REG"),
        ("work/" + "d" * 300, b"", "DIR"),
        ("work/last", b"4", "REG"),
    ]
    assert unpacked(archive(*members), tmp_path, most_bytes=MOST)
    assert below(tmp_path) == {"good": b"1", "last": b"4"}

    def full(*_: object, **__: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    (tmp_path / "full").mkdir()
    for call, member in (("open", members[0]), ("mkdir", ("work/d", b"", "DIR"))):
        with monkeypatch.context() as patch:
            patch.setattr(f"pathlib.Path.{call}", full)
            with pytest.raises(OSError, match="No space left"):
                unpacked(archive(member), tmp_path / "full", most_bytes=MOST)


def test_a_large_chunk_is_not_copied_again_for_each_piece_that_is_read() -> None:
    class Counted(bytes):
        copied = 0

        def __getitem__(self, index: slice) -> bytes:  # type: ignore[override]
            piece = super().__getitem__(index)
            Counted.copied += len(piece)
            return piece

    chunk = Counted(1024**2)
    read = Chunks([chunk, b"end"], 2 * len(chunk)).read
    assert b"".join(iter(lambda: read(10_000), b"")) == chunk + b"end"
    assert Counted.copied == len(chunk)


def test_of_a_record_so_much_is_read_and_no_more(tmp_path: Path) -> None:
    members = [
        ("record", b"", "DIR"),
        ("record/channel", b"x" * 5000, "REG"),
        ("record/metrics", "/etc/passwd", "SYM"),
        ("record/other", b"y", "REG"),
    ]
    assert dict(heads(archive(*members), {"channel", "metrics"}, 1000)) == {"channel": b"x" * 1000}


def test_what_uv_left_comes_home_with_its_links_and_nothing_leads_out(tmp_path: Path) -> None:
    members = [
        ("cache/archive/x", b"1", "REG"),
        ("cache/wheels", "archive/x", "SYM"),
        ("cache/hard", "cache/archive/x", "LNK"),
    ]
    restored(archive(*members), tmp_path, most_bytes=MOST)
    assert (tmp_path / "wheels").readlink().as_posix() == "archive/x"
    assert (tmp_path / "hard").read_bytes() == b"1"
    with pytest.raises(tarfile.TarError):
        restored(archive(("cache/out", "../../etc", "SYM")), tmp_path, most_bytes=MOST)
