"""The verdict of one trial: the conformance cases of process endings, and records."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from outcomes_records import BREAKS, LEARNS, crash, epochs, record

from runner.matrix.criterion import parse
from runner.matrix.model import Judging
from runner.outcomes.judge import JudgingTerms
from runner.outcomes.judging import TrialEnding, label_trial, verdict_of
from runner.outcomes.verdict import Basis, Label, Reference, Standing, standing
from runner.trials.record import Phase

CASES = json.loads(Path(__file__).with_name("verdict_cases.json").read_text())["process"]


def labelled(*, series=(), judge=None, probe_started=True, **ending):
    """As a conformance case has it: all of the ending beside the series and what it is judged by."""
    terms = JudgingTerms(**judge or {})
    return label_trial(TrialEnding(**ending), series, terms, probe_started=probe_started)


@pytest.mark.parametrize("case", CASES, ids=lambda case: case["name"])
def test_a_conformance_ending_gets_its_label(case):
    verdict = labelled(**case["run"])
    assert verdict.label == case["label"], verdict.reason


def test_every_label_counts_in_one_way_as_the_specification_lists_them():
    by_standing = {kind: {label.value for label in Label if standing(label) is kind} for kind in Standing}
    assert by_standing == {
        Standing.SUCCESS: {"converged", "settled"},
        Standing.FAILURE: {"improving", "unconverged", "plateaued", "missed", "diverged", "nan", "oscillating"},
        Standing.BREAK: {
            *("crashed-import", "crashed-at-start", "crashed-build-model", "crashed-training"),
            *("crashed-after-training", "timeout", "out-of-memory"),
        },
        Standing.NOT_COUNTED: {"too-short", "too-close", "no-metrics", "unknown"},
        Standing.BLOCKED: {"unresolvable", "image-build-failed", "install-failed", "download-failed"},
    }


def test_a_trial_whose_probe_never_started_is_unknown_whatever_its_exit():
    assert labelled(stage="import", exit=0, probe_started=False).label is Label.UNKNOWN
    verdict = labelled(stage="import", exit=1, oom_killed=True, probe_started=False)
    assert verdict.reason == (
        "the probe never said that it started: nothing is known of the script (ended with exit code 1)"
    )


@pytest.mark.parametrize(
    ("ending", "label", "reason"),
    [
        ({"stage": "import", "signal": 4}, Label.CRASHED_IMPORT, "ended by SIGILL in stage import"),
        ({"stage": "training", "signal": "SIGSEGV"}, Label.CRASHED_TRAINING, "ended by SIGSEGV in stage training"),
        ({"stage": "training", "signal": 77}, Label.CRASHED_TRAINING, "ended by signal 77 in stage training"),
        ({"stage": "build-model", "exit": 3}, Label.CRASHED_BUILD_MODEL, "ended with exit code 3 in stage build-model"),
        ({"stage": "training", "exit": 0, "timed_out": True}, Label.TIMEOUT, "the time was up in stage training"),
        (
            {"stage": "training", "exit": 1, "disk_full": True, "exception": "OSError: [Errno 27] File too large"},
            Label.CRASHED_TRAINING,
            "ran out of disk space (OSError: [Errno 27] File too large) in stage training",
        ),
        (
            {"stage": "training", "signal": 6, "text": "terminate called after throwing 'std::bad_alloc'"},
            Label.OUT_OF_MEMORY,
            "out of memory in stage training (bad_alloc): ended by SIGABRT",
        ),
        (
            {"stage": "after-training", "exit": 1, "exception": "ValueError: no"},
            Label.CRASHED_AFTER_TRAINING,
            "loss was never reported, then ValueError: no",
        ),
        ({"stage": "import", "exit": 2}, Label.CRASHED_AT_START, "ended with exit code 2 in stage import"),
    ],
)
def test_an_ending_is_named_with_what_was_seen(ending, label, reason):
    verdict = labelled(**ending)
    assert (verdict.label, verdict.reason) == (label, reason)


def test_a_timeout_keeps_the_shape_so_far():
    verdict = labelled(stage="training", timed_out=True, series=LEARNS)
    assert (verdict.label, verdict.basis, verdict.shape, verdict.final) == (
        *(Label.TIMEOUT, Basis.PROCESS, Label.SETTLED),
        LEARNS[-1],
    )


def test_a_crash_in_training_says_that_the_target_was_met_already():
    verdict = labelled(
        stage="training", exit=1, exception="ValueError: x", series=LEARNS, judge={"target": "loss < 0.2"}
    )
    assert (verdict.label, verdict.shape) == (Label.CRASHED_TRAINING, Label.CONVERGED)
    assert verdict.reason == ("ValueError: x in stage training; the target was met already: loss < 0.2: ended at 0.139")


@pytest.mark.parametrize(
    ("series", "criterion", "shape", "reason"),
    [
        (LEARNS, (), Label.SETTLED, "settled at loss 0.139, then KeyError: 'val_acc'"),
        (LEARNS, ("loss < 0.2",), Label.CONVERGED, "converged at loss 0.139, then KeyError: 'val_acc'"),
        ((0.5,), ("loss < 0.2",), Label.MISSED, "missed at loss 0.5, then KeyError: 'val_acc'"),
        (BREAKS, (), Label.NAN, "loss ended at NaN or infinity, first in epoch 3, then KeyError: 'val_acc'"),
        ((), (), None, "loss was never reported, then KeyError: 'val_acc'"),
    ],
)
def test_a_crash_after_training_begins_with_what_the_training_had_come_to(series, criterion, shape, reason):
    crashed = record(*series, **crash("'val_acc'", kind="KeyError", stage="after-training"))
    verdict = verdict_of(crashed, tuple(map(parse, criterion)))
    assert (verdict.label, verdict.shape, verdict.reason) == (Label.CRASHED_AFTER_TRAINING, shape, reason)


def test_where_the_exit_code_does_not_matter_a_crash_after_training_is_a_flag():
    anyhow = Judging(exit_code="any")
    verdict = verdict_of(record(*LEARNS, **crash(stage="after-training")), judging=anyhow)
    assert (verdict.label, verdict.flags) == (Label.SETTLED, ("crashed-after-training",))
    assert verdict.reason.endswith("; then: ValueError: bad shape")
    assert verdict_of(record(*LEARNS, **crash()), judging=anyhow).label is Label.CRASHED_TRAINING


@pytest.mark.parametrize(
    ("phases", "changes", "label"),
    [
        ((), {}, Label.SETTLED),
        ((Phase(name="loop-1"),), {}, Label.SETTLED),
        ((Phase(name="fit-1", finished=True), Phase(name="batches-1")), {}, Label.SETTLED),
        ((Phase(name="fit-1"),), {}, Label.CRASHED_TRAINING),
        ((), {"orderly": False}, Label.CRASHED_TRAINING),
        ((), crash(), Label.CRASHED_TRAINING),
        ((), {"exit_code": None, "timed_out": True}, Label.TIMEOUT),
    ],
)
def test_where_the_exit_code_does_not_matter_sys_exit_ends_a_training_that_is_no_fit(phases, changes, label):
    ended = record(*LEARNS, **{"stage": "training", "exit_code": 3, "orderly": True, "phases": phases, **changes})
    assert verdict_of(ended, judging=Judging(exit_code="any")).label is label
    assert verdict_of(ended).label is not Label.SETTLED


def test_a_script_that_was_stopped_did_not_stop_itself():
    falling = (1.0, 0.8, 0.6, 0.4, 0.2)
    stopped = labelled(stage="training", exit=1, series=falling, judge={"planned": 50})
    assert stopped.shape is Label.IMPROVING
    few = {"target": "loss < 0.1"}
    assert labelled(stage="training", exit=1, series=falling[:3], judge=few).shape is Label.IMPROVING
    assert labelled(stage="after-training", exit=0, series=falling, judge={"planned": 50}).label is Label.SETTLED
    assert labelled(stage="after-training", exit=1, series=falling, judge={"planned": 50}).shape is Label.SETTLED


AT_IMPORT = """Traceback (most recent call last):
  File "/work/script.py", line 3, in <module>
    import keras
  File "/x/lib/python3.7/site-packages/keras/__init__.py", line 3, in <module>
    from . import activations
  File "/x/lib/python3.7/site-packages/keras/activations.py", line 9, in <module>
    float_ = np.object
