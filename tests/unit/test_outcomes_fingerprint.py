"""Failures with the same cause have the same fingerprint, others do not."""

from __future__ import annotations

import pytest
from outcomes_records import LEARNS, crash, record, trial

from runner.matrix.cell_id import CellId
from runner.matrix.model import Seeds
from runner.outcomes.fingerprint import fingerprint, message_told, normalised
from runner.outcomes.judged_cell import judge_cell
from runner.outcomes.observation import Observation, shown

TRACEBACK = """Traceback (most recent call last):
  File "script.py", line 12, in <module>
    model.fit(x, y)
  File "{root}/lib/python3.7/site-packages/keras/engine/training.py", line {line}, in fit
    f()
  File "local_loss.py", line 3, in loss
    raise ValueError("bad shape")
ValueError: bad shape
"""


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("<Tensor object at 0x7f3b2c>", "<Tensor object at 0x1a>"),
        ("can't read /tmp/a1/keras/x.h5", "can't read /home/user/.cache/y.h5"),
        ('got Tensor("rnn_1/while/Add_3:0", shape=(1, 1))', 'got Tensor("dense/BiasAdd:0", shape=(1, 1))'),
        ("Input 0 of layer dense_1 is incompatible", "Input 0 of layer dense_27 is incompatible"),
        ("took 1.5e-3 s in\n  2 steps", "took 12 s in 3 steps"),
    ],
)
def test_what_differs_from_run_to_run_is_left_out_of_a_message(one, other):
    assert normalised(one) == normalised(other)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("expected float32", "expected float64"),
        ("unexpected keyword argument 'lr'", "unexpected keyword argument 'decay'"),
        ("No module named 'keras.layers.a'", "No module named 'keras.layers.b'"),
    ],
)
def test_what_names_the_cause_stays_in_a_message(one, other):
    assert normalised(one) != normalised(other)


@pytest.mark.parametrize(
    ("messages", "text"),
    [
        (["array is 3-dimensional,\nnot 2"], "array is 3-dimensional, not 2"),
        (["took 2 s of 30 s at 0x1a", "took 4 s of 30 s at 0x2b"], "took # s of 30 s at <address>"),
        (["No such file: '/data/a.csv'"] * 2, "No such file: '/data/a.csv'"),
        (["no {a,b} of 3", "no {b, a} of 3"], "no {a, b} of #"),
    ],
)
def test_what_is_shown_of_a_failure_leaves_out_only_what_its_trials_do_not_share(messages, text):
    assert shown([Observation.of(record(**crash(message))) for message in messages]).message == text


def test_the_frame_is_the_innermost_one_of_a_library_without_its_place_on_this_machine():
    first = record(**crash(traceback=TRACEBACK.format(root="/usr/local", line=1039)))
    second = record(**crash(traceback=TRACEBACK.format(root="/root/.cache/runner/ab12", line=1044)))
    assert fingerprint(first).frame == "keras/engine/training.py in fit"
    assert fingerprint(first) == fingerprint(second)
    assert str(fingerprint(first)) == "ValueError: bad shape (training, keras/engine/training.py in fit)"


@pytest.mark.parametrize(
    ("file", "frame"),
    [
        ("/usr/local/lib/python3.10/os.py", "os.py in __getitem__"),
        ("<frozen os>", "os.py in __getitem__"),
        ("<frozen importlib._bootstrap>", "<frozen importlib._bootstrap> in __getitem__"),
    ],
)
def test_a_module_that_newer_cpythons_have_frozen_is_the_same_place(file, frame):
    traceback = f'  File "train.py", line 3, in <module>\n  File "{file}", line 679, in __getitem__\n'
    assert fingerprint(record(**crash(traceback=traceback))).frame == frame


def test_a_failure_that_is_all_the_scripts_has_no_frame():
    assert fingerprint(record(**crash(traceback='  File "script.py", line 1, in <module>\n'))).frame == ""


@pytest.mark.parametrize(
    ("changes", "text"),
    [
        ({"exit_code": None, "signal": 11, "stage": "training"}, "SIGSEGV (training)"),
        ({"exit_code": 3, "stage": "import"}, "exit code 3 (import)"),
        ({"exit_code": None, "signal": 9, "oom_killed": True, "stage": "training"}, "out of memory (training)"),
        ({"exit_code": None, "signal": 15, "timed_out": True, "stage": "training"}, "timeout (training)"),
        ({"exit_code": 1, "stage": "install", "message": "no 3.6"}, "exit code 1: no # (install)"),
    ],
)
def test_an_ending_without_an_exception_has_a_fingerprint_too(changes, text):
    assert str(fingerprint(record(**changes))) == text


def test_a_trial_that_ended_well_has_no_fingerprint():
    assert fingerprint(record(*LEARNS)) is None


def test_an_outcome_has_the_fingerprint_that_most_of_its_failures_share():
    rare = trial(seed=0, **crash("rare"))
    common = [trial(seed=seed, **crash(f"common {seed}")) for seed in (1, 2, 3)]
    outcome = judge_cell(CellId.of({"keras": "2.2.4"}), [rare, *common], Seeds())
    assert outcome.fingerprint.message == "common #"


@pytest.mark.parametrize(
    ("message", "told"),
    [
        ("No such file: '/home/me/p/.runner/jobs/847bde801164b288/work/a.csv'", "No such file: 'a.csv'"),
        ("No such file: '/work/a.csv'", "No such file: '/work/a.csv'"),
        (
            (
                'in user code:\n\n    File "/x/a.py", line 7, in train_step  *\n        y = model(x)\n'
                '    File "/x/b.py", line 9, in call  **\n        raise e\n\n    AttributeError: no Variable\n'
            ),
            "AttributeError: no Variable\n",
        ),
        ("in user code: nothing of the kind", "in user code: nothing of the kind"),
    ],
)
def test_a_message_is_told_without_the_trial_s_folder_and_the_frames_of_traced_code(message, told):
    assert message_told(message) == told
