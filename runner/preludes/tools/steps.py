"""What the tools have in common: where a training step begins and ends in every Keras, and how a model is read.

It is put in front of a tool's own source, so that both are one prelude. It reads through the probe's own modules, which
add no op to a graph and draw no random number.
"""

import os
import re
import sys

from _runner_probe import watch, weights, wrapping

PROCESS = os.getpid()
CLASSES = ("V1", "V2", "CuDNN")
"""Parts of the names of layer classes that say nothing about what the layer computes."""
TRAINING = ("train_function", "_fit_function")
"""Where models keep the function of a graph that trains a batch."""
before_steps = vars(watch).setdefault("before_steps", [])
"""What is called with the fit before each step, whichever of the trial's tools sees the step first: it is shared by them."""


class Batch(object):
    """What is known of a batch: inputs and targets as lists of arrays; None where the rows can't be told."""

    def __init__(self, inputs, targets):
        self.inputs = inputs
        self.targets = targets


class Fit(object):
    """One call of `fit` or `train_on_batch`: its model, and the arrays that its batches are cut from."""

    def __init__(self, model, backend, arguments, single):
        self.model = model
        self.read = weights.reader(backend)
        self.backend = backend
        self.single = single
        self.rows = _Rows(arguments, single)
        self.inside = 0


class _Rows(object):
    """The rows that a batch has, where arrays are cut in their own order: the same in all versions of Keras."""

    def __init__(self, arguments, single):
        numpy = sys.modules["numpy"]
        given = [arguments.get(name) for name in ("x", "y")]
        lists = [list(one) if isinstance(one, (list, tuple)) else [one] for one in given]
        arrays = all(isinstance(array, numpy.ndarray) for one in lists for array in one)
        self.shapes = [(None,) + array.shape[1:] for array in lists[0]] if arrays else []
        """Of the inputs, where they are arrays; the number of rows is open."""
        ordered = single or not arguments.get("shuffle", True) or hasattr(watch, "fixed_order")
        self._lists = lists if arrays and ordered else None
        if self._lists is not None and not single:
            length = len(lists[0][0])
            self._size = arguments.get("batch_size") or 32
            self._end = int(length * (1.0 - (arguments.get("validation_split") or 0.0)))
        self._single = single

    def batch(self, number):
        """The batch of this number in an epoch, from 0; None where its rows can't be told."""
        if self._lists is None:
            return None
        if self._single:
            return Batch(*self._lists)
        begin = number * self._size
        end = min(begin + self._size, self._end)
        return Batch(*[[array[begin:end] for array in one] for one in self._lists]) if begin < end else None