AttributeError: module 'numpy' has no attribute 'object'
"""
IN_A_CALL = """Traceback (most recent call last):
  File "/work/script.py", line 9, in <module>
    load('x.csv')
  File "/x/lib/python3.7/site-packages/keras/io.py", line 9, in load
    return open(path)
AttributeError: module 'numpy' has no attribute 'object'
"""
EXTENSION = """Traceback (most recent call last):
  File "/work/script.py", line 3, in <module>
    import cv2
RuntimeError: module compiled against another API
"""
SYNTAX = """Traceback (most recent call last):
  File "/work/script.py", line 3, in <module>
    import {0}
  File "{1}/{0}.py", line 3
    print 1
          ^
SyntaxError: invalid syntax
"""

LAUNCHED = """Traceback (most recent call last):
  File "<frozen runpy>", line 88, in _run_code
  File "/env/lib/python3.11/site-packages/torch/distributed/run.py", line 1032, in <module>
    main()
  File "/env/lib/python3.11/site-packages/torch/distributed/run.py", line 1028, in main
    run(args)
ChildFailedError: train.py FAILED
"""


@pytest.mark.parametrize(
    ("traceback", "label"),
    [
        (AT_IMPORT, Label.CRASHED_IMPORT),
        (LAUNCHED, Label.CRASHED_AT_START),
        (IN_A_CALL, Label.CRASHED_AT_START),
        (f"{AT_IMPORT}\nDuring handling …\n\n{IN_A_CALL}", Label.CRASHED_AT_START),
        (EXTENSION, Label.CRASHED_IMPORT),
        (SYNTAX.format("six", "/x/lib/python3.7/site-packages"), Label.CRASHED_IMPORT),
        (SYNTAX.format("mine", "/work"), Label.CRASHED_AT_START),
    ],
)
def test_an_exception_inside_the_import_of_a_distribution_is_told_from_one_of_the_script(traceback, label):
    raised = crash("…", kind="AttributeError", stage="import", traceback=traceback)
    assert verdict_of(record(**raised)).label is label


def test_a_chain_of_exceptions_that_began_with_a_download_is_a_failed_download():
    chain = "urllib.error.URLError: <urlopen error timed out>\n\nTraceback …\nAttributeError: 'NoneType'"
    broken = record(**crash("'NoneType'", kind="AttributeError", stage="import", traceback=chain))
    assert verdict_of(broken).label is Label.DOWNLOAD_FAILED


def test_a_source_line_that_names_an_exception_is_not_that_exception():
    chain = 'Traceback …\n  File "script.py", line 3\n    except ConnectionError:\nValueError: bad'
    assert verdict_of(record(**crash("bad", stage="import", traceback=chain))).label is Label.CRASHED_AT_START


def test_a_cell_that_has_no_trial_keeps_the_builders_or_resolvers_words():
    blocked = {"stage": "install", "exit_code": 1, "message": "no version of keras", "probe_started": False}
    unresolvable = verdict_of(record(unresolvable=True, **blocked))
    assert (unresolvable.label, unresolvable.reason) == (Label.UNRESOLVABLE, "no version of keras")
    assert verdict_of(record(**blocked)).label is Label.INSTALL_FAILED


def test_the_judged_metric_is_found_under_its_other_name():
    logs = ({"val_acc": value, "loss": 1.0} for value in (0.1, 0.6, 0.9, 0.9, 0.9))
    made = record(epochs=epochs("fit-1", *logs))
    assert verdict_of(made, (parse("val_accuracy >= 0.85"),)).label is Label.CONVERGED


def test_a_missing_metric_is_answered_with_the_names_that_were_seen():
    made = record(epochs=epochs("fit-1", {"loss": 1.0, "acc": 0.5, "lr": 0.1}))
    verdict = verdict_of(made, (parse("val_loss < 1"),))
    assert verdict.reason.startswith("val_loss was never reported; ")
    assert verdict.reason.endswith("; what was reported: acc, loss (in fit-1)")
    assert verdict_of(record(epochs=(), phases=())).reason.endswith("; what was reported: nothing")


def test_a_nan_in_another_metric_is_a_flag_and_no_more():
    logs = ({"loss": value, "val_loss": float("nan")} for value in LEARNS)
    verdict = verdict_of(record(epochs=epochs("fit-1", *logs)))
    assert (verdict.label, verdict.flags) == (Label.SETTLED, ("nonfinite:val_loss",))


def test_all_comparisons_of_a_criterion_must_hold():
    logs = tuple({"loss": value, "acc": 1 - value / 3} for value in LEARNS)
    made = record(epochs=epochs("fit-1", *logs))
    assert verdict_of(made, (parse("loss < 0.2"), parse("accuracy > 0.9"))).label is Label.CONVERGED
    missed = verdict_of(made, (parse("loss < 0.2"), parse("accuracy > 0.99")))
    assert (missed.label, missed.basis) == (Label.PLATEAUED, Basis.TARGET_MISSED)
    assert missed.reason == "loss flattened at 0.139; not met: accuracy > 0.99 (ended at 0.9537)"


def test_every_name_of_the_criterion_that_was_never_reported_is_told():
    criterion = (parse("loss < 0.2"), parse("test_mae < 1"), parse("val_loss < 1"))
    verdict = verdict_of(record(*LEARNS), criterion)
    assert (verdict.called, verdict.basis) == ("no-metrics (test_mae)", Basis.NO_VALUE)
    assert verdict.reason.startswith("test_mae and val_loss were never reported; ")
    assert verdict.reason.endswith("; what was reported: loss (in fit-1)")
    assert verdict_of(record(*BREAKS), criterion).label is Label.NAN


def test_a_criterion_that_few_values_do_not_meet_is_missed():
    verdict = verdict_of(record(epochs=epochs("fit-1", {"test_accuracy": 0.943})), (parse("test_accuracy > 0.96"),))
    assert (verdict.label, verdict.basis) == (Label.MISSED, Basis.TARGET_MISSED)
    assert verdict.reason == "test_accuracy > 0.96: ended at 0.943 (1 value)"
    late = verdict_of(record(1.0, 0.1), (parse("loss < 0.2 within 1 epoch"),))
    assert late.reason == "loss < 0.2 within 1 epoch: first met in epoch 2, too late (2 values)"


def test_the_last_phase_with_the_metric_is_judged():
    made = record(
        phases=(Phase(name="fit-1"), Phase(name="fit-2"), Phase(name="fit-3")),
        epochs=(
            *epochs("fit-1", *({"loss": value} for value in BREAKS)),
            *epochs("fit-2", *({"loss": value} for value in LEARNS)),
            *epochs("fit-3", {"accuracy": 0.1}),
        ),
    )
    assert verdict_of(made).label is Label.SETTLED


def test_fits_of_one_epoch_that_go_on_with_the_same_weights_are_one_training():
    names = [f"fit-{number}" for number in range(1, len(LEARNS) + 1)]
    phases = tuple(
        Phase(name=name, planned_epochs=1, initial_weights=f"w{i}", final_weights=f"w{i + 1}")
        for i, name in enumerate(names)
    )
    pieces = tuple(epochs(name, {"loss": loss})[0] for name, loss in zip(names, LEARNS, strict=True))
    verdict = verdict_of(record(phases=phases, epochs=pieces))
    assert (verdict.label, verdict.n, verdict.flags) == (Label.SETTLED, 6, ("joined-6-phases",))
    fresh = tuple(phase.model_copy(update={"initial_weights": f"new {phase.name}"}) for phase in phases)
    assert verdict_of(record(phases=fresh, epochs=pieces)).label is Label.TOO_SHORT


def test_the_steps_of_a_single_epoch_are_judged_for_the_loss_alone():
    steps = {"fit-1": tuple(2.3 - 0.003 * step for step in range(500))}
    assert verdict_of(record(1.6, steps=steps)).label is Label.IMPROVING
    made = record(steps=steps, epochs=epochs("fit-1", {"loss": 1.6, "mae": 1.0}))
    assert verdict_of(made, (parse("mae < 0.1"),)).label is Label.MISSED


def test_without_a_criterion_the_metric_its_direction_the_skipped_epochs_and_the_best_value_can_be_told():
    rises = (0.1, 0.6, 0.9, 0.9, 0.9, 0.9)
    made = record(epochs=epochs("fit-1", *({"loss": 1.0, "score": value} for value in rises)))
    assert verdict_of(made).basis is Basis.NEVER_LEARNED
    assert verdict_of(made, judging=Judging(metric="score")).label is Label.DIVERGED
    upwards = verdict_of(made, judging=Judging(metric="score", mode="max"))
    assert (upwards.label, upwards.metric, upwards.mode, upwards.final) == (Label.SETTLED, "score", "max", 0.9)
    skipping = verdict_of(record(5e4, *LEARNS), judging=Judging(skip=1))
    assert (skipping.y0, skipping.flags) == (LEARNS[0], ())
    assert verdict_of(record(*LEARNS, float("nan")), judging=Judging(at="best")).label is Label.SETTLED


def test_every_comparison_of_a_criterion_is_judged_at_its_best_where_that_is_asked_for():
    logs = ({"loss": loss, "acc": acc} for loss, acc in zip(LEARNS, (0.1, 0.9, 0.95, 0.5, 0.4, 0.4), strict=True))
    made = record(epochs=epochs("fit-1", *logs))
    criterion = (parse("loss < 0.2"), parse("accuracy > 0.9"))
    assert verdict_of(made, criterion).label is Label.PLATEAUED
    assert verdict_of(made, criterion, judging=Judging(at="best")).label is Label.CONVERGED


def test_a_settled_record_is_held_against_a_reference():
    made = record(*LEARNS)
    assert verdict_of(made, reference=Reference(final=0.139, scale=2.3)).basis is Basis.REFERENCE
    above = verdict_of(made, reference=Reference(final=0.001, scale=0.1))
    assert (above.label, above.basis) == (Label.PLATEAUED, Basis.ABOVE_BASELINE)
    assert verdict_of(made, (parse("loss < 0.2"),), reference=Reference(final=0, scale=0.1)).basis is Basis.TARGET


def test_an_exit_without_a_shutdown_is_told_apart_from_one_that_was_asked_for_in_order():
    left = verdict_of(record(stage="import", exit_code=4, orderly=False, epochs=()))
    assert left.reason == "ended with exit code 4, with no shutdown (os._exit) in stage import"
    asked = verdict_of(record(stage="import", exit_code=4, orderly=True, epochs=()))
    assert asked.reason == "ended with exit code 4 in stage import"
    assert verdict_of(record(*LEARNS, orderly=False)).flags == ("left-without-shutdown",)
    assert verdict_of(record(*LEARNS, orderly=True)).flags == verdict_of(record(*LEARNS)).flags == ()
