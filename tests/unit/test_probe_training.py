"""What the probe tells of training, with a `keras` that has nothing but the methods."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from probe_world import EVERY_PYTHON, OLDEST_AND_NEWEST, run, trained

if TYPE_CHECKING:
    from pathlib import Path


@EVERY_PYTHON
def test_each_fit_is_a_phase_with_its_epochs_and_stages_follow_the_script(python: Path, tmp_path: Path) -> None:
    script = """
import keras
class Mine(object):
    def on_epoch_end(self, epoch, logs):
        logs['mine'] = epoch
model = keras.models.Model()
model.compile()
mine = [Mine()]
model.fit([0.5, float('nan')], callbacks=mine)
model.predict()
model.fit_generator([float('-inf')])
print(mine == mine[:1], len(mine))
"""
    told = trained(python, tmp_path, script, out="True 1\n", env={"RUNNER_STEPS": "1"})
    assert [(stage["stage"], stage["phase"]) for stage in told.of("stage")] == [
        ("build-model", ""),
        ("build-model", "compile"),
        ("build-model", ""),
        ("training", "fit-1"),
        ("after-training", ""),
        ("after-training", "predict"),
        ("after-training", ""),
        ("training", "fit-2"),
        ("after-training", ""),
    ]
    assert [(phase["name"], phase["planned_epochs"], phase["steps"]) for phase in told.of("phase")] == [
        ("fit-1", 2, 3),
        ("fit-2", 1, 3),
    ]
    assert [(epoch["phase"], epoch["epoch"], epoch["logs"]) for epoch in told.of("epoch")] == [
        ("fit-1", 1, {"loss": 0.5, "mine": 0.0}),
        ("fit-1", 2, {"loss": "nan", "mine": 1.0}),
        ("fit-2", 1, {"loss": "-inf"}),
    ]
    assert told.of("steps")[0] == {"phase": "fit-1", "first": 1, "losses": [0.5, 1.5, 2.5]}
    assert [end["error"] for end in told.of("phase-end")] == [False, False]


@EVERY_PYTHON
def test_an_exception_is_told_with_the_script_s_own_line_and_where_the_script_was(python: Path, tmp_path: Path) -> None:
    script = "import keras, mine\nmine.train(keras.models.Model(), [0.5, ValueError('no more data')])\n"
    (tmp_path / "work").mkdir()
    (tmp_path / "work" / "mine.py").write_text("def train(model, losses):\n\n    return model.fit(losses)\n")
    told = run(python, tmp_path, script)
    error = told.only("exception")
    assert (error["type"], error["message"]) == ("TypeError", error["message"])
    assert (error["file"], error["line"], error["source"]) == ("mine.py", 3, "return model.fit(losses)")
    assert (error["stage"], error["phase"]) == ("training", "fit-1")
    assert told.only("phase-end")["error"] is True
    assert len(told.of("epoch")) == 1
    if python.parent.parent.name[:4] != "3.6.":
        assert "_runner_probe" not in told.err + error["traceback"]
    assert told.err.rstrip().endswith(error["message"])


@OLDEST_AND_NEWEST
def test_a_caught_exception_leaves_no_trace_in_the_place_of_a_later_one(python: Path, tmp_path: Path) -> None:
    script = """
import keras
model = keras.models.Model()
try:
    model.compile('nonsense')
except ValueError:
    pass
model.fit([1.0])
class Wrong(Exception):
    pass
raise Wrong()
"""
    told = run(python, tmp_path, script)
    error = told.only("exception")
    assert (error["type"], error["stage"], error["phase"]) == ("__main__.Wrong", "after-training", "")
    compiled = run(python, tmp_path, "import keras\nkeras.models.Model().compile('nonsense')")
    error = compiled.only("exception")
    assert (error["stage"], error["phase"], error["line"]) == ("build-model", "compile", 2)


@OLDEST_AND_NEWEST
def test_loops_of_the_script_s_own_are_told_in_blocks_of_equally_many_steps(python: Path, tmp_path: Path) -> None:
    script = """
import keras
class Array(bytes):
    dtype, shape, tobytes = 'float32', (), bytes
