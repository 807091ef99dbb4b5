"""Reading what a trial wrote, by someone who expects an attack."""

from __future__ import annotations

import json
import os
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from test_probe_contract import DIGEST, EVENTS

from runner.trials import channel, testimony
from runner.trials.channel import FOLLOW_BYTES, follow, read_channel

if TYPE_CHECKING:
    from pathlib import Path


def line(kind: str, /, **changes: Any) -> bytes:
    return json.dumps({"event": kind, "t": 0.5, **EVENTS[kind], **changes}).encode() + b"\n"


def channel_of(tmp_path: Path, *lines: bytes) -> Path:
    path = tmp_path / "channel"
    path.write_bytes(b"".join(lines))
    return path


def test_what_became_of_preludes_is_kept_and_a_failure_is_not_talked_away(tmp_path: Path) -> None:
    path = channel_of(
        tmp_path,
        line("start"),
        line("prelude", name="one", state="applied", note="first"),
        line("prelude", name="one", state="applied", note=""),
        line("prelude", name="two", state="failed", note="AttributeError: no such thing"),
        line("prelude", name="two", state="applied", note="after all"),
    )
    one, two = read_channel(path, None).preludes.values()
    assert (one.applied, one.note, one.error) == (True, "first", "")
    assert (two.applied, two.error) == (True, "AttributeError: no such thing")


def test_the_events_of_a_trial_become_the_fields_of_its_record(tmp_path: Path) -> None:
    path = channel_of(
        tmp_path,
        *(line(kind) for kind in ("start", "seeding", "stage", "phase", "config", "epoch", "steps")),
        line("epoch", epoch=2, logs={"loss": "nan"}),
        line("phase-end", error=True),
        line("exception"),
        line("packages"),
        line("exit", kind="exception"),
    )
    found = read_channel(path, None)
    assert (found.probe_started, found.python, found.seeding) == (True, "3.7.16", "seeded")
    assert (found.stage, found.phase, found.exit, found.bad_lines) == ("training", "fit-1", "exception", 0)
    assert [(epoch.epoch, str(epoch.logs["loss"])) for epoch in found.epochs] == [(1, "0.25"), (2, "nan")]
    assert found.exception is not None
    assert (found.exception.type, found.exception.file, found.exception.line) == ("ValueError", "train.py", 3)
    (phase,) = found.phases
    assert (phase.planned_epochs, phase.initial_weights, phase.final_weights) == (10, DIGEST, DIGEST)
    assert phase.finished is False
    assert found.steps == {"fit-1": (0.5, float("-inf"))}
    assert found.configs == {"fit-1/optimizer": "{}"}
    assert found.packages["keras"].version == "2.2.4"


def test_half_a_character_costs_neither_the_exception_nor_the_record(tmp_path: Path) -> None:
    """Python itself puts such into messages: of a file's name that is no UTF-8, of a text that can't be encoded."""
    path = channel_of(tmp_path, line("start"), line("exception", message="no file 'a\udcff.csv' \U0001f600"))
    metrics = tmp_path / "metrics"
    metrics.write_text(json.dumps({"epoch": 1, "loss\ud800": 1.0}) + "\n")
    found = read_channel(path, metrics)
    assert found.exception is not None
    assert found.exception.message == "no file 'a?.csv' \U0001f600"
    assert [*found.epochs[0].logs] == ["loss?"]
    assert found.bad_lines == 0


def test_a_loop_s_last_word_holds_and_its_blocks_stand_for_epochs(tmp_path: Path) -> None:
    begin = line("phase", name="batches-1")
    last = line("loop", steps=4, logs={"loss": [4, 3, 2, 1], "acc": [0.5]})
    found = read_channel(channel_of(tmp_path, begin, line("loop"), last), None)
    assert [epoch.logs for epoch in found.epochs] == [{"loss": 4, "acc": 0.5}, {"loss": 3}, {"loss": 2}, {"loss": 1}]
    assert found.phases[0].steps == 4


def test_what_a_library_says_of_a_training_that_did_not_converge_is_kept_with_it(tmp_path: Path) -> None:
    lines = [line("warning", message=f"max_iter={number}") for number in range(12)]
    found = read_channel(channel_of(tmp_path, line("phase"), *lines, line("warning", phase="fit-9")), None)
    assert found.phases[0].warnings == tuple(f"max_iter={number}" for number in range(10))
    assert found.bad_lines == 3


def test_results_are_counted_by_kind_and_the_first_and_the_last_of_many_are_kept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(testimony, "EVALUATIONS", 2)
    losses = [line("evaluation", logs={"loss": number}) for number in range(1, 7)]
    path = channel_of(tmp_path, line("start"), line("evaluation", kind="score", logs={"score": 0.5}), *losses)
    found = read_channel(path, None).evaluations
    assert [(one.kind, one.number, *one.logs.values()) for one in found] == [
        ("score", 1, 0.5),
        ("evaluate", 1, 1.0),
        ("evaluate", 5, 5.0),
        ("evaluate", 6, 6.0),
    ]


