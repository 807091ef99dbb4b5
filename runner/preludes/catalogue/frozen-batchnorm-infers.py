# does: BatchNormalization with trainable=False uses its moving statistics in training, as in TensorFlow 2
# how: BatchNormalization.call(training=False) where the layer is not trainable
# applies: tensorflow<2
# reverse: frozen-batchnorm-trains
# breadth: 2

import functools

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
        if isinstance(cls, type) and cls.__name__.startswith("BatchNormalization") and "call" in vars(cls):
            switch_class(cls)


def switch_class(cls):
    call = cls.call

    @functools.wraps(call)
    def call_switched(self, inputs, training=None, **kwargs):
        if not self.trainable:
            training = False
            prelude.applied(cls.__name__ + " " + self.name)
        return call(self, inputs, training=training, **kwargs)

    cls.call = call_switched


for module in MODULES:
    prelude.after_import(module, switch)
