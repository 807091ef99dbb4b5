"""Training with any Keras: `fit` as phases with epochs, `train_on_batch`, and loops around its optimizers.

Nothing is added that a script could see in its callbacks: the list that calls the callbacks is listened to instead.
"""

import _thread
import weakref
from functools import partial

from . import evaluations, phases, tensorflow_loops, tensorflow_sessions, weights, wrapping

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from .step_loop import StepLoop
    from .trainings import Trainings

FINER = ("compile", "predict")


class KerasTraining:
    """All phases of the process, and what happens around the methods of Keras' classes."""

    def __init__(self, trainings: "Trainings") -> None:
        self._trainings = trainings
        self._channel, self._where = trainings.channel, trainings.where
        self._begin_process()
        trainings.channel.after_fork(self._begin_process)
        self._models, self._results = trainings.models, trainings.results
        self._loops = trainings.loops
        self.sessions = tensorflow_sessions.Sessions(trainings)
        self.tensorflow = tensorflow_loops.TensorflowLoops(trainings, self.sessions)
        self._put_around = trainings.put_around

    def _begin_process(self) -> None:
        """In a fork: what its parent is in the middle of goes on there."""
        self._stacks: dict[Any, Any] = {}
        self._in_callbacks = 0

    def watch_models(self, module: "Any", backend: str) -> None:
        """A module that defines classes with `fit`."""
        for cls in wrapping.own_classes(module):
            if "fit" in vars(cls) or "train_on_batch" in vars(cls):
                self._put_around(cls, "fit", self._enter_fit, self._leave_fit, backend)
                self._put_around(cls, "fit_generator", self._enter_fit, self._leave_fit, backend)
                self._put_around(cls, "train_on_batch", self._enter_batch, self._leave_batch, backend)
                for name in FINER:
                    self._put_around(cls, name, self._enter_finer, self._leave_finer, name)
                self._put_around(cls, "test_on_batch", self._enter_inner, self._leave_inner)
                self._watch_evaluating(cls)
                self._put_around(cls, "_flatten_metrics_in_order", self._enter_flatten, wrapping.nothing)
                self._watch_making(cls)

    def watch_estimators(self, module: "Any") -> None:
        """TensorFlow's module of the class of estimators, whose sessions train."""
        for cls in wrapping.own_classes(module):
            self._watch_evaluating(cls)

    def watch_layers(self, module: "Any") -> None:
        """A module that defines the class that all layers inherit from."""
        for cls in wrapping.own_classes(module):
            if cls.__name__ in ("Layer", "Container", "Network"):
                self._watch_making(cls)

    def watch_callbacks(self, module: "Any") -> None:
        """A module that defines the list that calls the callbacks."""
        cls = getattr(module, "CallbackList", None)
        if cls is None or cls.__module__ != module.__name__:
            return
        self._put_around(cls, "on_epoch_begin", self._enter_epoch_begin, self._leave_epoch_begin)
        self._put_around(cls, "on_epoch_end", self._enter_epoch_end, self._leave_epoch_end)
        if self._trainings.steps:
            self._put_around(cls, "_call_batch_hook", self._enter_batch_hook, self._leave_batch_end)
            self._put_around(cls, "on_train_batch_end", self._enter_batch_end, self._leave_batch_end)
            if "_call_batch_hook" not in vars(cls) and "on_train_batch_end" not in vars(cls):
                self._put_around(cls, "on_batch_end", self._enter_batch_end, self._leave_batch_end)

    def watch_optimizers(self, module: "Any", backend: str) -> None:
        """A module that defines the class that all optimizers inherit from."""
        for cls in wrapping.own_classes(module):
            self._put_around(cls, "apply_gradients", self._enter_apply_gradients, self._leave_apply, backend)
            self._put_around(cls, "apply", self._enter_apply, self._leave_apply, backend)  # Keras 3

    def _watch_evaluating(self, cls: "Any") -> None:
        for name in ("evaluate", "evaluate_generator"):
            self._put_around(cls, name, self._enter_evaluate, self._leave_evaluate)

    def _watch_making(self, cls: "Any") -> None:
        def building() -> None:
            self._channel.settle()
            self._where.building()

        wrapping.once(cls, "__init__", self._channel.shielded(building))

    def _enter_fit(self, args: "Any", kwargs: "Any", backend: str) -> "Any":
        model = args[0]
        stack = self._stack()
        if not stack or stack[-1].begun or not _is_same(stack[-1].model, model):
            name, number = self._trainings.next_fit()
            phase = phases.FitPhase(self._channel, name, number, model, self._models.number(model), backend)
            self._where.move("training", phase.name)
            self._results.trained(phase.name)
            stack.append(phase)
        self._trainings.inside += 1
        stack[-1].depth += 1
        return stack[-1]

    def _leave_fit(self, phase: "phases.FitPhase", result: "Any", error: "Any") -> None:
        self._trainings.inside -= 1
        phase.depth -= 1
        if phase.depth:
            return
        stack = self._stack()
        stack.remove(phase)
        if error is not None:
            self._where.blame(error)
        phase.end(failed=error is not None)
        if stack:
            self._where.move("training", stack[-1].name)
        elif error is None:
            self._where.move("after-training")

    def _enter_finer(self, args: "Any", kwargs: "Any", name: str) -> "Any":
        if self._trainings.inside:
            return None
        before = self._where.phase
        self._where.building(name)
        self._where.move(self._where.stage, name)
        return (before,)

    def _leave_finer(self, token: "Any", result: "Any", error: "Any") -> None:
        if error is not None:
            self._where.blame(error)
        self._where.move(self._where.stage, token[0])

    def _enter_evaluate(self, args: "Any", kwargs: "Any") -> "Any":
        if self._trainings.inside > self._in_callbacks:
            return None  # the validation of a fit
        self._results.begin("evaluate")
        finer = self._enter_finer(args, kwargs, "evaluate")
        self._trainings.inside += 1
        return args[0], finer

    def _leave_evaluate(self, token: "Any", result: "Any", error: "Any") -> None:
        model, finer = token
        self._trainings.inside -= 1
        if finer is not None:
            self._leave_finer(finer, result, error)
        self._results.end("evaluate", model, result, error)

    def _enter_inner(self, args: "Any", kwargs: "Any") -> "Any":
        self._trainings.inside += 1
        return True

    def _leave_inner(self, token: "Any", result: "Any", error: "Any") -> None:
        self._trainings.inside -= 1

    def _enter_flatten(self, args: "Any", kwargs: "Any") -> None:
        self._results.names(_argument(args, kwargs, 1, "logs"))

    def _enter_batch(self, args: "Any", kwargs: "Any", backend: str) -> "Any":
        if self._trainings.inside:
            return None
        model = args[0]
        loop = self._loops.known(model, "batches") or self._loops.begin(
            model, weights.variables_of(model), weights.reader(backend), "batches", readable=weights.is_eager()
        )
        self._results.pop_names()
        self._trainings.inside += 1  # what the call calls belongs to it
        return loop

    def _leave_batch(self, loop: "StepLoop", result: "Any", error: "Any") -> None:
        self._trainings.inside -= 1
        if error is not None:
            self._where.blame(error)
            return
        named = evaluations.named(loop.owner(), self._results.pop_names() or result)
        self._loops.end_step(loop, {str(name)[:200]: float(value) for name, value in named.items()})

    def _enter_apply_gradients(self, args: "Any", kwargs: "Any", backend: str) -> "Any":
        if self._trainings.inside:
            return None
        pairs = list(args[1] if len(args) > 1 else kwargs["grads_and_vars"])
        if len(args) > 1:  # it is often a zip, which can be read only once
            args[1] = pairs
        else:
            kwargs["grads_and_vars"] = pairs
        return self._begin_apply(args[0], [variable for _, variable in pairs], backend)

    def _enter_apply(self, args: "Any", kwargs: "Any", backend: str) -> "Any":
        if self._trainings.inside:
            return None
        variables = _argument(args, kwargs, 2, "trainable_variables")
        return self._begin_apply(args[0], list(variables or args[0]._trainable_variables), backend)

    def _begin_apply(self, optimizer: "Any", variables: "Any", backend: str) -> "Any":
        """An optimizer is about to change variables: a step of a loop, or the tracing of one into a function."""
        self._trainings.inside += 1
        if weights.is_first_graph():
            self._where.building()  # TensorFlow 1: the step is made here, and taken by a session later
            return variables, None
        if weights.is_stateless():
            return variables, None
        eager, read = weights.is_eager(), weights.reader(backend)
        loop = self._loops.known(optimizer)
        if loop is None:
            rate = partial(_rate, weakref.ref(optimizer), read)
            loop = self._loops.begin(optimizer, variables, read, rate=rate)
        if not eager:
            loop.settle_steps = loop.settle_steps or _steps_from_now(optimizer)
            self.tensorflow.traced(optimizer, loop)
        return variables, (optimizer, loop) if eager else None

    def _leave_apply(self, token: "Any", result: "Any", error: "Any") -> None:
        variables, taken = token
        self._trainings.inside -= 1
        if error is not None:
            self._where.blame(error)
        elif taken is not None:
            optimizer, loop = taken
            self._loops.end_step(loop, self.tensorflow.values_of(optimizer, variables))
        elif result is not None and weights.is_first_graph():
            self.sessions.made(result, variables)

    def _enter_epoch_begin(self, args: "Any", kwargs: "Any") -> "Any":
        phase = self._phase() if _is_training(args, kwargs) else None
        if phase is None:
            return None
        return phase, args[0], _argument(args, kwargs, 1, "epoch"), self._enter_callbacks()

    def _leave_epoch_begin(self, token: "Any", result: "Any", error: "Any") -> None:
        phase, callbacks, epoch, self._in_callbacks = token
        if not phase.begun:
            phase.begin(dict(_params(callbacks), initial_epoch=epoch))
            if phase.is_sampled():
                self._trainings.tell_configs(phase.name, phases.config_texts(phase.model))
        phase.begin_epoch()

    def _enter_epoch_end(self, args: "Any", kwargs: "Any") -> "Any":
        phase = self._phase() if _is_training(args, kwargs) else None
        if phase is None:
            return None
        self._results.trained(phase.name)
        logs = _argument(args, kwargs, 2, "logs")
        return phase, phase.end_steps(), args[0], logs, _lengths(args[0]), self._enter_callbacks()

    def _leave_epoch_end(self, token: "Any", result: "Any", error: "Any") -> None:
        phase, (seconds, learning_rate), callbacks, logs, told, self._in_callbacks = token
        phase.end_epoch(phases.numbers(_told_since(callbacks, told, logs)), seconds, learning_rate)

    def _enter_callbacks(self) -> int:
        """From here on the script's own callbacks run; what was true before."""
        before, self._in_callbacks = self._in_callbacks, self._trainings.inside
        return before

    def _enter_batch_hook(self, args: "Any", kwargs: "Any") -> "Any":
        mode, hook = args[1:3]
        return self._enter_batch_end([args[0], *args[3:]], kwargs) if (str(mode), hook) == ("train", "end") else None

    def _enter_batch_end(self, args: "Any", kwargs: "Any") -> "Any":
        phase = self._phase()
        return (
            None if phase is None else (phase, _argument(args, kwargs, 1, "batch"), _argument(args, kwargs, 2, "logs"))
        )

    def _leave_batch_end(self, token: "Any", result: "Any", error: "Any") -> None:
        phase, batch, logs = token
        if logs and "loss" in logs:
            phase.add_loss(int(batch), float(logs["loss"]))

    def _stack(self) -> "Any":
        return self._stacks.setdefault(_thread.get_ident(), [])

    def _phase(self) -> "Any":
        stack = self._stack()
        return stack[-1] if stack else None


