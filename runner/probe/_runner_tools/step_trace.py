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
from .steps import PROCESS, Steps
from .torch_steps import TorchSteps

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from _runner_probe.preparation import PreludeHandle

PACKAGES = ("tensorflow", "keras", "tf_keras", "torch", "jax", "numpy")
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
    """Listens to the steps of one model, or of what a loop of PyTorch trains."""

    def __init__(self, prelude: "PreludeHandle", folder: str, steps: int, first: int) -> None:
        self._prelude = prelude
        self._steps = steps
        self._first = first
        self._path = os.path.join(folder, "runner-trace.jsonl")
        self._initial_path = os.path.join(folder, "runner-initial-weights.json")
        self._began = time.time()
        self._spent = 0.0
        self._file: Any = None
        self._left = TRACE_BYTES - ROOM
        self._truncated = False
        self._subject: Any = None
        self._reading: Any = None
        self._others: set[Any] = set()
        self._step = 0
        self._written = 0
        self._recorded: Any = None
        self._before: Any = None
        self._fits = 0
        self._fit: Any = None
        self._fresh = False
        self._started = False
        self._weights: Any = None
        self._slots: Any = None
        self._states: list[Any] = []
        self._projections: dict[Any, Any] = {}
        self._layers: list[Any] = []
        self._notes: set[Any] = set()

    def ready(self, fit: "Any") -> None:
        """What is trained is there, and nothing was computed with it yet."""
        if self._is_traced(fit):
            self._introduce()
            self._start()

    def begin(self, fit: "Any", number: int) -> None:
        """A step is about to be taken."""
        if not self._is_traced(fit):
            return
        if fit is not self._fit:
            self._fit = fit
            self._fits += not fit.single
            self._fresh = True
        self._step += 1
        self._recorded = None
        if not self._truncated and self._is_due():
            began = time.time()
            self._introduce()
            self._before = self._start()
            self._recorded = self._reading.begin(fit, number, self._before is not None)
            self._spent += time.time() - began

    def fed(self, fit: "Any", function: "Any", arrays: "Any") -> None:
        """The arrays of a batch, right before a graph's step takes them."""
        if self._recorded is None or fit.subject is not self._subject or self._recorded.fed:
            return
        began = time.time()
        self._reading.fed(self._recorded, function, arrays)
        self._spent += time.time() - began

    def end(self, fit: "Any", number: int, first: int, logs: "Any") -> None:
        """A step was taken."""
        if self._recorded is None or fit.subject is not self._subject:
            return
        began = time.time()
        self._finish(number, first, logs)
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

    def _is_traced(self, fit: "Any") -> bool:
        """True where a fit is that of the first model, from the fit on that is asked for; others are only counted."""
        if self._subject is None and getattr(fit, "number", self._first) < self._first:
            return False
        if self._subject is None:
            self._subject, self._reading = fit.subject, fit.reading(self.note)
        if fit.subject is not self._subject:
            self._others.add(id(fit.subject))
        return fit.subject is self._subject

    def _is_due(self) -> "Any":
        power = self._step & (self._step - 1) == 0
        if self._step > self._steps and not power:
            return False
        elapsed = time.time() - self._began
        if self._spent > FREE_SECONDS and self._spent > SHARE * elapsed:
            self.note("some steps are left out: reading them took longer than its share of the trial")
            return self._step == 1
        return True

    def _start(self) -> "Any":
        """The weights as they are; None where there are none yet. The first time they are the initial ones."""
        if self._weights is None:
            return None
        arrays = list(self._reading.read(self._weights))
        if not self._started:
            self._started = True
            self._keep_initial(arrays)
            self._write(kind="initial", weights=[self._told(array) for array in arrays])
        return arrays

    def _finish(self, number: int, first: int, logs: "Any") -> None:
        seen, before = self._recorded, self._before
        self._introduce()
        self._started = True
        if self._weights is None:
            self.note("what is trained has no weights that could be seen")
            return
        if self._fresh:
            self._introduce_slots()
        rate = self._reading.rate()
        variables = self._weights + [variable for _, variable in self._slots] + self._states + rate
        arrays = list(self._reading.read(variables))
        after, rest = arrays[: len(self._weights)], arrays[len(self._weights) :]
        self._reading.end(seen, logs)
        batch = seen.batch
        line = {
            "kind": "step",
            "step": self._step,
            "fit": self._fits,
            "in_epoch": first,
            "batches": number - first + 1,
            "batch": None
            if batch is None
            else [model_reading.batch_digest(batch.inputs), model_reading.batch_digest(batch.targets)],
            "learning_rate": float(rest[-1]) if rate else self._reading.learning_rate(),
            "loss": seen.loss,
            "loss_error": seen.loss_error,
            "outputs": self._all_told(seen.outputs),
            "weights": self._all_told(after),
            "gradients": self._all_told(seen.gradients),
            "updates": None if before is None else self._all_told(weights.difference(after, before)),
            "slots": self._all_told(rest[: len(self._slots)]),
            "states": self._all_told(rest[len(self._slots) : len(self._slots) + len(self._states)]),
        }
        if self._write(**line):
            self._written += 1

    def _introduce(self) -> None:
        """The first line, once there are weights: what is traced."""
        layers = self._reading.layers() if self._weights is None else []
        if not layers:
            return
        self._layers = [
            {
                "class": layer.kind,
                "name": layer.name,
                "weights": [
                    {
                        "role": role,
                        "shape": model_reading.shape_of(one),
                        "dtype": model_reading.dtype_of(one),
                        "trainable": bool(getattr(one, "trainable", getattr(one, "requires_grad", True))),
                    }
                    for role, one in layer.variables
                ],
            }
            for layer in layers
        ]
        self._weights = [variable for layer in layers for _, variable in layer.variables]
        states = self._introduce_states(layers)
        packages = {
            name: str(getattr(sys.modules[name], "__version__", "")) for name in PACKAGES if name in sys.modules
        }
        self._write(
            kind="header",
            version=1,
            steps=self._steps,
            framework=self._reading.framework,
            packages=packages,
            layers=self._layers,
            states=states,
            **self._reading.described(),
        )

    def _introduce_states(self, layers: "list[model_reading.LayerWeights]") -> "list[dict[str, Any]]":
        """The states of layers that are not weights; their variables are kept to be read."""
        states = []
        own = {id(variable) for variable in self._weights}
        for place, layer in enumerate(layers):
            for number, state in enumerate(layer.states):
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

    def _introduce_slots(self) -> "Any":
        """With each fit: an optimizer of tf.keras 1.13 makes new slots for `train_on_batch` after `fit`."""
        self._fresh = False
        found = self._reading.slots(list(enumerate(self._weights)))
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

    def _all_told(self, arrays: "Any") -> "Any":
        return None if arrays is None else [None if array is None else self._told(array) for array in arrays]

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


def install(prelude: "PreludeHandle", steps: int, first: int = 1) -> None:
    """Record the first `steps` steps, then those at powers of two, of the model that the fit of number `first` trains.

    Of earlier fits nothing is recorded.
    """
    trace = StepTrace(prelude, os.getcwd(), steps, first)

    def failed(error: Exception) -> None:
        trace.note("the trace ends here: %s: %s" % (type(error).__name__, str(error)[:500]))
        prelude.failed(error)

    Steps(trace, failed).install(prelude.after_import)
    TorchSteps(trace, failed).install(prelude.after_import)
