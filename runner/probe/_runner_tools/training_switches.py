"""Switches of how Keras trains: the learning phase, batch normalization, and which optimizers it has.

Each is a function of `prelude`, described in its docstring as those of `execution_switches` are.
"""

import functools
import inspect
import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from _runner_probe.preparation import PreludeHandle

NORMALIZATIONS = (
    "keras.layers.normalization",
    "keras.layers.normalization.batch_normalization",
    "keras.src.layers.normalization.batch_normalization",
    "tf_keras.src.layers.normalization.batch_normalization",
    "tensorflow.python.keras.layers.normalization",
    "tensorflow_core.python.keras.layers.normalization",
)
KERAS = ("keras", "tensorflow.python.keras", "tensorflow.python.keras._impl.keras", "tensorflow_core.python.keras")
OPTIMIZERS = ("SGD", "Adam", "Adagrad", "Adadelta", "RMSprop", "Adamax", "Nadam", "Ftrl")


def learning_phase_off(prelude: "PreludeHandle") -> None:
    """layers are in the inference phase everywhere, in training too: no dropout, moving statistics

    how: keras.backend.learning_phase() is 0 in every Keras
    fix: keras.backend.set_learning_phase(0)
    applies: tensorflow<2 or keras<2.4
    reverse: learning-phase-on
    breadth: 4
    """
    _hold_learning_phase(prelude, 0)


def learning_phase_on(prelude: "PreludeHandle") -> None:
    """layers are in the training phase everywhere, in evaluation and prediction too

    how: keras.backend.learning_phase() is 1 in every Keras
    fix: keras.backend.set_learning_phase(1)
    applies: tensorflow<2 or keras<2.4
    reverse: learning-phase-off
    breadth: 4
    """
    _hold_learning_phase(prelude, 1)


def _hold_learning_phase(prelude: "PreludeHandle", value: int) -> None:
    def learning_phase() -> int:
        prelude.applied("learning_phase() = %d" % value)
        return value

    def switch(backend: "Any") -> None:
        if hasattr(backend, "learning_phase"):
            backend.learning_phase = learning_phase

    for keras in KERAS:
        prelude.after_import(keras + ".backend", switch)
        prelude.after_import(keras + ".backend.tensorflow_backend", switch)


def frozen_batchnorm_infers(prelude: "PreludeHandle") -> None:
    """BatchNormalization with trainable=False uses its moving statistics in training, as in TensorFlow 2

    how: BatchNormalization.call(training=False) where the layer is not trainable; in graphs that is asked in every step
    fix: none: the layer has to be called with training=False where the model is built, which only who wrote it can
        place
    applies: tensorflow<2 or keras<2.4
    reverse: frozen-batchnorm-trains
    breadth: 2
    """
    within: set[Any] = set()
    told: set[str] = set()
    _watch_frozen_models(prelude, within)

    def is_trained(layer: "Any") -> bool:
        trained = layer.trainable and id(layer) not in within
        if not trained and layer.name not in told:
            told.add(layer.name)
            prelude.applied(type(layer).__name__ + " " + layer.name)
        return bool(trained)

    def call_switched(call: "Any", self: "Any", inputs: "Any", training: "Any", **kwargs: "Any") -> "Any":
        tensorflow = sys.modules["tensorflow"]
        backend = sys.modules[type(self).__module__.partition(".layers.")[0] + ".backend"]
        phase = backend.learning_phase() if training is None else training
        if isinstance(phase, (bool, int)) or not self.trainable:
            return call(self, inputs, training=training if is_trained(self) else False, **kwargs)
        # layers are mostly frozen once they are part of a graph
        py_func = getattr(tensorflow, "py_func", None) or tensorflow.compat.v1.py_func
        trained = py_func(lambda: is_trained(self), [], tensorflow.bool)
        trained.set_shape(())
        if not hasattr(tensorflow, "py_func"):  # native Keras on TensorFlow 2 asks whether a set has `training`
            training_outputs = call(self, inputs, training=training, **kwargs)
            inferred = call(self, inputs, training=False, **kwargs)
            outputs = tensorflow.cond(trained, lambda: training_outputs, lambda: inferred)
            outputs._uses_learning_phase = training is None
            return outputs
        both = tensorflow.logical_and(tensorflow.cast(phase, "bool"), trained)
        outputs = call(self, inputs, training=both, **kwargs)
        outputs._uses_learning_phase = training is None
        return outputs

    _switch_normalization(prelude, call_switched)


