"""Scripts that must land on the labels of VERDICTS.md, in real containers: one environment, two matrices, run once."""

from __future__ import annotations

import os
import re
import shutil
import signal
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from command import REPOSITORY

from runner import Matrix, Options, run

if TYPE_CHECKING:
    from collections.abc import Mapping

    from runner.outcomes.verdict import Verdict
    from runner.trials.record import Record

    Trials = Mapping[str, tuple[Record, Verdict]]

pytestmark = [pytest.mark.docker, pytest.mark.network, pytest.mark.usefixtures("cpython_3_7")]

SCRIPTS = Path(__file__).parent / "scripts" / "labels"
LABELS_WITH_TARGET = {"converges.py": "converged", "settles.py": "plateaued"}
LABELS = {
    "sleeps.py": "timeout",  # the first, so that the others run beside it
    "settles.py": "settled",
    "plateaus.py": "plateaued",
    "diverges.py": "diverged",
    "nan_from_epoch_3.py": "nan",
    "oscillates.py": "oscillating",
    "improves.py": "improving",
    "is_too_short.py": "too-short",
    "trains_nothing.py": "no-metrics",
    "imports_what_is_not_there.py": "crashed-import",
    "aborts_on_import.py": "crashed-import",
    "exits_with_4.py": "crashed-at-start",
    "leaves_with_4.py": "crashed-at-start",
    "terminates_itself.py": "crashed-import",
    "compiles_wrongly.py": "crashed-build-model",
    "fits_wrong_shapes.py": "crashed-training",
    "segfaults_while_training.py": "crashed-training",
    "eats_memory.py": "out-of-memory",
    "downloads.py": "download-failed",
    "destroys_its_record.py": "unknown",
    "fails_after_training.py": "crashed-after-training",
    "leaves_at_once.py": "settled",
}
MATRIX = """\
axes:
  tensorflow: [1.13.1]
  keras: [2.2.4]
  script: [{scripts}]
experiment:
  timeout: 40s
resources: {{cpus: 1, memory: 640m}}
seeds: 1
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The scripts, and the locks of the founding matrix: other tests make its images too."""
    folder = tmp_path_factory.mktemp("labels")
    shutil.copytree(SCRIPTS, folder, dirs_exist_ok=True)
    shutil.copytree(REPOSITORY / "locks", folder / "locks")
    return folder


@pytest.fixture(scope="module")
def trials(folder: Path) -> Trials:
    """The last trial of every script with its verdict, by the script's name."""
    return _run(folder / "shapes.yaml", MATRIX.format(scripts=", ".join(LABELS)))


@pytest.fixture(scope="module")
def trials_with_target(folder: Path) -> Trials:
    """The same for those whose loss has a target."""
    matrix = MATRIX.format(scripts=", ".join(LABELS_WITH_TARGET))
    return _run(folder / "target.yaml", f"{matrix}criterion: loss < 1e-4 within 20 epochs\n")


def _run(path: Path, matrix: str) -> Trials:
    path.write_text(matrix)
    options = Options(engine="docker", base=os.environ.get("RUNNER_BASE", "offline"))
    outcomes = run(Matrix.load(path), options).outcomes
    ended = {outcome.id.values["script"]: outcome.trials[-1] for outcome in outcomes}
    return {script: (one.record, verdict) for script, (one, verdict) in ended.items()}


@pytest.mark.parametrize(("script", "label"), LABELS.items())
def test_a_script_lands_on_its_label(script: str, label: str, trials: Trials) -> None:
    record, verdict = trials[script]
    assert verdict.label == label, (verdict, record.log_tail)


def test_a_loss_is_held_against_its_target(trials_with_target: Trials) -> None:
    labels = {script: verdict.label for script, (_, verdict) in trials_with_target.items()}
    assert labels == LABELS_WITH_TARGET
    _, met = trials_with_target["converges.py"]
    assert (met.basis, met.n) == ("target", 20)
    assert met.first_met_epoch is not None
    assert trials_with_target["settles.py"][1].basis == "target-missed"


def test_a_single_epoch_is_judged_by_its_steps_where_they_were_asked_for(folder: Path) -> None:
    matrix = MATRIX.format(scripts="one_long_epoch.py").replace("experiment:", 'env: ["", RUNNER_STEPS=1]\nexperiment:')
    path = folder / "steps.yaml"
    path.write_text(matrix.replace("env:", "  env:"))
    options = Options(engine="docker", base=os.environ.get("RUNNER_BASE", "offline"))
    without, with_steps = (outcome.trials[-1] for outcome in run(Matrix.load(path), options).outcomes)
    assert without[1].label == "too-short"
    assert (with_steps[1].label, with_steps[1].flags) == ("settled", ("judged-by-steps",))
    assert [len(steps) for steps in with_steps[0].record.steps.values()] == [512]


