"""What the probe tells of tapes, functions and sessions, with a `tensorflow` that has nothing but the methods."""

from __future__ import annotations

from typing import TYPE_CHECKING

from probe_world import EVERY_PYTHON, OLDEST_AND_NEWEST, raised_later, run, trained

if TYPE_CHECKING:
    from pathlib import Path

EAGER = """
import keras
from tensorflow.python.eager import backprop, context, def_function
from tensorflow.python.framework import ops
context.eager = ops.outside = True
class Array(bytes):
    dtype, shape = 'float32', ()
    def tobytes(self):
        return bytes(self)
class Variable(object):
    shape, value = (), 0
    def assign(self, value):
        self.value = value
    def numpy(self):
        return Array(b'%d' % self.value)
class Number(object):
    shape = ()
    def __init__(self, value):
        self.value = value
    def numpy(self):
        return self.value
first, second = Variable(), Variable()
tape = backprop.GradientTape()
"""


@EVERY_PYTHON
def test_the_target_of_a_tape_is_the_loss_of_the_step_that_its_variables_take_next(
    python: Path, tmp_path: Path
) -> None:
    script = (
        EAGER
        + """
generator, critic = keras.optimizers.Optimizer(), keras.optimizers.Optimizer()
for step in range(3):
    one, two = tape.gradient(Number(1.0 + step), [first]), tape.gradient(Number(5.0), sources=[second])
    tape.gradient(Number(99.0), [Number(0.0)])
    generator.apply_gradients(zip(one, [first]))
    critic.apply_gradients(zip(two, [second]))
for step in range(2):
    for part in range(2):
        tape.gradient(Number(float(part)), [first])
    generator.apply_gradients([(0.5, first)])
own = Variable()
for step in range(1, 5):
    tape.gradient([Number(1.0), Number(float(step))], {'own': own})
    own.assign(step)
"""
    )
    told = trained(python, tmp_path, script)
    last = {loop["phase"]: (loop["steps"], loop["logs"]["loss"]) for loop in told.of("loop")}
    assert last == {
        "loop-1": (5, [1.0, 2.0, 3.0, 0.5, 0.5]),
        "loop-2": (3, [5.0, 5.0, 5.0]),
        "loop-3": (4, [2.0, 3.0, 4.0, 5.0]),
    }


@EVERY_PYTHON
def test_a_function_in_which_weights_are_updated_takes_a_step_with_the_numbers_that_it_returns(
    python: Path, tmp_path: Path
) -> None:
    script = (
        EAGER
        + """
class Adam(keras.optimizers.Optimizer):
    pass
optimizer = Adam()
def body(training=True):
    gradients = tape.gradient(None, [first])
    if training:
        optimizer.apply_gradients(zip(gradients, [first]))
step = def_function.Function(body, {'loss': Number(0.25), 'acc': Number(0.5), 'batch': None})
outer = def_function.Function(lambda: step(), (Number(3.0), Number(2.0), [Number(1.0)], {'extra': Number(4.0)}))
test = def_function.Function(lambda: None, Number(50.0))
for epoch in range(5):
    step(), test()
for epoch in range(2):
    outer()
gradients = def_function.Function(lambda: tape.gradient(None, [second]), (Number(6.0), [Number(1.0)]))
other = Adam()
for epoch in range(3):
    gradients()
    other.apply_gradients([(0.5, second)])
"""
    )
    told = trained(python, tmp_path, script)
    last = {loop["phase"]: (loop["steps"], loop["logs"]) for loop in told.of("loop")}
    assert last == {
        "loop-1": (
            7,
            {"loss": [0.25] * 5 + [3.0] * 2, "acc": [0.5] * 5, "output_1": [2.0, 2.0], "extra": [4.0, 4.0]},
        ),
        "loop-2": (3, {"loss": [6.0] * 3}),
    }


