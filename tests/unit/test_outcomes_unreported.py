"""What the reason of `no-metrics` says to do, by what the trial printed, wrote and is made of."""

from __future__ import annotations

import pytest
from outcomes_records import epochs, record

from runner.matrix.criterion import parse
from runner.matrix.model import Metrics
from runner.outcomes.judging import verdict_of
from runner.trials.record import Printed, Record, Table
from runner.trials.script_metrics import read_with

NOTHING: dict[str, object] = {"epochs": (), "phases": ()}


def reason(made: Record, criterion: str = "loss < 1", metrics: Metrics | None = None) -> str:
    return verdict_of(read_with(made, metrics or Metrics()), (parse(criterion),)).reason


@pytest.mark.parametrize(
    ("tail", "criterion", "part"),
    [
        ("Test MAE: 2.41\n", "test_mae < 1", r"write `metrics: {test_mae: 'Test MAE: (\S+)'}`;"),
        (
            "epoch 1 - error 0.5\nbye\n",
            "loss < 1",
            r"write `metrics: {error: 'error (\S+)'}`, and judge error",
        ),
        ("loss of 1: 3\nerror 0.5\nerror 0.4\nbest score: 3\n", "mae < 1", r"write `metrics: {error: 'error (\S+)'}`"),
        ("loss: 1\nval loss: 2\n", "loss < 1", r"write `metrics: {loss: 'loss: (\S+)'}`"),
        ("it's loss: 1\n", "loss < 1", "write `metrics: {loss: 'loss: "),
        ("\x1b[1mloss\x07:\x1b[0m 0.5\n", "loss < 1", "write `metrics: {loss:"),
    ],
)
def test_a_line_of_the_output_gives_the_pattern_that_finds_it(tail: str, criterion: str, part: str) -> None:
    assert part in reason(record(**NOTHING, log_tail=tail), criterion)


def test_a_file_that_was_written_and_that_nobody_named_is_told() -> None:
    made = record(**NOTHING, tables={"logs/log.csv": Table(columns={"loss": (1.0,), "acc": (0.5,)})})
    events = record(**NOTHING, tables={"runs/a/events.out.tfevents.1": Table(columns={"loss": (1.0,)})})

    assert "logs/log.csv has loss, acc: write `metrics: {from: logs/log.csv}`" in reason(made)
    assert "write `metrics: {from: runs/}`" in reason(events)
    assert "write" not in reason(made, "los < 1", Metrics(files=("logs",)))


def test_without_any_trace_the_loop_and_the_file_of_metrics_are_named() -> None:
    found = reason(record(**NOTHING, loop="train.py:12: for epoch in range(9):", log_tail="done\n"))

    assert "print it in its loop (train.py:12: for epoch in range(9):)" in found
    assert "$RUNNER_METRICS" in found


@pytest.mark.parametrize("function", ["while_loop", "fori_loop", "scan"])
def test_of_a_loop_inside_of_compiled_code_the_reason_says_that_nothing_can_be_seen_there(function: str) -> None:
    found = reason(record(**NOTHING, loop=f"train.py:12: x = jax.lax.{function}(f, x)", log_tail="done\n"))

    assert f"nothing can be seen inside of `{function}` (train.py:12: x = jax.lax.{function}(f, x))" in found
    assert "jax.debug.print" in found


def test_a_name_that_is_nearly_one_that_was_reported_is_told() -> None:
    made = record(epochs=epochs("fit-1", {"val_accuracy": 0.5}))

    assert "did you mean val_accuracy?" in reason(made, "val_acuracy > 0.5")


@pytest.mark.parametrize(
    ("printed", "part"),
    [
        ({"x (a)": Printed()}, "no line of the output matches x (a)"),
        ({"x (a)": Printed(other="abc")}, "x (a) found 'abc', which is not a number"),
        ({}, "nothing is known of x (a): the log of this trial is gone"),
    ],
)
def test_a_pattern_that_finds_no_value_says_why(printed: dict[str, Printed], part: str) -> None:
    found = reason(
        record(**NOTHING, printed={"other": Printed(), **printed}), metrics=Metrics(patterns=(("loss", "x (a)"),))
    )

    assert part in found
    assert "other" not in found


def test_a_table_that_was_not_read_says_why() -> None:
    made = record(**NOTHING, tables={"a.csv": Table(problem="it is larger than 4 MB")})

    assert "a.csv was not read: it is larger than 4 MB" in reason(made)
