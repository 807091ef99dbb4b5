"""`check` with the histories and the known changes that come with the tool, on the scripts of the known cases."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from runner.changes.known import known_changes
from runner.check.checker import Checker
from runner.check.stacks import histories_in, installed
from runner.scripts.script import read_script

CASES = Path(__file__).parents[1] / "system" / "cases"
RAISES = {
    "numpy-removed-alias": {"numpy.bool"},
    "removed-predict-classes": {"tensorflow.keras.models.Sequential.predict_classes"},
    "scaled-loss": {
        "tensorflow.keras.mixed_precision.LossScaleOptimizer.get_scaled_loss",
        "tensorflow.keras.mixed_precision.LossScaleOptimizer.get_unscaled_gradients",
    },
}
"""What the bad cell of a case lacks; the scripts of the others run to their end on both sides."""
HISTORIES = histories_in()


def _sides(folder: Path) -> list[dict[str, str]]:
    """The releases of TensorFlow in the good and the bad cell; empty where not both have one that was looked at."""
    asked = yaml.safe_load((folder / "expected.yaml").read_text("utf-8"))["asked"]
    sides = [dict(part.split("=", 1) for part in asked[side].split(",")) for side in ("good", "bad")]
    history = HISTORIES("tensorflow")
    versions = [side["tensorflow"] for side in sides if "tensorflow" in side]
    looked_at = [history.looked_at(version) for version in versions] if history else []
    is_known = [str(one).split(".")[:2] for one in looked_at] == [version.split(".")[:2] for version in versions]
    return [{"tensorflow": version} for version in versions] if len(versions) == len(sides) and is_known else []


CHECKED = {path.parent.name: sides for path in sorted(CASES.glob("*/expected.yaml")) if (sides := _sides(path.parent))}


def test_every_case_that_raises_is_checked() -> None:
    assert RAISES.keys() <= CHECKED.keys()


@pytest.mark.parametrize("name", CHECKED)
def test_breaks_are_predicted_where_a_case_raises_and_nowhere_else(name: str) -> None:
    script = read_script(CASES / name, "train.py")
    checker = Checker(script, HISTORIES, known_changes())
    good, bad = (installed(side, script.imports, HISTORIES) for side in CHECKED[name])
    assert [one for one in checker.findings(None, good) if one.kind == "breaks"] == []
    assert {one.path for one in checker.findings(good, bad) if one.kind == "breaks"} == RAISES.get(name, set())


@pytest.mark.parametrize(
    ("after", "told"),
    [("2.12.0", [("known", "lr-is-ignored")]), ("2.16.1", [("breaks", "tensorflow.keras.optimizers.SGD")])],
)
def test_what_a_release_refuses_is_not_told_as_ignored_too(
    after: str, told: list[tuple[str, str]], tmp_path: Path
) -> None:
    (tmp_path / "train.py").write_text("from tensorflow import keras\nkeras.optimizers.SGD(lr=0.1)\n")
    script = read_script(tmp_path, "train.py")
    before, now = (installed({"tensorflow": one}, script.imports, HISTORIES) for one in ("2.10.1", after))
    found = Checker(script, HISTORIES, known_changes()).findings(before, now)
    assert [(one.kind, one.path) for one in found if one.kind in {"known", "breaks"}] == told
