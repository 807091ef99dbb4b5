"""Which switches there are for a pair of cells, by what their environments hold."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest
from packaging.version import Version

from runner.explain.switches import (
    bringing_back,
    can_act,
    interventions_from_catalogue,
    interventions_made_for,
    pointed_at,
)
from runner.investigate.attempt import Intervention
from runner.investigate.question import Combination
from runner.outcomes.account import NameLookup, RemovedName
from runner.outcomes.verdict import Label
from runner.trials.job_files import Workplace

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

GOOD, BAD = (Combination.of({"tensorflow": version}) for version in ("2.10.1", "2.16.1"))


@dataclass(frozen=True)
class Published:
    version: Version
    uploaded: datetime
    yanked: bool = False


RELEASES = {
    "tensorflow": [Published(Version("2.16.1"), datetime(2024, 3, 8, tzinfo=UTC))],
    "tf-keras": [
        Published(Version("2.15.1"), datetime(2024, 2, 1, tzinfo=UTC)),
        Published(Version("2.16.0"), datetime(2024, 3, 8, tzinfo=UTC)),
        Published(Version("2.17.0"), datetime(2024, 7, 1, tzinfo=UTC)),
    ],
}


def named(bad: Mapping[str, str]) -> dict[str, Any]:
    contents = {GOOD: (("tensorflow", "2.10.1"), ("keras", "2.10.0")), BAD: tuple(bad.items())}
    asking: Any = SimpleNamespace(contents=contents, laboratory=SimpleNamespace(releases=RELEASES.get))
    return {one.name: one for one in interventions_from_catalogue(asking, GOOD, BAD)}


def test_the_keras_2_of_the_time_is_added_where_keras_3_is_alone() -> None:
    found = named({"tensorflow": "2.16.1", "keras": "3.0.5"})
    assert found["legacy-keras"].on.pins == (("tf-keras", "2.16.0"),)
    assert "tf-keras 2.16.0 added" in found["legacy-keras"].how
    imported = found["import-tf-keras"].on
    assert (imported.cell.values["import"], imported.pins) == ("tf_keras", (("tf-keras", "2.16.0"),))


@pytest.mark.parametrize(
    ("bad", "legacy"),
    [
        ({"tensorflow": "2.16.1", "keras": "3.0.5", "tf-keras": "2.16.0"}, ((),)),
        ({"tensorflow": "2.10.1", "keras": "2.10.0"}, ()),
    ],
)
def test_nothing_is_added_where_it_is_there_or_there_is_none(bad: dict[str, str], legacy: tuple[Any, ...]) -> None:
    found = named(bad)
    assert "import-tf-keras" not in found
    assert tuple(one.on.pins for name, one in found.items() if name == "legacy-keras") == legacy


def test_a_switch_is_tried_on_the_stacks_that_it_is_for_and_reversed_on_those_of_its_reverse() -> None:
    found = named({"tensorflow": "2.16.1", "keras": "3.0.5"})
    assert "resource-variables" not in found
    sample = found["normalization-sample-variance"]
    assert (sample.reverse_name, sample.reverse.cell.values["prelude"]) == ("unfused-normalization",) * 2


@pytest.mark.parametrize(
    ("bad", "tried"),
    [
        ({"scikit-learn": "1.5.2", "numpy": "2.1.1"}, False),
        ({"tensorflow": "1.13.1"}, True),
        ({"keras": "3.15.1", "torch": "2.13.0"}, True),
        ({"tf-keras": "2.16.0"}, True),
    ],
)
def test_of_requirements_that_are_parted_by_or_one_is_enough(bad: dict[str, str], tried: bool) -> None:
    assert ("float64" in named(bad)) is tried


@pytest.mark.parametrize(("package", "tried"), [("torch", True), ("scikit-learn", False)])
def test_the_order_of_batches_is_fixed_only_where_something_cuts_batches(
    package: str, tried: bool, tmp_path: Path
) -> None:
    workplace = Workplace.beside(tmp_path)
    asking: Any = SimpleNamespace(
        contents={BAD: ((package, "1.0"),)},
        trials={},
        laboratory=SimpleNamespace(equipment=SimpleNamespace(workplace=workplace)),
        matrix=SimpleNamespace(folder=tmp_path),
    )
    made = list(interventions_made_for(asking, GOOD, BAD, None))
    assert [one.name for one in made] == ["data-order"] * tried


def test_of_what_keras_took_away_only_an_earlier_keras_is_tried_and_of_another_package_nothing() -> None:
    switches = [Intervention(name=name, breadth=9, on=BAD) for name in ("legacy-keras", "float64")]
    gone = RemovedName(
        kind="attribute",
        owner="Sequential",
        name="fit_generator",
        good=NameLookup(where="keras.Sequential", there=True),
        bad=NameLookup(where="keras.Sequential", there=False, near=("fit",)),
    )
    assert [one.name for one in bringing_back(gone, switches)] == ["legacy-keras"]
    elsewhere = NameLookup(where="numpy", there=False)
    assert bringing_back(gone.model_copy(update={"good": None, "bad": elsewhere}), switches) == []


@pytest.mark.parametrize(
    ("end", "acting"),
    [
        (Label.CRASHED_IMPORT, {"legacy-keras"}),
        (Label.CRASHED_AT_START, {"legacy-keras", "run-eagerly"}),
        (Label.CRASHED_BUILD_MODEL, {"legacy-keras", "run-eagerly", "unfused-normalization", "explicit-sgd-momentum"}),
        (Label.CRASHED_TRAINING, None),
        (Label.PLATEAUED, None),
    ],
)
def test_on_a_crash_only_switches_are_tried_that_act_before_it(end: Label, acting: set[str] | None) -> None:
    names = {"legacy-keras", "run-eagerly", "unfused-normalization", "explicit-sgd-momentum", "data-order"}
    assert {name for name in names if can_act(name, {end})} == (names if acting is None else acting)
    assert all(can_act(name, {end, Label.PLATEAUED}) for name in names)


def test_a_switch_that_acts_on_what_the_trace_names_is_tried_first() -> None:
    switch = Intervention(name="unfused-normalization", breadth=2, on=BAD)
    assert pointed_at(switch, "Step 1: the moving variance of BatchNormalization bn differs").likely
    assert not pointed_at(switch, "Step 1: the loss differs").likely
    assert not pointed_at(switch, "Step 1: loss and BatchNormalization bn agree; the update differs.").likely
    assert not pointed_at(switch, "Step 1: the update differs; all else, as of BatchNormalization bn, agrees.").likely


@pytest.mark.parametrize(
    ("fault", "tried"),
    [
        ("OSError: x (after-training, h5py/_hl/files.py in make_fid)", False),
        ("ValueError: x (after-training, keras/engine/training.py in evaluate)", True),
    ],
)
def test_what_another_package_raises_after_the_training_is_nothing_that_switches_of_training_do(
    fault: str, tried: bool
) -> None:
    assert can_act("float64", {Label.CRASHED_AFTER_TRAINING}, fault) is tried
    assert can_act("numpy-weak-promotion", {Label.CRASHED_AFTER_TRAINING}, fault)
