"""Sees training wherever it happens: `fit` of any Keras as phases with epochs, `train_on_batch`, and custom loops.

Nothing is added that a script could see in its callbacks: the list that calls the callbacks is listened to instead.
"""

import _thread

from . import batches, phases, wrapping

FINER = ("compile", "evaluate", "predict")


class Training(object):
    """All phases of the process, and the functions that are put around the methods of Keras' classes."""

    def __init__(self, channel, where, steps):
        self._channel = channel
        self._where = where
        self._steps = steps
        self._fits = 0
        self._stacks = {}
        self._inside = 0
        self._configs = set()
        self._batches = batches.Batches(channel, where)
        shielded = channel.shielded
        self._enter, self._leave = shielded(self._enter), shielded(self._leave)
        self._begin, self._end_epoch = shielded(self._begin), shielded(self._end_epoch)
        self._add_loss = shielded(self._add_loss)

    def watch_models(self, module, backend):
        """A module that defines classes with `fit`."""
        for cls in wrapping.own_classes(module):
            if "fit" in vars(cls) or "train_on_batch" in vars(cls):
                for name in ("fit", "fit_generator"):
                    wrapping.put_around(cls, name, lambda original: self._around_fit(original, backend))
                for name in FINER:
                    wrapping.put_around(cls, name, lambda original: self._around_finer(original))
                wrapping.put_around(cls, "train_on_batch", lambda original: self._around_batch(original, backend))
                self._watch_making(cls)

    def watch_layers(self, module):
        """A module that defines the class that all layers inherit from."""
        for cls in wrapping.own_classes(module):
            if cls.__name__ in ("Layer", "Container", "Network"):
                self._watch_making(cls)

    def watch_callbacks(self, module):
        """A module that defines the list that calls the callbacks."""
        cls = getattr(module, "CallbackList", None)
        if cls is None or cls.__module__ != module.__name__:
            return
        wrapping.put_around(cls, "on_epoch_begin", self._around_epoch_begin)
        wrapping.put_around(cls, "on_epoch_end", self._around_epoch_end)
        if self._steps:
            wrapping.put_around(cls, "_call_batch_hook", self._around_batch_hook)
            wrapping.put_around(cls, "on_train_batch_end", self._around_batch_end)
            if "_call_batch_hook" not in vars(cls) and "on_train_batch_end" not in vars(cls):
                wrapping.put_around(cls, "on_batch_end", self._around_batch_end)

    def watch_optimizers(self, module, backend):
        """A module that defines the class that all optimizers inherit from."""
        for cls in wrapping.own_classes(module):
            wrapping.put_around(cls, "apply_gradients", lambda original: self._around_apply(original, backend))

    def _watch_making(self, cls):
        building = self._channel.shielded(lambda: self._channel.mine() and self._where.building())
        wrapping.once(cls, "__init__", building)

    def _around_fit(self, original, backend):
        def fit(model, *args, **kwargs):
            phase = self._enter(model, backend)
            self._inside += 1
            try:
                result = original(model, *args, **kwargs)
            except BaseException as error:
                self._leave(phase, error)
                raise
            finally:
                self._inside -= 1
            self._leave(phase, None)
            return result

        return fit

    def _around_finer(self, original):
        name, where = original.__name__, self._where

        def call(*args, **kwargs):
            if self._inside or not self._channel.mine():
                return original(*args, **kwargs)
            before = where.phase
            where.building(name)
            where.move(where.stage, name)
            try:
                return original(*args, **kwargs)
            except BaseException as error:
                where.blame(error)
                raise
            finally:
                where.move(where.stage, before)

        return call

    def _around_batch(self, original, backend):
        def train_on_batch(model, *args, **kwargs):
            if self._inside or not self._channel.mine():
                return original(model, *args, **kwargs)
            self._inside += 1  # what it calls belongs to this call
            try:
                loop = self._batches.begin(model, backend)
                result = original(model, *args, **kwargs)
                self._batches.end(loop, result)
            except BaseException as error:
                self._where.blame(error)
                raise
            finally:
                self._inside -= 1
            return result

        return train_on_batch

    def _around_apply(self, original, backend):
        def apply_gradients(optimizer, grads_and_vars, *args, **kwargs):
            if self._inside or not self._channel.mine():
                return original(optimizer, grads_and_vars, *args, **kwargs)
            self._inside += 1
            try:
                grads_and_vars = list(grads_and_vars)  # often a zip, which can be read only once
                self._batches.apply(optimizer, [variable for _, variable in grads_and_vars], backend)
                return original(optimizer, grads_and_vars, *args, **kwargs)
            except BaseException as error:
                self._where.blame(error)
                raise
            finally:
                self._inside -= 1

        return apply_gradients

    def _around_epoch_begin(self, original):
        def on_epoch_begin(callbacks, epoch, logs=None, *args, **kwargs):
            result = original(callbacks, epoch, logs, *args, **kwargs)
            if _is_training(args, kwargs):
                self._begin(callbacks, epoch)
            return result

        return on_epoch_begin

    def _around_epoch_end(self, original):
        def on_epoch_end(callbacks, epoch, logs=None, *args, **kwargs):
            phase = self._phase() if _is_training(args, kwargs) else None
            if phase is None:
                return original(callbacks, epoch, logs, *args, **kwargs)
            seconds, told = phase.clock(), _lengths(callbacks)
            try:
                return original(callbacks, epoch, logs, *args, **kwargs)
            finally:
                self._end_epoch(phase, callbacks, logs, told, seconds)

        return on_epoch_end

    def _around_batch_hook(self, original):
        def _call_batch_hook(callbacks, mode, hook, batch, logs=None, *args, **kwargs):
            result = original(callbacks, mode, hook, batch, logs, *args, **kwargs)
            if hook == "end" and mode == "train":
                self._add_loss(batch, logs)
            return result

        return _call_batch_hook

    def _around_batch_end(self, original):
        def on_batch_end(callbacks, batch, logs=None, *args, **kwargs):
            result = original(callbacks, batch, logs, *args, **kwargs)
            self._add_loss(batch, logs)
            return result

        return on_batch_end

    def _stack(self):
        return self._stacks.setdefault(_thread.get_ident(), [])

    def _phase(self):
        stack = self._stack()
        return stack[-1] if stack else None

    def _enter(self, model, backend):
        if not self._channel.mine():
            return None
        stack = self._stack()
        phase = stack[-1] if stack else None
        if phase is None or phase.begun or model is not phase.model:
            inside = phase is not None and not phase.begun and vars(phase.model).get("model") is model
            if not inside:  # the Sequential of old hands its fit on to a Model of its own
                phase = self._new_phase(model, backend)
                stack.append(phase)
        phase.depth += 1
        return phase

    def _new_phase(self, model, backend):
        self._fits += 1
        phase = phases.Phase(self._channel, "fit-%d" % self._fits, self._fits, model, backend)
        self._where.move("training", phase.name)
        return phase

    def _leave(self, phase, error):
        if phase is None:
            return
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

    def _begin(self, callbacks, epoch):
        phase = self._phase()
        if phase is None or not self._channel.mine():
            return
        if not phase.begun:
            phase.begin(dict(_params(callbacks), initial_epoch=epoch))
            if phase.is_sampled():
                self._tell_configs(phase)
        phase.begin_epoch()

    def _tell_configs(self, phase):
        for what, text in phases.config_texts(phase.model):
            if text not in self._configs:
                self._configs.add(text)
                self._channel.emit("config", phase=phase.name, what=what, config=text)

    def _end_epoch(self, phase, callbacks, logs, told, seconds):
        if self._channel.mine():
            phase.end_epoch(_numbers(_told_since(callbacks, told, logs)), seconds)

    def _add_loss(self, batch, logs):
        phase = self._phase()
        if phase is not None and logs and "loss" in logs:
            phase.add_loss(int(batch), float(logs["loss"]))


