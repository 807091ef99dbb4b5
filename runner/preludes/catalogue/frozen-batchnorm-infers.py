# does: BatchNormalization with trainable=False uses its moving statistics in training, as in TensorFlow 2
# how: BatchNormalization.call(training=False) where the layer is not trainable
# applies: tensorflow<2
# reverse: frozen-batchnorm-trains
# breadth: 2
# with: normalization


def call_switched(call, self, inputs, training, **kwargs):
    if not self.trainable:
        training = False
        prelude.applied(type(self).__name__ + " " + self.name)
    return call(self, inputs, training=training, **kwargs)


switch_normalization(call_switched)
