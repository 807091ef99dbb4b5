"""What the tools that look into training read of a Keras model, and set in it, before, within and after its steps.

Outputs are those of a batch before its step, in inference mode, where computing them draws nothing. No op is added to
a graph of TensorFlow 1, and what a model keeps in variables while it infers is as it was afterwards.
"""

import sys

from _runner_probe import weights

from . import model_reading
from .model_reading import Batch, LayerWeights, SeenStep

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

MOST_SHAPES = 4
"""So many functions for batches of other shapes are made."""
DRAWS = "no outputs: computing them draws at random"


class KerasReading:
    """One model; `note` is called with remarks."""

    def __init__(self, fit: "Any", note: "Any") -> None:
        self._model = fit.model
        self._backend = fit.backend
        self._read = weights.reader(fit.backend)
        self._outputs = ModelOutputs(fit.model, fit.backend, note)
        self.framework = fit.backend.rpartition(".")[0]

    def described(self) -> "dict[str, str]":
        """The classes of the model, its optimizer and its loss."""
        return {
            "model": type(self._model).__name__,
            "optimizer": type(self._model.optimizer).__name__,
            "loss": model_reading.loss_name(getattr(self._model, "loss", None)),
        }

    def layers(self) -> "list[LayerWeights]":
        """Every layer that has variables, in the model's order; none before the model is built."""
        return [
            LayerWeights(
                model_reading.class_of(layer),
                str(layer.name),
                zip(model_reading.roles_of(variables), variables),
                model_reading.flat(getattr(layer, "states", None) if getattr(layer, "stateful", False) else None),
            )
            for layer, variables in model_reading.layers_of(self._model)
        ]

    def slots(self, places: "Any") -> "list[Any]":
        """((kind, place), variable) of what the optimizer keeps; `places` are the weights with their places."""
        return model_reading.slots_of(self._model, self._model.optimizer, places)

    def rate(self) -> "list[Any]":
        """The variable of the learning rate, as a list; empty where it is none."""
        return model_reading.rate_of(self._model.optimizer)

    def learning_rate(self) -> "float | None":
        """The learning rate where it is no variable."""
        return weights.learning_rate(self._model.optimizer, self._read)

    def read(self, variables: "Any") -> "Any":
        """Variables as arrays; Keras on JAX keeps their values elsewhere while it trains, until it is asked."""
        sync = getattr(self._model, "jax_state_sync", None)
        if sync is not None:
            sync()
        return self._read(variables)

    def write(self, pairs: "Any") -> None:
        """Set variables to arrays; in a graph by their own initializers, which are there already and take any value."""
        for variable, array in pairs:
            if weights.is_eager():
                variable.assign(array)
            else:
                initializer = variable.initializer
                session = sys.modules[self._backend].get_session()
                session.run(initializer, feed_dict={initializer.inputs[1]: array})

    def begin(self, fit: "Any", number: int, readable: bool) -> "SeenStep":
        """What is known of a step before it is taken; `readable`: the model has weights already."""
        seen = SeenStep(fit.rows.batch(number))
        if weights.is_eager():
            seen.tracked = self._tracked() or (0.0, 0.0)
            if seen.batch is not None and readable:
                seen.outputs = self._outputs.of_call(seen.batch.inputs)
        return seen

    def fed(self, seen: "SeenStep", function: "Any", arrays: "Any") -> None:
        """The arrays of a batch, right before a graph's step takes them."""
        model = vars(self._model).get("model") or self._model
        size, wanted = len(model.inputs), len(getattr(model, "_feed_targets", None) or model.outputs)
        if len(arrays) >= size + wanted:  # else the graph reads its data itself
            seen.fed = True
            seen.batch = Batch(arrays[:size], arrays[size : size + wanted])
            seen.outputs = self._outputs.of_graph(model, function, arrays[:size])

    def end(self, seen: "SeenStep", logs: "Any") -> None:
        """The step's loss, and how far that may be off by the way in which it was seen."""
        numpy = sys.modules["numpy"]
        self.read(())
        now = self._tracked() if weights.is_eager() else None
        if now is not None and now[1] > seen.tracked[1]:
            (old_total, old_count), (total, count) = seen.tracked, now
            error = float(numpy.spacing(numpy.float32(abs(total)))) if old_total else 0.0
            seen.loss, seen.loss_error = (total - old_total) / (count - old_count), error / (count - old_count)
            return
        value = logs.get("loss")
        seen.loss = None if value is None else float(numpy.asarray(value).ravel()[0])

    def _tracked(self) -> "tuple[float, float] | None":
        """(sum, count) of the losses of an epoch so far, as Keras keeps them."""
        tracker = model_reading.tracker_of(self._model)
        return None if tracker is None else (float(tracker[0].numpy()), float(tracker[1].numpy()))


