# Part of switches: the `call` of every BatchNormalization is another one.

import functools

MODULES = (
    "keras.layers.normalization",
    "keras.layers.normalization.batch_normalization",
    "keras.src.layers.normalization.batch_normalization",
    "tf_keras.src.layers.normalization.batch_normalization",
    "tensorflow.python.keras.layers.normalization",
    "tensorflow_core.python.keras.layers.normalization",
)


def switch_normalization(call_switched):
    """`call_switched` gets the class's own `call`, the layer, its inputs, `training` and what else there is."""

    def switch_module(normalization):
        for cls in list(vars(normalization).values()):
            if isinstance(cls, type) and cls.__name__.startswith("BatchNormalization") and "call" in vars(cls):
                switch_class(cls)

    def switch_class(cls):
        call = cls.call

        @functools.wraps(call)
        def switched(self, inputs, training=None, **kwargs):
            return call_switched(call, self, inputs, training, **kwargs)

        cls.call = switched

    for module in MODULES:
        prelude.after_import(module, switch_module)