def test_the_scripts_reach_eighteen_labels_in_containers(trials: Trials, trials_with_target: Trials) -> None:
    every = [*trials.values(), *trials_with_target.values()]
    assert len({verdict.label for _, verdict in every}) == 18
    assert {record.engine for record, _ in every} == {"docker"}


@pytest.mark.parametrize(
    ("script", "stage", "phase", "exception", "line"),
    [
        ("imports_what_is_not_there.py", "import", "", "ModuleNotFoundError", 1),
        ("compiles_wrongly.py", "build-model", "compile", "ValueError", 4),
        ("fits_wrong_shapes.py", "training", "fit-1", "ValueError", 4),
        ("downloads.py", "import", "", "Exception", 3),
        ("fails_after_training.py", "after-training", "", "FileNotFoundError", 5),
    ],
)
def test_an_exception_is_kept_with_its_stage_and_the_script_s_own_line(
    script: str, stage: str, phase: str, exception: str, line: int, trials: Trials
) -> None:
    record, _ = trials[script]
    error = record.exception
    assert error is not None
    assert (error.stage, error.phase, error.type, error.file, error.line) == (stage, phase, exception, script, line)
    assert (record.stage, record.exit_code, record.signal, record.orderly) == (stage, 1, None, True)
    assert error.source == (SCRIPTS / script).read_text().splitlines()[line - 1].strip()


def test_exits_and_signals_are_told_apart(trials: Trials) -> None:
    seen = {
        script: (record.exit_code, record.signal, record.orderly, verdict.reason)
        for script, (record, verdict) in trials.items()
        if LABELS[script] in {"crashed-import", "crashed-at-start"} and record.exception is None
    }
    assert seen == {
        "exits_with_4.py": (4, None, True, "ended with exit code 4 in stage import"),
        "leaves_with_4.py": (4, None, False, "ended with exit code 4, with no shutdown (os._exit) in stage import"),
        "terminates_itself.py": (None, signal.SIGTERM, False, "ended by SIGTERM in stage import"),
        "aborts_on_import.py": (None, signal.SIGABRT, False, "ended by SIGABRT in stage import"),
    }


def test_a_segfault_while_training_is_told_by_its_signal_and_the_epochs_before_it_are_kept(trials: Trials) -> None:
    record, verdict = trials["segfaults_while_training.py"]
    assert (record.stage, record.phase, record.signal) == ("training", "fit-1", signal.SIGSEGV)
    assert (record.exit_code, record.orderly, record.exception) == (None, False, None)
    assert "ended by SIGSEGV in stage training" in verdict.reason
    assert len(record.epochs) >= 1


def test_what_the_engine_saw_decides_and_what_the_script_reported_is_kept(trials: Trials) -> None:
    eaten, verdict = trials["eats_memory.py"]
    assert (eaten.oom_killed, eaten.timed_out, eaten.signal) == (True, False, signal.SIGKILL)
    assert "more memory than it may have" in verdict.reason
    asleep, verdict = trials["sleeps.py"]
    assert (asleep.timed_out, asleep.oom_killed, len(asleep.epochs)) == (True, False, 20)
    assert verdict.shape == "settled"
    assert (asleep.stage, verdict.reason) == ("training", "the time was up in stage training")


def test_a_record_that_was_destroyed_is_said_to_be_so_and_nothing_is_guessed(trials: Trials) -> None:
    record, verdict = trials["destroys_its_record.py"]
    assert (record.probe_started, record.exit_code, record.orderly) == (False, 0, None)
    assert "never said that it started" in verdict.reason


def test_series_are_explained_by_their_rule_and_flags(trials: Trials) -> None:
    _, broken = trials["nan_from_epoch_3.py"]
    assert broken.first_non_finite_epoch == 3
    _, after = trials["fails_after_training.py"]
    assert after.shape == "settled"
    assert re.match(r"settled at loss [\d.e-]+, then FileNotFoundError: ", after.reason)
    left, verdict = trials["leaves_at_once.py"]
    assert (left.exit_code, left.orderly, left.phases[0].finished, len(left.epochs)) == (0, False, False, 6)
    assert "left-without-shutdown" in verdict.flags
