"""What the probe tells of functions of JAX that compute gradients, with a `jax` that has nothing but the makers."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

import pytest
from probe_world import EVERY_PYTHON, OLDEST_AND_NEWEST, raised_later, run, trained

if TYPE_CHECKING:
    from pathlib import Path

HEAD = """
import functools
import jax, optax
from jax.arrays import Array, Series, Weight
def loss(params, scale):
    return Array(params['w'].value * scale)
"""
STEP = """
def step(state, scale):
    value, gradient = jax.value_and_grad(loss)(state, scale)
    return {'w': state['w'] + -1}, {'mse': value, 'other': Array(2.0)}
"""


def digest_of(value: float) -> str:
    return hashlib.sha256(b"float32[2, 3]" + repr((value, (2, 3))).encode()).hexdigest()


@EVERY_PYTHON
def test_calls_of_a_compiled_function_that_differentiates_are_steps_and_another_beginning_is_another_loop(
    python: Path, tmp_path: Path
) -> None:
    script = (
        HEAD
        + STEP
        + """
optax.sgd(0.5)
step = jax.jit(step, donate_argnums=(0,))
for fold in (10.0, 20.0):
    state = {'w': Weight(fold)}
    for number in range(4):
        state, logs = step(state, 2.0 if number < 3 else float('nan'))
print(step.__name__, step.traced, isinstance(step, type(loss)))
"""
    )
    told = trained(python, tmp_path, script, out="step True True\n")
    begins, ends = told.of("phase"), told.of("phase-end")
    assert [one["name"] for one in begins] == [one["name"] for one in ends] == ["loop-1", "loop-2"]
    assert [one["initial_weights"] for one in begins] == [digest_of(10.0), digest_of(20.0)]
    assert [one["final_weights"] for one in ends] == [digest_of(6.0), digest_of(16.0)]
    assert begins[0]["architecture"] == begins[1]["architecture"] is not None
    last = {one["phase"]: one["logs"] for one in told.of("loop")}
    before_second = told.of("loop", "phase")[: told.of("loop", "phase").index(begins[1])]
    assert before_second[-1]["steps"] == 4  # or the two would seem to go on at the same time, as a GAN's
    assert last["loop-1"] == {"mse": [20.0, 18.0, 16.0, "nan"], "other": [2.0] * 4}
    assert last["loop-2"] == {"mse": [40.0, 38.0, 36.0, "nan"], "other": [2.0] * 4}
    assert told.only("config")["config"] == '{"class_name": "sgd", "config": {"learning_rate": 0.5, "momentum": null}}'


@OLDEST_AND_NEWEST
def test_outside_of_compiled_functions_the_gradient_is_the_step_and_what_is_applied_its_weights(
    python: Path, tmp_path: Path
) -> None:
    script = (
        HEAD
        + """
def loss(weight, scale):
    return Array(weight.value * scale)
weight = Weight(10.0)
for number in range(3):
    value, gradient = jax.value_and_grad(loss)(weight, 1.0)
    weight = optax.apply_updates(weight, gradient)
"""
    )
    told = trained(python, tmp_path, script)
    assert told.of("loop")[-1]["logs"] == {"loss": [10.0, 8.0, 6.0]}
    assert told.only("phase")["initial_weights"] == digest_of(10.0)
    assert told.only("phase-end")["final_weights"] == digest_of(4.0)


@OLDEST_AND_NEWEST
def test_a_compiled_gradient_is_the_step_and_its_weights_are_those_that_it_was_given(
    python: Path, tmp_path: Path
) -> None:
    script = (
        HEAD
        + """
gradient = jax.jit(lambda params: jax.value_and_grad(loss)(params, 1.0))
params = {'w': Weight(10.0)}
for number in range(3):
    value, change = gradient(params)
    params = {'w': params['w'] + -2}
jax.jit(jax.grad(loss))(params, 1.0)
"""
    )
    told = trained(python, tmp_path, script)
    first, second = ([one for one in told.of("loop") if one["phase"] == name][-1] for name in ("loop-1", "loop-2"))
    assert (first["logs"], second["steps"], second["logs"]) == ({"loss": [10.0, 8.0, 6.0]}, 1, {})
    assert told.of("phase-end")[0]["final_weights"] == digest_of(6.0)


@OLDEST_AND_NEWEST
def test_an_array_of_losses_beside_the_state_is_as_many_steps(python: Path, tmp_path: Path) -> None:
    script = (
        HEAD
        + """
@jax.jit
def train(params):
    jax.grad(loss)(params, 1.0)
    return {'w': params['w'] + -5}, Series(8.0)
params, losses = train({'w': Weight(10.0)})
"""
    )
    told = trained(python, tmp_path, script)
    assert (told.of("loop")[-1]["steps"], told.of("loop")[-1]["logs"]) == (3, {"loss": [8.0, 4.0, 2.0]})
    assert told.only("phase-end")["final_weights"] == digest_of(5.0)


@OLDEST_AND_NEWEST
def test_functions_that_differentiate_nothing_are_left_alone_and_few_numbers_of_many_steps_are_read(
    python: Path, tmp_path: Path
) -> None:
    script = (
        HEAD
        + STEP
        + """
predict = jax.jit(lambda params: Array(1.0))
predict(Weight(1.0))
assert jax.jit(loss)({'w': Weight(1.0)}, 3.0).value == 3.0
step, state = jax.jit(step), {'w': Weight(5000.0)}
for number in range(5000):
    state, logs = step(state, 1.0)
    del logs['mse']
print(Array.reads)
class Model(object):
    step = jax.jit(lambda self, x: x)
print(Model().step.__func__(1, Array(2.0)).value)
"""
    )
    told = run(python, tmp_path, script)
    reads, rest = told.out.split(maxsplit=1)
    assert (told.err, told.exit_code, told.of("probe-error"), int(reads) < 2000) == ("", 0, [], True)
    assert rest == "2.0\n"
    loop = told.of("loop")[-1]
    assert told.only("phase")["name"] == "loop-1"
    assert (loop["steps"], loop["block"], len(loop["logs"]["mse"])) == (5000, 128, 39)
    assert loop["logs"]["mse"] == sorted(loop["logs"]["mse"], reverse=True)


@OLDEST_AND_NEWEST
@pytest.mark.parametrize(("steps", "line"), [(4, "state, _ = step(state, scale)"), (1, "state = step(state, scale)")])
def test_what_a_step_raises_belongs_to_the_loop(steps: int, line: str, python: Path, tmp_path: Path) -> None:
    other = "jax.value_and_grad(lambda weight: Array(weight.value))(Weight(1.0))"
    script = f"""{HEAD}{STEP}
step, state = jax.jit(step), {{'w': Weight(9.0)}}
def train(state):
    for scale in (1.0, 1.0, 1.0, 1.0, None):
        {line}
{raised_later("train(state)", meanwhile=other)}"""
    told = run(python, tmp_path, script)
    error = told.only("exception")
    assert (error["type"], error["stage"], error["phase"]) == ("TypeError", "training", "loop-1")
    assert [(one["phase"], one["steps"]) for one in told.of("loop")][-2:] == [("loop-1", steps), ("loop-2", 1)]
