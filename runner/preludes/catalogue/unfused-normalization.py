# does: BatchNormalization of images is computed step by step instead of by one fused operation
# how: BatchNormalization(fused=False) where the script says nothing; native Keras' backend takes its other way
# applies: tensorflow>=1.4,<2.16
# reverse: normalization-sample-variance
# breadth: 2

import functools
import inspect

MODULES = (
    "keras.layers.normalization",
    "keras.layers.normalization.batch_normalization",
    "keras.src.layers.normalization.batch_normalization",
    "tf_keras.src.layers.normalization.batch_normalization",
    "tensorflow.python.keras.layers.normalization",
    "tensorflow_core.python.keras.layers.normalization",
)


def switch(normalization):
    for cls in list(vars(normalization).values()):
        if isinstance(cls, type) and "fused" in inspect.signature(cls.__init__).parameters and "__init__" in vars(cls):
            switch_class(cls)


def switch_class(cls):
    make = cls.__init__
    signature = inspect.signature(make)

    @functools.wraps(make)
    def make_switched(self, *args, **kwargs):
        if signature.bind_partial(self, *args, **kwargs).arguments.get("fused") is None:
            kwargs["fused"] = False
            prelude.applied(cls.__name__ + "(fused=False)")
        make(self, *args, **kwargs)

    make_switched.__signature__ = signature
    cls.__init__ = make_switched


def switch_keras(backend):
    def normalize(x, gamma, beta, reduction_axes, epsilon=1e-3):
        prelude.applied("keras.backend.normalize_batch_in_training")
        is_last = sorted(reduction_axes) == list(range(backend.ndim(x)))[:-1]
        name = "_regular_normalize_batch_in_training" if is_last else "_broadcast_normalize_batch_in_training"
        return getattr(backend, name)(x, gamma, beta, reduction_axes, epsilon=epsilon)

    if hasattr(backend, "_fused_normalize_batch_in_training"):
        backend._fused_normalize_batch_in_training = normalize


for module in MODULES:
    prelude.after_import(module, switch)
prelude.after_import("keras.backend.tensorflow_backend", switch_keras)