class Variable(object):
    shape = ()
    def numpy(self):
        return Array(b'1')
generator, critic = keras.models.Model(), keras.models.Model()
optimizer, variable = keras.optimizers.Optimizer(), Variable()
for step in range(1000):
    assert critic.train_on_batch(float(step)) == [float(step), 0.5]
    generator.train_on_batch(1.0)
for step in range(5):
    assert optimizer.apply_gradients(zip([step], [variable])) == [step]
for step in range(2):
    assert optimizer.apply([step], trainable_variables=[variable]) == [step]
"""
    told = trained(python, tmp_path, script)
    assert [phase["name"] for phase in told.of("phase")] == ["batches-1", "batches-2", "loop-1"]
    last = {loop["phase"]: loop for loop in told.of("loop")}
    critic = last["batches-1"]
    assert (critic["steps"], critic["block"], len(critic["logs"]["loss"])) == (1000, 16, 62)
    assert critic["logs"]["loss"][:2] == [7.5, 23.5]
    assert critic["logs"]["acc"] == pytest.approx([0.5] * 62)
    assert (last["loop-1"]["steps"], last["loop-1"]["logs"]) == (7, {})
    assert len(told.of("stage")) < 110
    assert told.of("stage")[-1]["stage"] == "training"


@EVERY_PYTHON
def test_each_result_that_a_script_asks_for_is_told_with_its_model_and_what_trained_before(
    python: Path, tmp_path: Path
) -> None:
    script = """
import keras, sklearn.base
from keras.wrappers.scikit_learn import KerasClassifier
class Asks(object):
    def on_epoch_end(self, epoch, logs):
        first.evaluate(8.0)
class Forest(sklearn.base.RegressorMixin):
    pass
first, second = keras.models.Model(), keras.models.Model()
assert first.evaluate(1.5) == [1.5, 0.25]
first.fit([0.5, 0.4], callbacks=[Asks()])
first.evaluate_generator(float('nan'))
second.evaluate({'loss': 3.0, 'top': 4.0})
second.train_on_batch(1.0)
second.evaluate(2.0, return_dict=True)
keras.models.Model().fit([0.5], validation=9.0)
try:
    first.evaluate()
except TypeError:
    pass
KerasClassifier().score(second)
print(Forest().score(3, 1))
"""
    told = trained(python, tmp_path, script, out="2\n")
    found = [tuple(one[name] for name in ("kind", "round", "model_number", "phase")) for one in told.of("evaluation")]
    assert found == [
        ("evaluate", 0, 1, ""),
        ("evaluate", 1, 1, "fit-1"),
        ("evaluate", 2, 1, "fit-1"),
        ("evaluate", 2, 1, "fit-1"),
        ("evaluate", 2, 2, "fit-1"),
        ("evaluate", 3, 2, "batches-1"),
        ("evaluate", 4, 2, "fit-2"),
        ("score", 4, 4, "fit-2"),
        ("score", 4, 5, "fit-2"),
    ]
    logs = [one["logs"] for one in told.of("evaluation")]
    assert logs[0] == {"loss": 1.5, "acc": 0.25}
    assert logs[3:6] == [{"loss": "nan", "acc": 0.25}, {"loss": 3.0, "top": 4.0}, {"loss": 2.0, "mae": 2.0}]
    assert logs[7:] == [{"score": 0.25}, {"score": 2.0}]
    assert [phase["model_number"] for phase in told.of("phase")] == [1, 2, 3]


@OLDEST_AND_NEWEST
def test_a_failure_inside_of_the_probe_is_told_and_the_script_goes_on(python: Path, tmp_path: Path) -> None:
    script = """
import keras
class Odd(keras.models.Model):
    @property
    def name(self):
        raise RuntimeError('no name today')
print(Odd().fit([0.25]).history)
"""
    told = run(python, tmp_path, script)
    assert (told.out, told.err, told.exit_code) == ("{'loss': [0.25]}\n", "", 0)
    assert "no name today" in told.of("probe-error")[0]["message"]
    assert [epoch["logs"] for epoch in told.of("epoch")] == [{"loss": 0.25}]
    assert told.only("exit") == {"kind": "normal"}
