"""A record as the `metrics:` of its matrix read it."""

from __future__ import annotations

import pytest
from outcomes_records import record

from runner.matrix.criterion import parse
from runner.matrix.model import Judging, Metrics
from runner.outcomes.judging import verdict_of
from runner.outcomes.reported_metric import reported
from runner.outcomes.verdict import Label
from runner.trials.record import Printed, Record, ScriptException, Table
from runner.trials.script_metrics import read_with


def printed(**patterns: Printed) -> Record:
    return record(stage="import", phases=(), epochs=(), printed=patterns)


def test_a_pattern_that_matches_once_is_a_final_value_and_often_is_a_series() -> None:
    raw = printed(L=Printed(lines=(1, 3, 5), values=(0.9, 0.5, 0.1)), A=Printed(lines=(9,), values=(0.93,)))

    read = read_with(raw, Metrics(patterns=(("loss", "L"), ("test_accuracy", "A"))))

    assert reported(read, "loss").values == (0.9, 0.5, 0.1)
    assert [epoch.logs for epoch in read.epochs][-1] == {"loss": 0.1, "test_accuracy": 0.93}
    assert read.stage == "training"
    assert verdict_of(read, (parse("test_accuracy > 0.9"),)).label is Label.CONVERGED
    assert verdict_of(read, (parse("loss < 0.2"), parse("test_accuracy > 0.95"))).label is not Label.CONVERGED


def test_what_is_printed_counts_in_place_of_what_keras_reported() -> None:
    raw = record(0.5, 0.4, printed={"L": Printed(lines=(1,), values=(7.0,))})
    metrics = Metrics(patterns=(("loss", "L"),))

    assert reported(read_with(raw, metrics), "loss").values == (7.0,)
    assert read_with(read_with(raw, metrics), metrics) == read_with(raw, metrics)
    assert reported(read_with(raw, Metrics()), "loss").values == (0.5, 0.4)


def test_a_final_nan_is_nan() -> None:
    raw = printed(L=Printed(lines=(1, 2), values=(0.5, float("nan"))))

    read = read_with(raw, Metrics(patterns=(("loss", "L"),)))

    assert verdict_of(read, judging=Judging(metric="loss")).label is Label.NAN


def test_rounded_values_that_are_equal_make_no_copies() -> None:
    read = read_with(printed(A=Printed(lines=(1,), values=(0.93,))), Metrics(patterns=(("acc", "A"),)))

    assert read.identity is None


@pytest.mark.parametrize(
    ("paths", "globs", "names"),
    [
        (["logs/log.csv"], ("logs/*.csv",), {"loss"}),
        (["logs/a.csv", "logs/b.csv"], ("logs",), {"a/loss", "b/loss"}),
        (["r/train/events.out.tfevents.1", "r/train/events.out.tfevents.2"], ("r/**/*tfevents*",), {"loss"}),
        (
            ["r/train/events.out.tfevents.1", "r/validation/events.out.tfevents.2"],
            ("r",),
            {"train/loss", "validation/loss"},
        ),
        (["r/events.out.tfevents.1", "r/x/events.out.tfevents.2"], ("r",), {"loss", "x/loss"}),
        (["a.csv", "b.csv"], ("b.csv",), {"loss"}),
        (["log.csv", "r/train/events.out.tfevents.1"], ("*",), {"loss"}),
        (
            ["r/20261128-1200/train/events.out.tfevents.1", "r/20261129-1201/train/events.out.tfevents.2"],
            ("r",),
            {"_1/train/loss", "_2/train/loss"},
        ),
        (["a.csv"], ("b.csv",), set()),
    ],
)
def test_columns_are_metrics_and_say_their_file_where_there_are_several(
    paths: list[str], globs: tuple[str, ...], names: set[str]
) -> None:
    raw = record(epochs=(), tables={path: Table(columns={"loss": (0.5, None, 0.1)}) for path in paths})

    read = read_with(raw, Metrics(files=globs))

    assert {name for epoch in read.epochs for name in epoch.logs} == names


def test_a_tag_is_a_name_that_a_criterion_can_have() -> None:
    raw = record(epochs=(), tables={"a.csv": Table(columns={"Loss/train (mean)": (1.0,), "0": (2.0,)})})

    assert [epoch.logs for epoch in read_with(raw, Metrics(files=("a.csv",))).epochs] == [
        {"Loss/train__mean_": 1.0, "_0": 2.0}
    ]


@pytest.mark.parametrize(
    ("lines", "cut", "values", "flags"),
    [
        ((1, 9), 5, (0.9, 0.5), {"log-truncated"}),
        ((1, 2), 5, (), set()),
        ((), 5, (), set()),
        ((1, 9), 0, (0.9, 0.5), set()),
    ],
)
def test_where_output_was_left_out_after_the_last_value_nothing_is_known(
    lines: tuple[int, ...], cut: int, values: tuple[float, ...], flags: set[str]
) -> None:
    found = Printed(lines=lines, values=(0.9, 0.5)[: len(lines)], cut=cut)
    raw = record(epochs=(), phases=(), printed={"L": found}, log_truncated=cut > 0)

    read = read_with(raw, Metrics(patterns=(("loss", "L"),)))

    assert reported(read, "loss").values == values
    verdict = verdict_of(read, (parse("loss < 0.1"),))
    assert set(verdict.flags) & {"log-truncated"} == flags
    assert (verdict.label is Label.NO_METRICS) == (not values)


@pytest.mark.parametrize(
    ("after", "stage", "label"),
    [
        (True, "after-training", Label.CRASHED_AFTER_TRAINING),
        (False, "training", Label.CRASHED_TRAINING),
    ],
)
def test_an_exception_after_what_was_printed_is_after_training_where_its_lines_are(
    after: bool, stage: str, label: Label
) -> None:
    error = {
        "type": "KeyError",
        "message": "'f1'",
        "traceback": "",
        "stage": "import",
        "phase": "",
        "after_loops": after,
    }
    raw = record(
        stage="import",
        phases=(),
        epochs=(),
        exit_code=1,
        exception=ScriptException.model_validate(error),
        printed={"L": Printed(lines=(1,), values=(0.1,))},
    )
    read = read_with(raw, Metrics(patterns=(("loss", "L"),)))
    assert read.exception is not None
    assert (read.stage, read.exception.stage) == (stage, stage)
    assert verdict_of(read, (parse("loss < 0.2"),)).label is label
