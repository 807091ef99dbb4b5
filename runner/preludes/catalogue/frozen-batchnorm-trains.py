# does: BatchNormalization with trainable=False uses each batch's statistics in training, as in TensorFlow 1
# how: BatchNormalization.call as if the layer were trainable, with a momentum of 1: its moving statistics stay
# applies: tensorflow>=2.0
# reverse: frozen-batchnorm-infers
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
        if self.trainable or training in (False, 0):
            return call(self, inputs, training=training, **kwargs)
        momentum = self.momentum
        self._trainable, self.momentum = True, 1.0
        try:
            return call(self, inputs, training=training, **kwargs)
        finally:
            self._trainable, self.momentum = False, momentum
            prelude.applied(cls.__name__ + " " + self.name)

    cls.call = call_switched


for module in MODULES:
    prelude.after_import(module, switch)
