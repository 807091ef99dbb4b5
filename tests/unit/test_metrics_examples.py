"""The examples of `$RUNNER_METRICS` are those of the README, and do what it says of them."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from outcomes_records import record
from waiting import PATIENCE_S

from runner.matrix.criterion import parse
from runner.outcomes.judging import verdict_of
from runner.outcomes.verdict import Label
from runner.trials.channel import Channel, read_channel

ROOT = Path(__file__).parents[2]
EXPERIMENTS = ROOT / "experiments"
PROBE = ROOT / "runner" / "probe"


def tried(script: str, folder: Path, *, seed: int = 1) -> Channel:
    """What a trial of the script would leave in its two files."""
    channel, metrics = folder / "channel", folder / "metrics"
    channel.write_bytes(b"")
    metrics.write_bytes(b"")
    variables = {"PYTHONPATH": str(PROBE), "RUNNER_CHANNEL": str(channel), "RUNNER_METRICS": str(metrics)}
    subprocess.run(
        [sys.executable, EXPERIMENTS / script],
        env={"PATH": os.environ["PATH"], "RUNNER_SEED": str(seed), **variables},
        cwd=folder,
        check=True,
        timeout=PATIENCE_S,
    )
    return read_channel(channel, metrics)


@pytest.mark.parametrize("script", ["metrics_plain.py", "metrics_pytorch.py"])
def test_the_readme_shows_the_very_example(script: str) -> None:
    source = (EXPERIMENTS / script).read_text()
    compile(source, script, "exec")
    assert f"```python\n{source}```" in (ROOT / "README.md").read_text()


def test_the_plain_example_reports_its_epochs_is_judged_and_follows_the_seed(tmp_path: Path) -> None:
    told = tried("metrics_plain.py", tmp_path)
    assert (told.stage, told.bad_lines, len(told.epochs), told.exit) == ("training", 0, 20, "normal")
    assert [epoch.epoch for epoch in told.epochs] == list(range(1, 21))
    assert tried("metrics_plain.py", tmp_path).epochs == told.epochs
    assert tried("metrics_plain.py", tmp_path, seed=2).epochs != told.epochs
    made = record(stage=told.stage, epochs=told.epochs, phases=())
    assert verdict_of(made).label is Label.SETTLED
    assert verdict_of(made, (parse("loss < 1e-6"),)).label is Label.CONVERGED


def test_an_example_runs_without_the_runner_too(tmp_path: Path) -> None:
    variables = {"PATH": os.environ["PATH"]}
    done = subprocess.run([sys.executable, EXPERIMENTS / "metrics_plain.py"], env=variables, cwd=tmp_path, check=False)
    assert done.returncode == 0
    assert list(tmp_path.iterdir()) == []