def _watch_frozen_models(prelude: "PreludeHandle", within: "set[Any]") -> None:
    """Keep in `within` the ids of the layers that are in a frozen model: native Keras 2 leaves their own flags alone.

    A model's flags count from when it, or one that it is part of, is compiled.
    """

    def layers_of(model: "Any", frozen: bool) -> "Any":
        for layer in getattr(model, "layers", ()):
            inner = frozen or not getattr(layer, "trainable", True)
            yield layer, frozen
            yield from layers_of(layer, inner)

    def switch(module: "Any") -> None:
        for cls in list(vars(module).values()):
            if isinstance(cls, type) and cls.__module__ == module.__name__ and "compile" in vars(cls):
                switch_class(cls)

    def switch_class(cls: "Any") -> None:
        compile_model = cls.compile

        @functools.wraps(compile_model)
        def switched(self: "Any", *args: "Any", **kwargs: "Any") -> "Any":
            for layer, frozen in layers_of(self, not self.trainable):
                (within.add if frozen else within.discard)(id(layer))
            return compile_model(self, *args, **kwargs)

        cls.compile = switched

    for module in ("keras.engine.training", "keras.models"):
        prelude.after_import(module, switch)


def frozen_batchnorm_trains(prelude: "PreludeHandle") -> None:
    """BatchNormalization with trainable=False uses each batch's statistics in training, as in TensorFlow 1

    how: BatchNormalization.call as if the layer were trainable, with a momentum of 1: its moving statistics stay
    fix: none: the layer has to stay trainable, with momentum=1.0, which only who wrote it can place
    applies: tensorflow>=2.0 or keras>=3
    reverse: frozen-batchnorm-infers
    breadth: 2
    """

    def call_switched(call: "Any", self: "Any", inputs: "Any", training: "Any", **kwargs: "Any") -> "Any":
        if self.trainable or training in (False, 0):
            return call(self, inputs, training=training, **kwargs)
        momentum = self.momentum
        self._trainable, self.momentum = True, 1.0
        try:
            return call(self, inputs, training=training, **kwargs)
        finally:
            self._trainable, self.momentum = False, momentum
            prelude.applied(type(self).__name__ + " " + self.name)

    _switch_normalization(prelude, call_switched)


def normalization_sample_variance(prelude: "PreludeHandle") -> None:
    """moving variances of BatchNormalization of images are those of a sample (n - 1), as in Keras 2's fused operation

    how: BatchNormalization.call, then moving_variance less its old part once more by 1 / (n - 1)
    fix: none: no Keras that computes moving variances of all values can be told to take those of a sample
    applies: tensorflow; keras>=3
    reverse: unfused-normalization
    breadth: 2
    """

    def call_switched(call: "Any", self: "Any", inputs: "Any", training: "Any", **kwargs: "Any") -> "Any":
        tensorflow = sys.modules["tensorflow"]
        if not training or not self.trainable or len(inputs.shape) != 4:
            return call(self, inputs, training=training, **kwargs)
        before = tensorflow.identity(self.moving_variance.value)
        outputs = call(self, inputs, training=training, **kwargs)
        after = tensorflow.identity(self.moving_variance.value)
        values = tensorflow.size(inputs) // inputs.shape[self.axis]
        self.moving_variance.assign(after + (after - self.momentum * before) / tensorflow.cast(values - 1, after.dtype))
        prelude.applied(type(self).__name__ + " " + self.name)
        return outputs

    _switch_normalization(prelude, call_switched)


def _switch_normalization(prelude: "PreludeHandle", call_switched: "Any") -> None:
    """Have every BatchNormalization called by `call_switched(call, layer, inputs, training, **others)`."""

    def switch_module(normalization: "Any") -> None:
        for cls in list(vars(normalization).values()):
            if isinstance(cls, type) and cls.__name__.startswith("BatchNormalization") and "call" in vars(cls):
                switch_class(cls)

    def switch_class(cls: "Any") -> None:
        call = cls.call

        @functools.wraps(call)
        def switched(self: "Any", inputs: "Any", training: "Any" = None, **kwargs: "Any") -> "Any":
            return call_switched(call, self, inputs, training, **kwargs)

        cls.call = switched

    for module in NORMALIZATIONS:
        prelude.after_import(module, switch_module)


