# does: BatchNormalization with trainable=False uses its moving statistics in training, as in TensorFlow 2
# how: BatchNormalization.call(training=False) where the layer is not trainable; in graphs that is asked in every step
# applies: tensorflow<2
# reverse: frozen-batchnorm-trains
# breadth: 2
# with: normalization

import sys


def is_trained(layer):
    if not layer.trainable:
        prelude.applied(type(layer).__name__ + " " + layer.name)
    return bool(layer.trainable)


def call_switched(call, self, inputs, training, **kwargs):
    tensorflow = sys.modules["tensorflow"]
    backend = sys.modules[type(self).__module__.partition(".layers.")[0] + ".backend"]
    phase = backend.learning_phase() if training is None else training
    if isinstance(phase, (bool, int)) or not self.trainable:
        return call(self, inputs, training=training if is_trained(self) else False, **kwargs)
    # layers are mostly frozen once they are part of a graph
    trained = tensorflow.py_func(lambda: is_trained(self), [], tensorflow.bool)
    trained.set_shape(())
    outputs = call(self, inputs, training=tensorflow.logical_and(tensorflow.cast(phase, "bool"), trained), **kwargs)
    outputs._uses_learning_phase = training is None
    return outputs


switch_normalization(call_switched)
