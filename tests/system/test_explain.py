"""explain and bisect in real containers: small releases of a real package, a script whose training depends on them."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest
from command import runner

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = [pytest.mark.docker, pytest.mark.network]

MATRIX = """\
axes:
  six: ["1.10.0", "1.16.0"]
  env: [TUNED=0, TUNED=1]
  python: ["3.11"]
experiment: {script: train.py, timeout: 1m}
criterion: loss < 1e-4
"""
SCRIPT = """\
import json, os, random
import six
late = tuple(map(int, six.__version__.split("."))) >= (1, 13)
stuck = late and os.environ["TUNED"] == "1" and not os.environ.get("GENTLE")
with open(os.environ["RUNNER_METRICS"], "a") as metrics:
    for epoch in range(6):
        loss = 0.5 + random.random() / 100 if stuck else 10.0 ** -(2 * epoch) * (1 + random.random() / 100)
        metrics.write(json.dumps({"loss": loss}) + "\\n")
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "matrix.yaml").write_text(MATRIX)
    (tmp_path / "train.py").write_text(SCRIPT)
    return tmp_path


@pytest.mark.slow
def test_two_axes_that_act_together_and_the_release_are_found_and_a_second_call_runs_nothing(folder: Path) -> None:
    question = ("explain", "--engine", "docker", "--good", "six=1.10.0,env=TUNED=0", "--bad", "six=1.16.0,env=TUNED=1")
    done = runner(folder, *question, "--format", "json")
    assert done.returncode == 0, done.stderr
    account = json.loads(done.stdout)
    assert account["real"]
    assert account["engine"] == "docker"
    assert [{one["name"] for one in cause["factors"]} for cause in account["causes"]] == [{"six", "env"}]
    (bisection,) = account["bisections"]
    (flip,) = bisection["flips"]
    sides = [bisection["places"][flip[side]]["values"]["six"] for side in ("before", "after")]
    assert sides == ["1.12.0", "1.13.0"]
    (unknown,) = account["unknown"]
    assert "switch" in unknown, "none is for these packages, and that is told"

    again = json.loads(runner(folder, *question, "--format", "json").stdout)
    assert again["trials"] == 0
    assert again["sentences"] == account["sentences"]


def test_a_bisection_walks_releases_that_the_matrix_does_not_name(folder: Path) -> None:
    only = ("--only", "env=TUNED=1", "--prune-images")
    done = runner(folder, "bisect", "--engine", "docker", "--axis", "six", *only, "--format", "json")
    assert done.returncode == 0, done.stderr
    walk = json.loads(done.stdout)
    assert "breaks at six 1.12.0 → 1.13.0" in walk["sentence"]
    places = [place["values"]["six"] for place in walk["bisection"]["places"]]
    assert {"1.11.0", "1.14.0"} < set(places)