def unfused_normalization(prelude: "PreludeHandle") -> None:
    """BatchNormalization of images is computed step by step instead of by one fused operation

    how: BatchNormalization(fused=False) where the script says nothing; native Keras' backend takes its other way
    fix: in BatchNormalization: fused=False
    applies: tensorflow>=1.4,<2.16 or tf-keras
    reverse: normalization-sample-variance
    breadth: 2
    """

    def switch(normalization: "Any") -> None:
        for cls in list(vars(normalization).values()):
            makes = isinstance(cls, type) and "__init__" in vars(cls)
            if makes and "fused" in inspect.signature(cls.__init__).parameters:
                _make_unfused(prelude, cls)

    def switch_keras(backend: "Any") -> None:
        def normalize(x: "Any", gamma: "Any", beta: "Any", reduction_axes: "Any", epsilon: float = 1e-3) -> "Any":
            prelude.applied("keras.backend.normalize_batch_in_training")
            is_last = sorted(reduction_axes) == list(range(backend.ndim(x)))[:-1]
            name = "_regular_normalize_batch_in_training" if is_last else "_broadcast_normalize_batch_in_training"
            return getattr(backend, name)(x, gamma, beta, reduction_axes, epsilon=epsilon)

        if hasattr(backend, "_fused_normalize_batch_in_training"):
            backend._fused_normalize_batch_in_training = normalize

    for module in NORMALIZATIONS:
        prelude.after_import(module, switch)
    prelude.after_import("keras.backend.tensorflow_backend", switch_keras)


def _make_unfused(prelude: "PreludeHandle", cls: "Any") -> None:
    make = cls.__init__
    signature = inspect.signature(make)

    @functools.wraps(make)
    def make_switched(self: "Any", *args: "Any", **kwargs: "Any") -> None:
        if signature.bind_partial(self, *args, **kwargs).arguments.get("fused") is None:
            kwargs["fused"] = False
            prelude.applied(cls.__name__ + "(fused=False)")
        make(self, *args, **kwargs)

    make_switched.__signature__ = signature  # type: ignore[attr-defined]
    cls.__init__ = make_switched


def legacy_optimizers(prelude: "PreludeHandle") -> None:
    """the optimizers of Keras are those from before Keras 2.11

    how: keras.optimizers.SGD and so on are those of keras.optimizers.legacy, by class and by name
    fix: from keras.optimizers.legacy: SGD Adam Adagrad Adadelta RMSprop Adamax Nadam Ftrl
    applies: tensorflow>=2.11,<2.16
    reverse: new-optimizers
    breadth: 4
    """
    _switch_optimizers(prelude, "legacy", legacy=True)


def new_optimizers(prelude: "PreludeHandle") -> None:
    """the optimizers of Keras are those that Keras 2.11 made its standard

    how: keras.optimizers.SGD and so on are those of keras.optimizers.experimental, by class and by name
    fix: from keras.optimizers.experimental: SGD Adam Adagrad Adadelta RMSprop
    applies: tensorflow>=2.10,<2.11
    reverse: legacy-optimizers
    breadth: 4
    """
    _switch_optimizers(prelude, "experimental", legacy=False)


def _switch_optimizers(prelude: "PreludeHandle", package: str, *, legacy: bool) -> None:
    """Put the optimizers of `keras.optimizers.<package>` in place; `legacy` is what Keras calls them."""

    def switch_classes(optimizers: "Any") -> None:
        for name in OPTIMIZERS:
            other = getattr(getattr(optimizers, package), name)
            if getattr(optimizers, name) is not other:
                setattr(optimizers, name, other)
                prelude.applied("classes of " + optimizers.__name__)

    def switch_names(optimizers: "Any") -> None:
        deserialize = optimizers.deserialize

        @functools.wraps(deserialize)
        def deserialize_switched(config: "Any", *args: "Any", **kwargs: "Any") -> "Any":
            if not config["config"]:  # a mere name, such as "sgd"
                kwargs["use_legacy_optimizer"] = legacy
                prelude.applied("the name " + config["class_name"])
            return deserialize(config, *args, **kwargs)

        optimizers.deserialize = deserialize_switched

    def switch(optimizers: "Any") -> None:
        if hasattr(getattr(optimizers, package, None), "SGD"):
            switch_classes(optimizers)
        if getattr(optimizers.deserialize, "__module__", None) == optimizers.__name__:
            switch_names(optimizers)

    # `from tensorflow.keras.optimizers import SGD` makes the API's modules once more, by other names.
    for keras in ("keras", "keras.src", "keras.api._v2.keras", "tensorflow.keras"):
        prelude.after_import(keras + ".optimizers", switch)