def test_a_script_s_own_metrics_are_epochs_and_show_that_it_trained(tmp_path: Path) -> None:
    metrics = tmp_path / "metrics"
    metrics.write_text(
        '{"epoch": 0, "loss": 1.5}\n{"epoch": 0, "val_loss": NaN, "note": "x"}\n{"loss": "inf"}\n'
        '{"loss": 1, "ok": true}\n\n["loss"]\n{"epoch": 4}\n{"loss": 1' + "0" * 400 + "}\n"
    )
    found = read_channel(channel_of(tmp_path, line("start")), metrics)
    assert [(epoch.phase, epoch.epoch) for epoch in found.epochs] == [("script", 1), ("script", 2), ("script", 3)]
    assert (
        str([epoch.logs for epoch in found.epochs]) == "[{'loss': 1.5, 'val_loss': nan}, {'loss': inf}, {'loss': 1.0}]"
    )
    assert (found.stage, found.bad_lines) == ("training", 4)
    failed = read_channel(channel_of(tmp_path, line("exception", stage="import")), metrics)
    assert failed.exception is not None
    assert (failed.stage, failed.exception.stage) == ("training", "training")


@pytest.mark.parametrize(
    "bad",
    [
        b"\xff\xfe\n",
        b"\n",
        b"[" * 100_000 + b"\n",
        b'{"event":' * 50_000 + b"\n",
        b"1" * 100_000 + b"\n",
        line("epoch").replace(b"0.25", b"NaN"),
        line("epoch", time_s=1.0).replace(b'"time_s": 1.0', b'"time_s": 1e999'),
        line("epoch", epoch=2**80),
        line("start"),
        line("phase"),
        line("phase-end", name="never begun"),
        line("loop", phase="never begun"),
        b'{"event": "start"}',
    ],
    ids=lambda bad: repr(bad[:24]),
)
def test_a_line_that_is_no_event_or_does_not_fit_is_counted_and_dropped(tmp_path: Path, bad: bytes) -> None:
    path = channel_of(tmp_path, line("start"), line("phase"), bad, line("epoch"))
    found = read_channel(path, None)
    assert (found.bad_lines, len(found.phases)) == (1, 1)
    assert len(found.epochs) == int(bad.endswith(b"\n"))  # one without an end takes the next line with it


@given(data=st.binary(max_size=2000))
def test_whatever_stands_in_the_files_nothing_is_raised(tmp_path_factory: pytest.TempPathFactory, data: bytes) -> None:
    folder = tmp_path_factory.getbasetemp()
    path = channel_of(folder, data)
    assert read_channel(path, path).probe_started is False
    assert follow(path, 0)[0] == ()


def test_what_is_no_plain_file_is_neither_followed_nor_waited_for(tmp_path: Path) -> None:
    real = channel_of(tmp_path, line("start"))
    link, fifo = tmp_path / "link", tmp_path / "fifo"
    link.symlink_to(real)
    os.mkfifo(fifo)
    for path in (link, fifo, tmp_path, tmp_path / "missing", tmp_path / "nul\0"):
        assert read_channel(path, path).probe_started is False
        assert follow(path, 0) == ((), 0)


def test_a_flood_is_cut_at_the_limits(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = channel_of(tmp_path, line("start"), line("epoch") * 1100)
    found = read_channel(path, None)
    assert (found.probe_started, len(found.epochs), found.bad_lines) == (True, 1100, 0)
    monkeypatch.setattr(channel, "LINES", 11)
    assert len(read_channel(path, None).epochs) == 10
    short = read_channel(path, None, len(line("start")) + 5 * len(line("epoch")) + 5)
    assert (len(short.epochs), short.bad_lines) == (5, 1)


def test_what_is_written_is_followed_line_by_line(tmp_path: Path) -> None:
    path = channel_of(tmp_path, line("start"), line("epoch")[:20])
    events, offset = follow(path, 0)
    assert ([event["event"] for event in events], offset) == (["start"], len(line("start")))
    assert follow(path, offset) == ((), offset)
    path.write_bytes(line("start") + line("epoch") + b"junk\n")
    events, offset = follow(path, offset)
    assert [(event["event"], event["epoch"], event["logs"]["loss"]) for event in events] == [("epoch", 1, 0.25)]
    assert offset == path.stat().st_size
    path.write_bytes(b"x" * (FOLLOW_BYTES + 1))
    assert follow(path, 0) == ((), FOLLOW_BYTES)