class ModelOutputs:
    """The outputs of one model; `note` is called with why there are none."""

    def __init__(self, model: "Any", backend: str, note: "Any") -> None:
        self._model = model
        self._backend = backend
        self._note = note
        self._is_random: Any = None
        self._functions: dict[str, Any] = {}

    def of_graph(self, model: "Any", function: "Any", arrays: "Any") -> "Any":
        """Those of a graph's model, by the inputs of the function that trains it; None where there are none."""
        if self._is_random is None:
            self._is_random = model_reading.is_random(model.outputs)
            if self._is_random:
                self._note(DRAWS)
        if self._is_random:
            return None
        feed = dict(zip(function.inputs, arrays))
        for phase in function.inputs:
            if not isinstance(phase, int) and "learning_phase" in phase.name:
                feed[phase] = phase.dtype.as_numpy_dtype(0)
        return sys.modules[self._backend].get_session().run(list(model.outputs), feed_dict=feed)

    def of_call(self, arrays: "Any") -> "Any":
        """Those of a model that is called, whatever it computes with."""
        arrays = [array.astype("float32") if array.dtype.kind == "f" else array for array in arrays]
        engine = getattr(sys.modules.get(self._backend), "backend", None)
        if engine is None or engine() == "tensorflow":
            return self._of_tensorflow(arrays)
        if engine() != "torch":
            return self._of_stateless_call(arrays)
        torch = sys.modules["torch"]
        with torch.no_grad(), torch.random.fork_rng(devices=[]):
            return self._of_stateless_call(arrays)

    def _of_stateless_call(self, arrays: "Any") -> "Any":
        """Those of Keras 3 on JAX or PyTorch: the call leaves every variable, and every seed, as it is."""
        model = self._model
        values = [
            [variable.value for variable in variables]
            for variables in (model.trainable_variables, model.non_trainable_variables)
        ]
        found, _ = model.stateless_call(*values, arrays[0] if len(arrays) == 1 else list(arrays), training=False)
        to_numpy = sys.modules[self._backend].convert_to_numpy
        return [to_numpy(one) for one in model_reading.flat(found)]

    def _of_tensorflow(self, arrays: "Any") -> "Any":
        """Those through a function of their own; what it changes in variables is set back."""
        tensorflow, numpy = sys.modules["tensorflow"], sys.modules["numpy"]
        key = str([(array.shape, str(array.dtype)) for array in arrays])
        if key not in self._functions:
            if len(self._functions) >= MOST_SHAPES:
                return None
            self._functions[key] = self._function(tensorflow, arrays)
        made = self._functions[key]
        if made is None:
            return None
        kept = [(variable, variable.numpy()) for variable in made.graph.variables]
        found = made(*[tensorflow.constant(array) for array in arrays])
        for variable, value in kept:
            if variable.numpy().tobytes() != value.tobytes():
                variable.assign(value)
        return [numpy.asarray(one) for one in model_reading.flat(found)]

    def _function(self, tensorflow: "Any", arrays: "Any") -> "Any":
        model = self._model
        call = tensorflow.function(
            lambda *given: model(given[0] if len(given) == 1 else list(given), training=False), autograph=False
        )
        try:
            made = call.get_concrete_function(*[tensorflow.TensorSpec(array.shape, array.dtype) for array in arrays])
        except Exception as error:
            self._note("no outputs: %s: %s" % (type(error).__name__, str(error)[:200]))
            return None
        if model_reading.draws(made.graph.as_graph_def()):
            self._note(DRAWS)
            return None
        return made