@EVERY_PYTHON
def test_metrics_of_one_name_are_told_apart_by_what_they_were_made_for(python: Path, tmp_path: Path) -> None:
    script = """
import keras
Accuracy = keras.metrics.Accuracy
class Variable(object):
    shape = (60000000,)  # too many for a norm, which NumPy would be needed for
class Mine(Accuracy):
    def __init__(self):
        super().__init__()
class Trainer(object):
    def __init__(self):
        self.train_acc = Accuracy()
        self.validAccuracy = another = Accuracy()
def made():
    return Accuracy()
def train(optimizer, variable):
    trainer, listed = Trainer(), [Accuracy(), Accuracy()]
    testing = made()
    test_top = Accuracy('test_top')
    held = [trainer.train_acc, trainer.validAccuracy, testing, test_top]
    for epoch in range(3):
        optimizer.apply_gradients([(0.5, variable)])
        anew = Mine()
        for number, metric in enumerate(held + listed + [anew]):
            metric.value = number + epoch / 10.0
            metric.result()
        for metric in held + listed:
            metric.reset_state()
train(keras.optimizers.Optimizer(), Variable())
"""
    told = run(python, tmp_path, script)
    assert (told.err, told.exit_code) == ("", 0)
    names = ["accuracy", "val_accuracy", "testing", "test_top", "accuracy_1", "accuracy_2", "anew"]
    assert [one["logs"] for one in told.of("epoch")] == [
        {name: number + epoch / 10.0 for number, name in enumerate(names)} for epoch in range(3)
    ]


@EVERY_PYTHON
def test_of_what_a_function_returns_the_target_of_a_tape_is_the_loss_of_its_own_optimizer(
    python: Path, tmp_path: Path
) -> None:
    script = (
        EAGER
        + """
class Graph(object):
    outer_graph = structured_outputs = None
class Tensor(object):
    shape = None  # its value is not known
    def __init__(self, graph, source=None):
        self.graph, self.op = graph, self
        self.type, self.inputs = 'Identity' if source else 'Add', [source]
def step(result):
    graph, optimizers = Graph(), [keras.optimizers.Optimizer(), keras.optimizers.Optimizer()]
    targets = [Tensor(graph), Tensor(graph)]
    def body():
        for target, optimizer, variable in zip(targets, optimizers, (first, second)):
            optimizer.apply_gradients(zip(tape.gradient(target, [variable]), [variable]))
        graph.structured_outputs = result(*[Tensor(graph, one) for one in targets], Tensor(graph))
    return body, optimizers
other = Number(3.0)
for numbers, result in [
    ((other, Number(2.0), Number(1.0)), lambda one, two, else_: (else_, two, one)),
    ((other, Number(4.0)), lambda one, two, else_: (else_, two)),
    ({'a': Number(5.0), 'b': Number(6.0)}, lambda one, two, else_: {'a': one, 'b': two}),
    (Number(7.0), lambda one, two, else_: two),
    ((Number(8.0), Number(9.0)), lambda one, two, else_: (else_, else_)),
]:
    body, optimizers = step(result)
    function = def_function.Function(body, numbers)
    function(), function()
"""
    )
    told = run(python, tmp_path, script)
    assert (told.err, told.exit_code, told.of("probe-error")) == ("", 0, [])
    last = {loop["phase"]: {name: values[-1] for name, values in loop["logs"].items()} for loop in told.of("loop")}
    assert [last.get(f"loop-{number}", {}) for number in range(1, 11)] == [
        {"loss": 1.0, "output_0": 3.0},
        {"loss": 2.0},
        {"loss": 3.0},
        {"loss": 4.0},
        {"loss": 5.0, "a": 5.0, "b": 6.0},
        {"loss": 6.0},
        {},
        {"loss": 7.0},
        {"loss": 8.0, "output_1": 9.0},
        {},
    ]


