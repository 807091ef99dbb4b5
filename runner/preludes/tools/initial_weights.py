"""Sets the model's weights to given ones, right before its first training step.

INITIAL, put in front of this source, holds them as trace.py recorded them. Each layer takes those of the layer that has
its place, class, roles and shapes; where one fits nothing, nothing is set and the trial says why.
"""

import base64
import zlib


class Initial(object):
    """Sets the weights before the first step of all."""

    def __init__(self):
        self._done = False

    def before(self, fit):
        if not self._done:
            self._done = True
            try:
                put(fit)
            except Exception as error:
                prelude.failed(error)

    def begin(self, fit, number):
        """Nothing: what is shared by all tools was called already."""

    def end(self, fit, number, first, logs):
        """Nothing."""


def put(fit):
    layers = layers_of(fit.model)
    if not layers:
        raise ValueError("the model has no weights before its first batch: it is built by it, too late to set them")
    places = matched([signature(layer, variables) for layer, variables in layers])
    todo = []
    for (layer, variables), place in zip(layers, places):
        for variable, given in zip(variables, INITIAL["layers"][place]["weights"]):
            todo.append((variable, array_of(given)))
    for variable, array in todo:
        write(fit, variable, array)
    prelude.applied("%d weights of %d layers set before the first step" % (len(todo), len(layers)))


def signature(layer, variables):
    return class_of(layer), tuple((role, tuple(shape_of(one))) for role, one in zip(roles_of(variables), variables))


def matched(signatures):
    """For each layer the place of the given layer that it takes: the same place, else the first free one of its kind."""
    given = [
        (layer["class"], tuple((one["role"], tuple(one["shape"])) for one in layer["weights"]))
        for layer in INITIAL["layers"]
    ]
    if given == signatures:
        return list(range(len(given)))
    free, places = list(range(len(given))), []
    for wanted in signatures:
        fitting = [place for place in free if given[place] == wanted]
        if not fitting:
            raise ValueError("no given layer fits %s: given are %s" % (said(wanted), "; ".join(map(said, given))))
        free.remove(fitting[0])
        places.append(fitting[0])
    if free:
        raise ValueError("the model has no layer for %s" % "; ".join(said(given[place]) for place in free))
    return places


def said(one):
    return "%s(%s)" % (one[0], ", ".join("%s %s" % (role, list(shape)) for role, shape in one[1]))


def array_of(given):
    numpy = sys.modules["numpy"]
    dtype = numpy.dtype(given["dtype"])
    size = dtype.itemsize * int(numpy.prod(given["shape"], dtype="int64"))
    data = zlib.decompressobj().decompress(base64.b64decode(given["data"]), size)
    return numpy.frombuffer(data, dtype=dtype).reshape(given["shape"])


def write(fit, variable, array):
    """Set a variable; in a graph by its own initializer, which is there already and takes any value."""
    if weights.is_eager():
        variable.assign(array)
        return
    initializer = variable.initializer
    session = sys.modules[fit.backend].get_session()
    session.run(initializer, feed_dict={initializer.inputs[1]: array})


initial = Initial()
before_steps.append(initial.before)
Steps(initial, prelude.failed).install(prelude.after_import)
