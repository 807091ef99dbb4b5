"""Records what the first model that is trained computes, step by step: one JSON line each in `runner-trace.jsonl`.

So many steps as are asked for are recorded in full, after them those at powers of two. Only what exists is read: no
op is added to a graph of TensorFlow 1, and nothing random is drawn. Outputs are those of the batch before its step,
in inference mode, and only where computing them draws nothing.
"""

import atexit
import base64
import json
import os
import sys
import time
import zlib

from _runner_probe import weights

from . import model_reading
from .steps import PROCESS, Batch, Steps

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from _runner_probe.preparation import PreludeHandle

    from .steps import Fit

TRACE_BYTES = 8 * 1024**2
WEIGHTS_BYTES = 4 * 1024**2
SMALL = 64
"""Tensors of at most so many elements are recorded as they are."""
ROOM = 64 * 1024
"""The space that is kept free for the last lines."""
FREE_SECONDS = 2.0
"""After so much time spent on it, the trace may not have more than its share of the trial's."""
SHARE = 0.4


class StepTrace:
    """Listens to the steps of one model."""

    def __init__(self, prelude: "PreludeHandle", folder: str, steps: int) -> None:
        self._prelude = prelude
        self._steps = steps
        self._path = os.path.join(folder, "runner-trace.jsonl")
        self._initial_path = os.path.join(folder, "runner-initial-weights.json")
        self._began = time.time()
        self._spent = 0.0
        self._file: Any = None
        self._left = TRACE_BYTES - ROOM
        self._truncated = False
        self._model: Any = None
        self._others: set[Any] = set()
        self._step = 0
        self._written = 0
        self._recorded: Any = None
        self._fits = 0
        self._fit: Any = None
        self._fresh = False
        self._weights: Any = None
        self._slots: Any = None
        self._projections: dict[Any, Any] = {}
        self._forward: Any = None
        self._layers: list[Any] = []
        self._notes: set[Any] = set()

    def begin(self, fit: "Fit", number: int) -> None:
        """A step is about to be taken."""
        if self._model is None:
            self._model = fit.model
        if fit.model is not self._model:
            self._others.add(id(fit.model))
            return
        if fit is not self._fit:
            self._fit = fit
            self._fits += not fit.single
            self._fresh = True
        self._step += 1
        self._recorded = None
        if not self._truncated and self._is_due():
            began = time.time()
            self._recorded = self._start(fit, number)
            self._spent += time.time() - began

    def fed(self, fit: "Fit", function: "Any", arrays: "Any") -> None:
        """The arrays of a batch, right before a graph's step takes them."""
        if self._recorded is None or fit.model is not self._model or self._recorded["fed"]:
            return
        began = time.time()
        model = vars(fit.model).get("model") or fit.model
        size, wanted = len(model.inputs), len(getattr(model, "_feed_targets", None) or model.outputs)
        if len(arrays) >= size + wanted:  # else the graph reads its data itself
            self._recorded["fed"] = True
            self._recorded["batch"] = Batch(arrays[:size], arrays[size : size + wanted])
            self._recorded["outputs"] = self._outputs_of_graph(fit, model, function, arrays[:size])
        self._spent += time.time() - began

    def end(self, fit: "Fit", number: int, first: int, logs: "Any") -> None:
        """A step was taken."""
        if self._recorded is None or fit.model is not self._model:
            return
        began = time.time()
        self._finish(fit, number, first, logs)
        self._recorded = None
        self._spent += time.time() - began

    def close(self) -> None:
        """The process ends."""
        if os.getpid() == PROCESS and self._file is not None:
            self._left += ROOM
            self._write(
                kind="summary",
                steps=self._step,
                recorded=self._written,
                truncated=self._truncated,
                other_models=len(self._others),
                seconds=round(self._spent, 3),
            )
            self._file.close()

    def _is_due(self) -> "Any":
        power = self._step & (self._step - 1) == 0
        if self._step > self._steps and not power:
            return False
        elapsed = time.time() - self._began
        if self._spent > FREE_SECONDS and self._spent > SHARE * elapsed:
            self.note("some steps are left out: reading them took longer than its share of the trial")
            return self._step == 1
        return True

    def _start(self, fit: "Fit", number: int) -> "Any":
        batch = fit.rows.batch(number)
        state = {"fed": False, "batch": batch, "outputs": None, "before": None}
        if self._weights is None and model_reading.layers_of(fit.model):
            self._introduce(fit)
        if self._weights is not None:
            state["before"] = list(fit.read(self._weights))
            if self._written == 0:
                self._keep_initial(state["before"])
                self._write(kind="initial", weights=[self._told(array) for array in state["before"]])
        if weights.is_eager():
            tracker = model_reading.tracker_of(fit.model)
            state["tracked"] = [float(one.numpy()) for one in tracker] if tracker else None
            if batch is not None and self._weights is not None:
                state["outputs"] = self._outputs_of_call(fit.model, batch.inputs)
        return state

    def _finish(self, fit: "Fit", number: int, first: int, logs: "Any") -> None:
        if self._weights is None:
            self._introduce(fit)
        if self._fresh:
            self._introduce_slots(fit)
        rate = model_reading.rate_of(fit.model.optimizer)
        variables = self._weights + [variable for _, variable in self._slots] + self._states + rate
        arrays = list(fit.read(variables))
        after, rest = arrays[: len(self._weights)], arrays[len(self._weights) :]
        before = self._recorded["before"]
        loss, error = self._loss(fit.model, logs)
        batch = self._recorded["batch"]
        line = {
            "kind": "step",
            "step": self._step,
            "fit": self._fits,
            "in_epoch": first,
            "batches": number - first + 1,
            "batch": None
            if batch is None
            else [model_reading.batch_digest(batch.inputs), model_reading.batch_digest(batch.targets)],
            "learning_rate": float(rest[-1]) if rate else weights.learning_rate(fit.model.optimizer, fit.read),
            "loss": loss,
            "loss_error": error,
            "outputs": None
            if self._recorded["outputs"] is None
            else [self._told(output) for output in self._recorded["outputs"]],
            "weights": [self._told(array) for array in after],
            "updates": None if before is None else [self._told(change) for change in weights.difference(after, before)],
            "slots": [self._told(array) for array in rest[: len(self._slots)]],
            "states": [self._told(array) for array in rest[len(self._slots) : len(self._slots) + len(self._states)]],
        }
        if self._write(**line):
            self._written += 1

    def _introduce(self, fit: "Fit") -> None:
        """The first line: what is traced."""
        layers = model_reading.layers_of(fit.model)
        self._layers = [
            {
                "class": model_reading.class_of(layer),
                "name": str(layer.name),
                "weights": [
                    {
                        "role": role,
                        "shape": model_reading.shape_of(one),
                        "dtype": model_reading.dtype_of(one),
                        "trainable": bool(getattr(one, "trainable", True)),
                    }
                    for role, one in zip(model_reading.roles_of(variables), variables)
                ],
            }
            for layer, variables in layers
        ]
        self._weights = [variable for _, variables in layers for variable in variables]
        states = self._introduce_states(layers)
        packages = {
            name: str(getattr(sys.modules[name], "__version__", ""))
            for name in ("tensorflow", "keras", "tf_keras", "numpy")
            if name in sys.modules
        }
        self._write(
            kind="header",
            version=1,
            steps=self._steps,
            framework=fit.backend.rpartition(".")[0],
            packages=packages,
            model=type(fit.model).__name__,
            layers=self._layers,
            states=states,
            optimizer=type(fit.model.optimizer).__name__,
            loss=model_reading.loss_name(getattr(fit.model, "loss", None)),
        )

    def _introduce_states(self, layers: "list[Any]") -> "list[dict[str, Any]]":
        """The states of stateful layers that are not weights; their variables are kept to be read."""
        self._states, states = [], []
        own = {id(variable) for variable in self._weights}
        for place, (layer, _) in enumerate(layers):
            for number, state in enumerate(
                model_reading.flat(getattr(layer, "states", None) if getattr(layer, "stateful", False) else None)
            ):
                if id(state) not in own and hasattr(state, "shape") and hasattr(state, "assign"):
                    self._states.append(state)
                    states.append(
                        {
                            "layer": place,
                            "role": "state-%d" % (number + 1),
                            "shape": model_reading.shape_of(state),
                            "dtype": model_reading.dtype_of(state),
                        }
                    )
        return states

    def _introduce_slots(self, fit: "Fit") -> "Any":
        """With each fit: an optimizer of tf.keras 1.13 makes new slots for `train_on_batch` after `fit`."""
        self._fresh = False
        found = model_reading.slots_of(fit.model, fit.model.optimizer, list(enumerate(self._weights)))
        if self._slots is None:
            self._write(kind="slots", slots=[{"kind": kind, "weight": place} for (kind, place), _ in found])
        elif [slot for slot, _ in found] != [slot for slot, _ in self._slots]:
            return self.note("the optimizer's slots are those of the first fit: it has others now")
        self._slots = found

    def _keep_initial(self, arrays: "Any") -> "Any":
        arrays = iter(arrays)
        layers, size = [], 0
        for layer in self._layers:
            kept = []
            for weight in layer["weights"]:
                array = next(arrays)
                size += array.nbytes
                if size > 4 * WEIGHTS_BYTES:
                    return self.note("the initial weights are too large to be kept")
                data = base64.b64encode(zlib.compress(array.tobytes(), 6)).decode("ascii")
                kept.append({**weight, "dtype": str(array.dtype), "data": data})
            layers.append({**layer, "weights": kept})
        text = json.dumps({"version": 1, "layers": layers}, sort_keys=True)
        if len(text) > WEIGHTS_BYTES:
            return self.note("the initial weights are too large to be kept")
        with open(self._initial_path, "w") as file:
            file.write(text)

    def _loss(self, model: "Any", logs: "Any") -> "Any":
        """(the step's loss, how far that may be off by the way in which it was seen)."""
        before, tracker = self._recorded.get("tracked"), model_reading.tracker_of(model) if weights.is_eager() else None
        if tracker:
            numpy = sys.modules["numpy"]
            total, count = [float(one.numpy()) for one in tracker]
            old_total, old_count = before or (0.0, 0.0)
            if count > old_count:
                error = float(numpy.spacing(numpy.float32(abs(total)))) if old_total else 0.0
                return (total - old_total) / (count - old_count), error / (count - old_count)
        value = logs.get("loss")
        return (None if value is None else float(sys.modules["numpy"].asarray(value).ravel()[0])), 0.0

    def _outputs_of_graph(self, fit: "Fit", model: "Any", function: "Any", arrays: "Any") -> "Any":
        if self._forward is None:
            self._forward = model_reading.is_random(model.outputs)
            if self._forward:
                self.note("no outputs: computing them draws at random")
        if self._forward:
            return None
        feed = dict(zip(function.inputs, arrays))
        for phase in function.inputs:
            if not isinstance(phase, int) and "learning_phase" in phase.name:
                feed[phase] = phase.dtype.as_numpy_dtype(0)
        return sys.modules[fit.backend].get_session().run(list(model.outputs), feed_dict=feed)

    def _outputs_of_call(self, model: "Any", arrays: "Any") -> "Any":
        """The outputs through a function of their own; what it changes in variables is set back."""
        if self._forward is None:
            self._forward = {}
        tensorflow, numpy = sys.modules["tensorflow"], sys.modules["numpy"]
        arrays = [array.astype("float32") if array.dtype.kind == "f" else array for array in arrays]
        key = str([(array.shape, str(array.dtype)) for array in arrays])
        if key not in self._forward:
            if len(self._forward) >= 4:
                return None
            call = tensorflow.function(
                lambda *given: model(given[0] if len(given) == 1 else list(given), training=False), autograph=False
            )
            try:
                made = call.get_concrete_function(
                    *[tensorflow.TensorSpec(array.shape, array.dtype) for array in arrays]
                )
            except Exception as error:
                self.note("no outputs: %s: %s" % (type(error).__name__, str(error)[:200]))
                made = None
            if made is not None and model_reading.draws(made.graph.as_graph_def()):
                self.note("no outputs: computing them draws at random")
                made = None
            self._forward[key] = made
        made = self._forward[key]
        if made is None:
            return None
        kept = [(variable, variable.numpy()) for variable in made.graph.variables]
        found = made(*[tensorflow.constant(array) for array in arrays])
        for variable, value in kept:
            if variable.numpy().tobytes() != value.tobytes():
                variable.assign(value)
        return [numpy.asarray(one) for one in model_reading.flat(found)]

    def _told(self, array: "Any") -> "Any":
        numpy = sys.modules["numpy"]
        array = numpy.asarray(array, dtype="float64")
        if array.size <= SMALL:
            return {"values": array.ravel().tolist()}
        with numpy.errstate(all="ignore"):
            flat = array.ravel()
            return {
                "norm": float(numpy.sqrt(numpy.square(flat).sum())),
                "min": float(flat.min()),
                "max": float(flat.max()),
                "projection": float(flat.dot(self._direction(array.shape))),
            }

    def _direction(self, shape: "Any") -> "Any":
        """A fixed vector for a shape, from a generator of its own."""
        if shape not in self._projections:
            numpy = sys.modules["numpy"]
            size = int(numpy.prod(shape, dtype="int64"))
            made = numpy.random.RandomState(zlib.crc32(str(size).encode("ascii")) & 0x7FFFFFFF)
            self._projections[shape] = made.uniform(-1.0, 1.0, size)
        return self._projections[shape]

    def note(self, text: str) -> None:
        """Write a remark, once."""
        if text not in self._notes:
            self._notes.add(text)
            self._write(kind="note", step=self._step, text=text)

    def _write(self, **line: "Any") -> "Any":
        if self._truncated and line["kind"] != "summary":
            return False
        if self._file is None:
            self._file = open(self._path, "w")
            atexit.register(self.close)
            self._prelude.applied("steps are recorded in runner-trace.jsonl")
        text = json.dumps(line, sort_keys=True) + "\n"
        if len(text) > self._left:
            self._truncated = True
            text = (
                json.dumps(
                    {"kind": "note", "step": self._step, "text": "truncated: the trace is as large as it may be"}
                )
                + "\n"
            )
            self._file.write(text)
            return False
        self._left -= len(text)
        self._file.write(text)
        self._file.flush()
        return True


def install(prelude: "PreludeHandle", steps: int) -> None:
    """Record the first `steps` steps, then those at powers of two, of the first model that is trained."""
    trace = StepTrace(prelude, os.getcwd(), steps)

    def failed(error: Exception) -> None:
        trace.note("the trace ends here: %s: %s" % (type(error).__name__, str(error)[:500]))
        prelude.failed(error)

    Steps(trace, failed).install(prelude.after_import)