def _steps_from_now(optimizer: "Any") -> "Any":
    """Gives the number of steps that an optimizer will have counted itself by then."""
    reference, first = weakref.ref(optimizer), tensorflow_loops.iterations(optimizer) or 0

    def steps() -> int:
        return (tensorflow_loops.iterations(reference()) or first) - first

    return steps


def _rate(reference: "Any", read: "Any") -> "Any":
    """The learning rate of an optimizer, by Keras' names for it."""
    return weights.learning_rate(reference(), read)


def _is_same(outer: "Any", model: "Any") -> bool:
    """True where a fit inside of a fit is the same training.

    So it is where a method calls another, and in the Sequential of old, which hands its fit on to a Model of its own.
    """
    return outer is model or vars(outer).get("model") is model


def _argument(args: "Any", kwargs: "Any", position: int, name: str) -> "Any":
    return args[position] if len(args) > position else kwargs.get(name)


def _is_training(args: "Any", kwargs: "Any") -> bool:
    """TensorFlow 1.13 to 2.1 run validation through the same methods, with another mode."""
    mode = _argument(args, kwargs, 3, "mode") or "train"
    return str(getattr(mode, "value", mode)) == "train"


def _history(callbacks: "Any") -> "Any":
    for callback in callbacks.callbacks:
        if type(callback).__name__ == "History":
            return getattr(callback, "history", {})  # set when training begins
    return {}


def _lengths(callbacks: "Any") -> "dict[str, int]":
    """The number of values each metric has in Keras' own history."""
    return {name: len(values) for name, values in _history(callbacks).items()}


def _told_since(callbacks: "Any", lengths: "Any", logs: "Any") -> "Any":
    """The logs of the epoch as Keras' history has them, plus what only the call itself was given.

    Native Keras 2 hands an empty dict to the call and lets its first callback fill in the training metrics, unseen from
    outside; other versions hand tensors over.
    """
    found = dict(logs or {})
    for name, values in _history(callbacks).items():
        if len(values) > lengths.get(name, 0):
            found[name] = values[-1]
    return found


def _params(callbacks: "Any") -> "Any":
    """Epochs and steps as the callbacks were told them."""
    params = getattr(callbacks, "params", None)
    if not params:
        params = next((callback.params for callback in callbacks.callbacks if getattr(callback, "params", None)), {})
    return params
