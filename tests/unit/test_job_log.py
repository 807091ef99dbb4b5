"""The log of a job: whole where it is short, head and tail where it is long, readable while it grows."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from hypothesis import given
from hypothesis import strategies as st

from runner.engines.job_limits import LogFile

if TYPE_CHECKING:
    from pathlib import Path

    import pytest

NOTE = re.compile(rb"\n\[\.\.\. (\d+) bytes left out \.\.\.\]\n")


def test_a_short_log_is_kept_byte_for_byte(tmp_path: Path) -> None:
    with LogFile(tmp_path / "log", 100) as log:
        log.write(b"epoch 1\n")
        log.write(b"\xff\x00 not text\n")
    assert (tmp_path / "log").read_bytes() == b"epoch 1\n\xff\x00 not text\n"
    assert not log.truncated


def test_a_log_of_exactly_the_limit_is_whole(tmp_path: Path) -> None:
    with LogFile(tmp_path / "log", 10) as log:
        log.write(b"0123456789")
    assert (tmp_path / "log").read_bytes() == b"0123456789"
    assert not log.truncated


def test_the_file_is_there_before_output_and_grows_live(tmp_path: Path) -> None:
    with LogFile(tmp_path / "log", 100) as log:
        assert (tmp_path / "log").read_bytes() == b""
        log.write(b"epoch 1\n")
        assert (tmp_path / "log").read_bytes() == b"epoch 1\n"


def test_a_long_log_keeps_its_first_and_its_last_lines_and_counts_what_is_missing(tmp_path: Path) -> None:
    lines = [b"line %06d\n" % number for number in range(10_000)]
    with LogFile(tmp_path / "log", 4_000) as log:
        for line in lines:
            log.write(line)
    kept = (tmp_path / "log").read_bytes()
    head, missing, tail = NOTE.split(kept)
    assert log.truncated
    assert b"".join(lines).startswith(head)
    assert b"".join(lines).endswith(tail)
    assert tail.startswith(b"line ")
    assert len(head) == 2_000
    assert len(tail) >= 900
    assert len(head) + int(missing) + len(tail) == 12 * 10_000


def test_one_huge_write_without_a_line_end_is_cut_too(tmp_path: Path) -> None:
    with LogFile(tmp_path / "log", 1_000) as log:
        log.write(b"x" * 100_000 + b"the end")
    kept = (tmp_path / "log").read_bytes()
    assert kept.endswith(b"the end")
    assert len(kept) < 1_100


@given(st.lists(st.binary(max_size=300), max_size=30), st.integers(min_value=8, max_value=200))
def test_head_plus_missing_plus_tail_is_always_the_whole_output(
    tmp_path_factory: pytest.TempPathFactory, writes: list[bytes], limit: int
) -> None:
    path = tmp_path_factory.mktemp("log") / "log"
    with LogFile(path, limit) as log:
        for data in writes:
            log.write(data.replace(b"[", b"("))
            assert path.stat().st_size <= limit + 60
    written = b"".join(writes).replace(b"[", b"(")
    head, *rest = NOTE.split(path.read_bytes())
    assert log.truncated == (len(written) > limit)
    missing, tail = rest or (b"0", b"")
    assert len(head) + int(missing) + len(tail) == len(written)
    assert written.startswith(head)
    assert written.endswith(tail)
