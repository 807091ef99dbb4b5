"""Whatever one trial does, what is kept of it is bounded; what is left out follows a rule that the record names."""

from __future__ import annotations

import json
import math
from itertools import pairwise
from typing import TYPE_CHECKING

import pytest
from hostile_texts import hostile_result
from hypothesis import given
from hypothesis import strategies as st
from outcomes_records import cell_result, record

from runner.reports.cell_page import PAGE_BYTES
from runner.reports.site import write_site
from runner.trials.channel import read_channel
from runner.trials.epoch_series import EpochSeries
from runner.trials.record import Epoch, Record
from runner.trials.script_metrics import MOST_VALUES, search_log

if TYPE_CHECKING:
    from pathlib import Path

VALUES = st.floats(allow_nan=True, allow_infinity=True, width=32)


def told(values: list[float], most: int) -> EpochSeries:
    series = EpochSeries(most=most, most_values=10_000)
    for number, value in enumerate(values, 1):
        series.add(Epoch(phase="fit-1", epoch=number, logs={"loss": value}))
    return series


@given(st.lists(VALUES, min_size=1, max_size=400), st.integers(10, 40))
def test_first_last_extremes_and_the_first_that_is_not_finite_stay(values: list[float], most: int) -> None:
    series = told(values, most)
    kept = {epoch.epoch: epoch.logs["loss"] for epoch in series.epochs()}
    assert len(kept) <= most
    assert {1, len(values)} <= kept.keys()
    finite = [value for value in values if math.isfinite(value)]
    if finite:
        own = [value for value in kept.values() if math.isfinite(value)]
        assert (min(own), max(own)) == (min(finite), max(finite))
    wild = next((number for number, value in enumerate(values, 1) if not math.isfinite(value)), None)
    assert wild is None or wild in kept
    assert list(kept) == sorted(kept)
    assert bool(series.rule()) == (len(kept) < len(values))


def test_what_stays_is_spread_over_the_training() -> None:
    kept = [epoch.epoch for epoch in told([1 / n for n in range(1, 100_001)], 1000).epochs()]
    assert 400 <= len(kept) <= 1000
    assert max(later - earlier for earlier, later in pairwise(kept)) <= 256


def test_the_rule_names_what_it_left_out() -> None:
    assert told([1.0] * 1000, 100).rule().startswith("78 of 1,000 epochs are kept: every second one went")
    series = EpochSeries()
    for number in range(600):
        series.add(Epoch(phase="f", epoch=number + 1, logs={f"m{number}": 1.0}))
    assert series.rule() == "500 metrics are kept; 100 values of others are not"


def test_epochs_that_all_stay_are_not_looked_through_again_with_each_that_comes() -> None:
    class Counted(EpochSeries):
        thinnings = 0

        def _thin(self) -> None:
            self.thinnings += 1
            super()._thin()

    series, names = Counted(most_values=1000), range(40)
    for at in range(2000):  # one metric after the other has its least, its largest and a strange value
        turns = {at: -1.0, at - 40: 1.0, at - 80: math.nan}
        series.add(Epoch(phase="f", epoch=at + 1, logs={f"m{name}": turns.get(name, 0.0) for name in names}))
    assert series.thinnings < 40
    assert len(series.epochs()) <= 4 * len(names) + 2


def test_epochs_are_stored_in_columns_and_come_back_as_they_were() -> None:
    epochs = (
        Epoch(phase="a", epoch=1, logs={"loss": float("nan"), "acc": 1.0}, time_s=0.5),
        Epoch(phase="a", epoch=7, logs={"loss": 2.0, "acc": float("-inf")}, rss_bytes=3),
        Epoch(phase="b", epoch=1, logs={}),
    )
    text = record(epochs=epochs).model_dump_json(exclude_defaults=True)
    assert json.loads(text)["epochs"][0]["logs"] == {"loss": ["nan", 2.0], "acc": [1.0, "-inf"]}
    assert Record.model_validate_json(text).model_dump_json(exclude_defaults=True) == text
    with pytest.raises(ValueError, match="differ in length"):
        Record.model_validate_json(text.replace('"epoch":[1,7]', '"epoch":[1]'))


