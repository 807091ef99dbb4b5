"""The tables and event files that a script wrote, read as an attacker may have left them."""

from __future__ import annotations

import os
import struct
import time
from typing import TYPE_CHECKING

import pytest

from runner.trials.tables import NAMED_VALUES, read_tables, snapshot

if TYPE_CHECKING:
    from pathlib import Path


def varint(value: int) -> bytes:
    digits = b""
    while value > 0x7F:
        digits, value = digits + bytes([value & 0x7F | 0x80]), value >> 7
    return digits + bytes([value])


def field(number: int, value: bytes | float) -> bytes:
    match value:
        case bytes():
            return varint(number << 3 | 2) + varint(len(value)) + value
        case float():
            return varint(number << 3 | 5) + struct.pack("<f", value)
        case int():
            return varint(number << 3) + varint(value)


def event(step: int, *values: bytes) -> bytes:
    summary = b"".join(field(1, value) for value in values)
    message = varint(1 << 3 | 1) + struct.pack("<d", 1e9) + field(2, step) + field(5, summary)
    return struct.pack("<Q", len(message)) + b"crc!" + message + b"crc!"


def simple(tag: str, value: float) -> bytes:
    """As TensorFlow 1 and tensorboardX write it."""
    return field(1, tag.encode()) + field(2, value)


def tensor(tag: str, value: float, *, shape: bytes = b"") -> bytes:
    """As TensorFlow 2 writes it."""
    return field(1, tag.encode()) + field(8, field(1, 1) + field(2, shape) + field(4, struct.pack("<f", value)))


def test_a_table_is_read_by_its_columns(tmp_path: Path) -> None:
    (tmp_path / "logs").mkdir()
    (tmp_path / "logs" / "log.csv").write_text("epoch,loss,val_loss,note\n0,0.5,NA,a\n1,nan,0.25,b\n")
    (tmp_path / "semi.log").write_text("# loss;acc\n1e-3;0.5\n\n2;inf\n")

    found = read_tables(tmp_path, {}, [])

    assert found["logs/log.csv"].columns["val_loss"] == (None, 0.25)
    assert [str(value) for value in found["logs/log.csv"].columns["loss"]] == ["0.5", "nan"]
    assert found["logs/log.csv"].columns.keys() == {"loss", "val_loss"}
    assert found["semi.log"].columns == {"loss": (0.001, 2.0), "acc": (0.5, float("inf"))}


def test_only_what_the_script_wrote_is_read(tmp_path: Path) -> None:
    for name in ("given.csv", "changed.csv"):
        (tmp_path / name).write_text("x\n1\n")
        os.utime(tmp_path / name, (1, 1))
    before = snapshot(tmp_path)
    (tmp_path / "changed.csv").write_text("x\n2\n")

    assert {path: table.columns for path, table in read_tables(tmp_path, before, []).items()} == {
        "changed.csv": {"x": (2.0,)}
    }


@pytest.mark.parametrize(
    "text", ["", "\n\n", "1,2\n3,4\n", "Training started\n0.5\n", "a,b\nx,y\n", '"', "a,b\n" + '"' * 300_001]
)
def test_what_is_no_table_of_numbers_is_not_one(tmp_path: Path, text: str) -> None:
    (tmp_path / "a.txt").write_text(text)

    assert read_tables(tmp_path, {}, ["a.txt"]) == {}


def test_event_files_give_the_scalars_of_both_tensorflows(tmp_path: Path) -> None:
    path = tmp_path / "runs" / "events.out.tfevents.1.host"
    path.parent.mkdir()
    graph = struct.pack("<Q", 200_000) + b"crc!" + b"g" * 200_000 + b"crc!"
    histogram = tensor("weights", 1.0, shape=field(2, field(1, 1)))
    events = [event(1, simple("loss", 0.5), histogram), graph, event(2, tensor("loss", 0.25), simple("acc", 1.0))]
    path.write_bytes(b"".join(events))

    assert read_tables(tmp_path, {}, [])["runs/events.out.tfevents.1.host"].columns == {
        "loss": (0.5, 0.25),
        "acc": (1.0,),
    }


@pytest.mark.parametrize(
    "data",
    [
        b"\xff" * 1000,
        struct.pack("<Q", 2**64 - 1) + b"crc!",
        struct.pack("<Q", 5) + b"crc!" + b"\x2a\xff\xff\xff\x7f" + b"crc!",
        struct.pack("<Q", 60_000) + b"crc!" + b"\x80" * 60_000 + b"crc!",
        event(2, field(1, b"\xff" * 10) + field(2, b"x"))[:-20],
        event(2, field(8, field(1, 99) + field(4, b"abc"))),
    ],
)
def test_a_broken_event_file_gives_what_was_read_until_then(tmp_path: Path, data: bytes) -> None:
    (tmp_path / "events.out.tfevents.1").write_bytes(event(1, simple("loss", 0.5)) + data)

    assert read_tables(tmp_path, {}, [])["events.out.tfevents.1"].columns == {"loss": (0.5,)}


def test_links_and_devices_are_not_read(tmp_path: Path) -> None:
    secret = tmp_path / "secret.csv"
    secret.write_text("a\n1\n")
    work = tmp_path / "work"
    work.mkdir()
    (work / "soft.csv").symlink_to(secret)
    os.link(secret, work / "hard.csv")
    os.mkfifo(work / "pipe.csv")
    (work / "folder.csv").mkdir()

    assert read_tables(work, {}, ["*"]) == {}


def test_numbers_files_and_sizes_are_bounded(tmp_path: Path) -> None:
    for number in range(300):
        (tmp_path / f"{number:03}.csv").write_text("a\n1\n")
    (tmp_path / "long.csv").write_text("loss\n" + "1\n" * 30_000)
    (tmp_path / "wide.csv").write_text(",".join(f"c{i}" for i in range(300)) + "\n" + ",".join("1" * 300))
    (tmp_path / "large.csv").write_text("loss,note\n" + f"1,{'x' * 1000}\n" * 5000)
    began = time.process_time()

    unnamed = read_tables(tmp_path, {}, [])
    named = read_tables(tmp_path, {}, ["l*.csv", "wide.csv"])

    assert time.process_time() - began < 5
    assert len(unnamed) == 100
    assert len(named["long.csv"].columns["loss"]) == 30_000
    assert "larger than 4 MB" in named["large.csv"].problem
    assert "wide.csv" not in named
    (tmp_path / "long.csv").write_text("loss\n" + "1\n" * (NAMED_VALUES + 1))
    assert "numbers" in read_tables(tmp_path, {}, ["long.csv"])["long.csv"].problem