class Steps(object):
    """Calls a listener's `begin(fit, number)` and `end(fit, number, logs)` around every training step.

    `number` is the batch's in its epoch, from 0. Where a listener has `fed`, it is called within a step of a graph with
    the function and the arrays that are fed to it, before they are. The first exception of the listener ends all of it.
    """

    def __init__(self, listener, failed):
        self._listener = listener
        self._failed = failed
        self._fits = []
        self._hook = 0
        self._open = None
        self.alive = True

    def install(self, after_import):
        """Watch the classes of every Keras."""
        for prefix in watch.PREFIXES:
            backend = prefix + ".backend"
            for suffix in watch.MODELS:
                after_import("%s.%s" % (prefix, suffix), lambda module, backend=backend: self._models(module, backend))
            for suffix in watch.CALLBACKS:
                after_import("%s.%s" % (prefix, suffix), self._callbacks)
            for name in (backend, backend + ".tensorflow_backend"):
                after_import(name, self._functions)

    def _models(self, module, backend):
        for cls in wrapping.own_classes(module):
            for name in ("fit", "fit_generator", "train_on_batch"):
                self._around(cls, name, self._enter_fit, self._leave_fit, backend, name == "train_on_batch")

    def _callbacks(self, module):
        cls = getattr(module, "CallbackList", None)
        if cls is not None and cls.__module__ == module.__name__:
            for name in ("_call_batch_hook", "on_train_batch_begin", "on_batch_begin", "on_train_batch_end", "on_batch_end"):
                self._around(cls, name, self._enter_hook, self._leave_hook, name)

    def _functions(self, module):
        for cls in wrapping.own_classes(module):
            if cls.__name__ in ("Function", "GraphExecutionFunction") and hasattr(self._listener, "fed"):
                self._around(cls, "__call__", self._enter_function, wrapping.nothing)

    def _around(self, cls, name, enter, leave, *given):
        names = []
        if name in ("fit", "fit_generator", "train_on_batch") and name in vars(cls):
            names = list(wrapping.inspect.signature(vars(cls)[name]).parameters)

        def entered(args, kwargs):
            if not self.alive or os.getpid() != PROCESS:
                return None
            return self._shielded(enter, args, kwargs, names, *given)

        def left(token, result, error):
            if token is not None:
                self._shielded(leave, token, result, error)

        wrapping.put_around(cls, name, entered, left)

    def _shielded(self, function, *args):
        try:
            return function(*args)
        except Exception as error:
            self.alive = False
            self._failed(error)
            return None

    def _enter_fit(self, args, kwargs, names, backend, single):
        model = args[0]
        outer = self._fits[-1] if self._fits else None
        if outer is not None and (outer.model is model or vars(outer.model).get("model") is model):
            if single and outer.rows._lists is None:  # a generator's batch is an argument of an inner train_on_batch
                outer.rows = _Rows(dict(zip(names, args), **kwargs), True)
            outer.inside += 1
            return outer, None
        fit = Fit(model, backend, dict(zip(names, args), **kwargs), single)
        self._fits.append(fit)
        if single:
            self._begin(fit, 0)
        return fit, single

    def _leave_fit(self, token, result, error):
        fit, single = token
        if fit.inside:
            fit.inside -= 1
            return
        if single and error is None and self._open is not None:
            values = result
            if isinstance(result, dict):
                values = result.get("loss")
            elif isinstance(result, (list, tuple)):
                values = result[0] if len(result) else None
            self._end(fit, 0, {"loss": values})
        self._open = None
        if fit in self._fits:
            self._fits.remove(fit)

    def _enter_hook(self, args, kwargs, names, name):
        self._hook += 1
        if self._hook > 1 or not self._fits:
            return name
        values = args[1:]
        if name == "_call_batch_hook":
            if str(getattr(values[0], "value", values[0])) != "train":
                return name
            name, values = "on_batch_" + values[1], values[2:]
        number = int(values[0] if values else kwargs["batch"])
        logs = values[1] if len(values) > 1 else kwargs.get("logs")
        if name.endswith("begin"):
            self._begin(self._fits[-1], number)
        else:
            self._end(self._fits[-1], number, logs or {})
        return name

    def _leave_hook(self, token, result, error):
        self._hook -= 1

    def _enter_function(self, args, kwargs, names):
        if self._open is None:
            return
        model = self._open[0].model  # the Sequential of old has a model of its own that trains for it
        functions = [vars(one).get(name) for one in (model, vars(model).get("model", model)) for name in TRAINING]
        if any(function is args[0] for function in functions):
            self._listener.fed(self._open[0], args[0], list(args[1] if len(args) > 1 else kwargs["inputs"]))

    def _begin(self, fit, number):
        self._open = (fit, number)
        if getattr(fit.model, "built", True) is False and fit.rows.shapes:
            build(fit.model, fit.rows.shapes)
        for before in before_steps:
            before(fit)
        self._listener.begin(fit, number)

    def _end(self, fit, number, logs):
        if self._open is not None and self._open[0] is fit:
            self._listener.end(fit, number, self._open[1], logs)
        self._open = None


def build(model, shapes):
    """Have the weights of a model that would else be made within its first step; one that can't be built stays."""
    try:
        model.build(shapes[0] if len(shapes) == 1 else shapes)
    except Exception:
        pass


def class_of(layer):
    """The name of a layer's class, without what only says which implementation it is."""
    name = type(layer).__name__
    for part in CLASSES:
        name = name.replace(part, "")
    return name


def layers_of(model):
    """(layer, its variables) of every layer that has variables, in the model's order; models within are opened."""
    found, seen = [], set()

    def visit(layers):
        for layer in layers:
            if id(layer) in seen:
                continue
            seen.add(id(layer))
            inner = getattr(layer, "layers", None)
            if isinstance(inner, (list, tuple)) and inner:
                visit(inner)
                continue
            variables = weights.variables_of(layer)
            if variables:
                found.append((layer, variables))

    visit(list(getattr(model, "layers", ())))
    return found


def roles_of(variables):
    """What each variable of a layer is to it: "kernel", "bias"; the second of one name is "kernel-2"."""
    roles = []
    for variable in variables:
        role = str(getattr(variable, "path", None) or variable.name).split("/")[-1].split(":")[0]
        role = re.sub(r"_\d+$", "", role) or "weight"
        same = sum(re.sub(r"-\d+$", "", other) == role for other in roles)
        roles.append("%s-%d" % (role, same + 1) if same else role)
    return roles


def shape_of(variable):
    """A variable's shape as a list."""
    return [int(getattr(length, "value", length) or 0) for length in tuple(variable.shape)]