def _is_training(args, kwargs):
    """TensorFlow 1.13 runs validation through the same methods, with another mode."""
    mode = kwargs.get("mode", args[0] if args else "train")
    return str(getattr(mode, "value", mode)) == "train"


def _history(callbacks):
    for callback in callbacks.callbacks:
        if type(callback).__name__ == "History":
            return callback.history
    return {}


def _lengths(callbacks):
    """How many values each metric has in Keras' own history; {} before the first epoch."""
    try:
        return {name: len(values) for name, values in _history(callbacks).items()}
    except Exception:
        return {}


def _told_since(callbacks, lengths, logs):
    """The logs of the epoch as Keras' history has them, plus what only the call itself was given.

    Native Keras 2 hands an empty dict to the call and lets its first callback fill in the training metrics, unseen from
    outside; other versions hand tensors over.
    """
    found = dict(logs or {})
    for name, values in _history(callbacks).items():
        if len(values) > lengths.get(name, 0):
            found[name] = values[-1]
    return found


def _numbers(logs):
    numbers = {}
    for name, value in list(logs.items())[:100]:
        try:
            numbers[str(name)[:200]] = float(value)
        except (TypeError, ValueError):
            continue
    return numbers


def _params(callbacks):
    params = getattr(callbacks, "params", None)
    if not params:
        params = next((callback.params for callback in callbacks.callbacks if getattr(callback, "params", None)), {})
    return params