SESSION = """
from tensorflow.python.client.session import Session
from tensorflow.python.eager import context
from tensorflow.python.framework.ops import Operation
from tensorflow.python.training.optimizer import Optimizer
class Variable(object):
    shape = (60000000,)  # too many for a norm, which NumPy would be needed for
variable = Variable()
step = Optimizer().minimize([variable])
group = Operation([Operation([step])])
other = Operation()
"""


@EVERY_PYTHON
def test_a_session_s_runs_of_an_operation_that_trains_are_steps_of_a_loop(python: Path, tmp_path: Path) -> None:
    script = (
        SESSION
        + """
for fold in range(2):
    session = Session()
    session.run(other)
    for number in range(3):
        session.run([step, {"a": (other, None)}])
    session.run(fetches={"all": group})
    session.run(other)
    session.close()
"""
    )
    told = trained(python, tmp_path, script)
    assert [(stage["stage"], stage["phase"]) for stage in told.of("stage")] == [
        ("build-model", ""),
        ("training", "loop-1"),
        ("training", "loop-2"),
    ]
    assert [(loop["phase"], loop["steps"]) for loop in told.of("loop")][-1] == ("loop-2", 4)
    begins, ends = told.of("phase"), told.of("phase-end")
    assert [phase["name"] for phase in begins] == [phase["name"] for phase in ends] == ["loop-1", "loop-2"]
    assert len({phase["initial_weights"] for phase in begins}) == len({phase["final_weights"] for phase in ends}) == 1
    assert begins[0]["initial_weights"] not in {None, ends[0]["final_weights"]}


@OLDEST_AND_NEWEST
def test_what_a_step_of_a_session_fetches_are_its_numbers_by_key_or_by_name(python: Path, tmp_path: Path) -> None:
    script = """
from tensorflow.python.client.session import Session
from tensorflow.python.eager import context
from tensorflow.python.framework.ops import Operation
from tensorflow.python.ops import gradients_impl
from tensorflow.python.training.optimizer import Optimizer
class Variable(object):
    shape = (60000000,)
variable = Variable()
class Tensor(object):
    def __init__(self, name):
        self.op = Operation()
        self.op.name = name
cost, other, plain = Tensor('cost'), Tensor('mean/other'), Tensor('plain')
gradients_impl.gradients(cost, [variable])
step = Optimizer().minimize([variable])
session = Session()
for value in (3.0, 2.0):
    session.run([step, cost, {'named': other}, plain], [None, value, {'named': 0.5}, 7])
    session.run(plain, 99.0)
session.close()
session = Session()
for value in (3.0, 2.0):
    session.run(step, [None])
    session.run(cost, value)
session.close()
session = Session()
for value in (3.0, 2.0, 1.0):
    session.run([step, Tensor('made%d' % value)], [None, value])
    session.run([step, cost], [None, value])
"""
    told = trained(python, tmp_path, script)
    last = {loop["phase"]: (loop["steps"], loop["logs"]) for loop in told.of("loop")}
    assert last == {
        "loop-1": (2, {"loss": [3.0, 2.0], "named": [0.5, 0.5]}),
        "loop-2": (2, {"loss": [3.0, 2.0]}),
        "loop-3": (6, {"loss": [3.0, 2.0, 1.0], "made1": [1.0], "made2": [2.0], "made3": [3.0]}),
    }


@OLDEST_AND_NEWEST
def test_an_error_of_a_session_belongs_to_the_training_only_while_a_step_is_run(python: Path, tmp_path: Path) -> None:
    wrong = "Session().run([step], 'wrong')"
    told = run(python, tmp_path, SESSION + raised_later(wrong, meanwhile="last = Session()\nlast.run(step)"))
    assert [told.only("exception")[name] for name in ("stage", "phase", "source")] == ["training", "loop-1", wrong]
    assert [phase["name"] for phase in told.of("phase")] == ["loop-1", "loop-2"]
    told = run(python, tmp_path, SESSION + "Session().run(other, 'wrong')")
    assert [told.only("exception")[name] for name in ("stage", "phase")] == ["build-model", ""]