def test_an_epoch_is_named_by_its_own_number_where_others_were_left_out(tmp_path: Path) -> None:
    metrics = tmp_path / "metrics"
    with metrics.open("w") as stream:
        for number in range(1, 60_001):
            stream.write(f'{{"loss": {"NaN" if number == 54_321 else 1 / number}}}\n')
    (tmp_path / "channel").touch()
    channel = read_channel(tmp_path / "channel", metrics)
    assert len(channel.epochs) <= 25_000
    assert channel.thinned.startswith(f"{len(channel.epochs):,} of 60,000 epochs are kept")
    assert any(epoch.epoch == 54_321 and math.isnan(epoch.logs["loss"]) for epoch in channel.epochs)
    told = cell_result((), epochs=channel.epochs, phases=(), thinned=channel.thinned).trials[0]
    assert told.first_non_finite_epoch == 54_321
    assert {1, 54_321, 60_000} <= set(told.epochs)
    assert told.curves["loss"][told.epochs.index(60_000)] == 1.6667e-05
    assert told.thinned == channel.thinned


def test_of_more_metrics_than_are_kept_the_record_says_so(tmp_path: Path) -> None:
    metrics = tmp_path / "metrics"
    with metrics.open("w") as stream:
        for epoch in (1, 2):
            stream.writelines(f'{{"epoch": {epoch}, "m{number}": 1}}\n' for number in range(600))
        stream.write('{"epoch": 3, "m599": 1}\n{"epoch": 4, "m0": 2}\n')
    (tmp_path / "channel").touch()
    channel = read_channel(tmp_path / "channel", metrics)
    assert [(epoch.epoch, len(epoch.logs)) for epoch in channel.epochs] == [(1, 500), (2, 500), (3, 0), (4, 1)]
    assert channel.thinned == "500 metrics are kept; 201 values of others are not"


def test_of_a_log_of_short_lines_the_last_value_counts(tmp_path: Path) -> None:
    log = tmp_path / "log"
    log.write_bytes(b"loss 1\n" * (MOST_VALUES + 10) + b"loss 0.5\n")
    found = search_log(log, ["loss (.*)"])["loss (.*)"]
    assert (len(found.values), found.values[-1], found.lines[-1]) == (MOST_VALUES, 0.5, MOST_VALUES + 11)
    log.write_bytes(b"x" * 10**6 + b"\rloss 3" + b"\n" + b"\n" * 10**6 + b"loss 4")
    assert search_log(log, ["loss (.*)"])["loss (.*)"].values == (3.0, 4.0)


@pytest.mark.parametrize(
    ("text", "trials"),
    [
        ("x" * 100_000, 4),
        ('"' * 100_000, 4),
        ("\u202e" * 100_000, 4),
        ("\x1b[31m<" * 30_000, 4),
        ("\u202e" * 300, 200),
        ("\u202e" * 300, 1000),
    ],
)
def test_no_page_and_no_script_of_a_cell_is_large_whatever_it_wrote(text: str, trials: int, tmp_path: Path) -> None:
    result = hostile_result("x")
    first, *others = result.cells
    trial = first.trials[0].model_copy(update={"log": text, "message": text, "reason": text, "artifacts": (text,) * 9})
    raised = first.exception or next(cell.exception for cell in others if cell.exception)
    said = dict.fromkeys(("type", "message", "traceback", "source", "stage", "phase"), text)
    first = first.model_copy(
        update={
            "trials": (trial,) * trials, "reason": text, "diff": text, "flags": (text,) * 9,
            "exception": raised.model_copy(update=said), "imported": {f"{n}": text[:200] for n in range(2000)},
        }
    )  # fmt: skip
    site = write_site(result.model_copy(update={"cells": (first, *others)}), tmp_path).folder
    for path in (*site.rglob("*.html"), *(site / "data").glob("*.js")):
        if "specs" not in path.name:
            assert path.stat().st_size <= PAGE_BYTES, path.name
    page = (site / "cells" / f"{first.id}.html").read_text()
    assert page.count("<tr") > 4
    assert ("The first 200 of 1000 trials" in page) == (trials == 1000)


def test_what_all_cells_share_grows_with_their_number_and_not_with_what_they_wrote(tmp_path: Path) -> None:
    sizes = {}
    for length in (1_000, 100_000):
        result = hostile_result("x")
        cells = tuple(
            cell.model_copy(update=dict.fromkeys(("reason",), f"{number}{'y' * length}") | {"flags": ("y" * length,)})
            for number, cell in enumerate(result.cells)
        )
        site = write_site(result.model_copy(update={"cells": cells}), tmp_path / str(length)).folder
        sizes[length] = [(site / name).stat().st_size for name in ("index.html", "data/matrix.js")]
    assert sizes[100_000][0] == sizes[1_000][0]
    assert sizes[100_000][1] - sizes[1_000][1] < 20 * len(cells)  # figures of how much was left out
    assert sizes[100_000][1] < 3_000 * len(cells)
