"""Tools that make two trials equal: one gets the other's initial weights; batches come in the data's own order."""

import base64
import inspect
import sys
import zlib

from _runner_probe import watched_imports, wrapping

from . import model_reading, steps, torch_steps

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from _runner_probe.preparation import PreludeHandle


def fix_order(prelude: "PreludeHandle") -> None:
    """Have batches cut from the data in the data's own order: `shuffle=False` in every call of `fit`.

    Two versions of Keras that shuffle draw other orders even from the same seed, and which rows a batch has can't be
    read in those that shuffle inside of TensorFlow. What `fit` gets as a generator or a data set keeps the order
    that it has. Loaders of PyTorch take their rows in order too, where a random sampler would choose them.
    """
    steps.shared.fixed_order = True
    told: set[str] = set()

    def enter_with(position: int, default: "Any") -> "Any":
        def enter(args: "Any", kwargs: "Any") -> None:
            asked = args[position] if len(args) > position else kwargs.get("shuffle", default)
            if len(args) > position:
                args[position] = False
            else:
                kwargs["shuffle"] = False
            note = "fit(shuffle=False), where it was %s" % (asked,)
            if note not in told:
                told.add(note)
                prelude.applied(note)

        return enter

    def order(module: "Any") -> None:
        for cls in wrapping.own_classes(module):
            for name in ("fit", "fit_generator"):
                method = vars(cls).get(name)
                if inspect.isfunction(method):
                    parameters = list(inspect.signature(method).parameters.values())
                    names = [parameter.name for parameter in parameters]
                    if "shuffle" in names:
                        position = names.index("shuffle")
                        enter = enter_with(position, parameters[position].default)
                        wrapping.put_around(cls, name, enter, wrapping.nothing)

    for prefix in watched_imports.PREFIXES:
        for suffix in watched_imports.MODELS:
            prelude.after_import("%s.%s" % (prefix, suffix), order)
    prelude.after_import("torch.utils.data.sampler", lambda module: _order_samplers(prelude, module))


def _order_samplers(prelude: "PreludeHandle", module: "Any") -> None:
    """Have the samplers that draw an order go through the rows as they are."""
    told: set[str] = set()

    def in_order(sampler: "Any") -> "Any":
        name = type(sampler).__name__
        if name not in told:
            told.add(name)
            prelude.applied("%s takes its rows in order" % name)
        rows = sampler.indices if hasattr(sampler, "indices") else range(len(sampler.data_source))
        return iter([rows[place % len(rows)] for place in range(len(sampler))])

    for name in ("RandomSampler", "SubsetRandomSampler"):
        getattr(module, name).__iter__ = in_order


def set_initial_weights(prelude: "PreludeHandle", given: "dict[str, Any]", first: int = 1) -> None:
    """Set the model's weights to given ones, right before the first training step of the fit of number `first`.

    `given` holds them as the trace recorded them. Each layer takes those of the layer that has its place, class,
    roles and shapes; where one fits nothing, nothing is set and the trial says why.
    """
    initial = Initial(prelude, given["layers"], first)
    steps.shared.before_steps.append(initial.before)
    steps.Steps(initial, prelude.failed).install(prelude.after_import)
    torch_steps.TorchSteps(initial, prelude.failed).install(prelude.after_import)


class Initial:
    """Sets the weights before the first step of all, or of the first of a later fit."""

    def __init__(self, prelude: "PreludeHandle", layers: "Any", first: int) -> None:
        self._first = first
        self._prelude = prelude
        self._layers = layers
        self._done = False

    def before(self, fit: "Any") -> None:
        """A step of a fit is about to be taken, or what a loop of PyTorch trains is about to be used."""
        if not self._done and getattr(fit, "number", self._first) >= self._first:
            self._done = True
            try:
                self._put(fit.reading(self._prelude.applied))
            except Exception as error:
                self._prelude.failed(error)

    def ready(self, fit: "Any") -> None:
        """Nothing: what is shared by all tools was called already."""

    def begin(self, fit: "Any", number: int) -> None:
        """Nothing."""

    def end(self, fit: "Any", number: int, first: int, logs: "Any") -> None:
        """Nothing."""

    def _put(self, reading: "Any") -> None:
        layers = reading.layers()
        if not layers:
            raise ValueError("the model has no weights before its first batch: it is built by it, too late to set them")
        places = _matched([_signature(layer) for layer in layers], self._layers)
        todo = []
        for layer, place in zip(layers, places):
            for (_, variable), given in zip(layer.variables, self._layers[place]["weights"]):
                todo.append((variable, _array_of(given)))
        reading.write(todo)
        self._prelude.applied("%d weights of %d layers set before the first step" % (len(todo), len(layers)))


def _signature(layer: "Any") -> "Any":
    return layer.kind, tuple((role, tuple(model_reading.shape_of(one))) for role, one in layer.variables)


def _matched(signatures: "Any", layers: "Any") -> "Any":
    """For each layer the place of the given layer that it takes: the same, else the first free one of its kind."""
    given = [
        (layer["class"], tuple((one["role"], tuple(one["shape"])) for one in layer["weights"])) for layer in layers
    ]
    if given == signatures:
        return list(range(len(given)))
    free, places = list(range(len(given))), []
    for wanted in signatures:
        fitting = [place for place in free if given[place] == wanted]
        if not fitting:
            raise ValueError(
                "no given layer fits %s: given are %s" % (_described(wanted), "; ".join(map(_described, given)))
            )
        free.remove(fitting[0])
        places.append(fitting[0])
    if free:
        raise ValueError("the model has no layer for %s" % "; ".join(_described(given[place]) for place in free))
    return places


def _described(one: "Any") -> "Any":
    return "%s(%s)" % (one[0], ", ".join("%s %s" % (role, list(shape)) for role, shape in one[1]))


def _array_of(given: "Any") -> "Any":
    numpy = sys.modules["numpy"]
    dtype = numpy.dtype(given["dtype"])
    size = dtype.itemsize * int(numpy.prod(given["shape"], dtype="int64"))
    data = zlib.decompressobj().decompress(base64.b64decode(given["data"]), size)
    return numpy.frombuffer(data, dtype=dtype).reshape(given["shape"])
