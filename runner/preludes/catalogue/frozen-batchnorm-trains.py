# does: BatchNormalization with trainable=False uses each batch's statistics in training, as in TensorFlow 1
# how: BatchNormalization.call as if the layer were trainable, with a momentum of 1: its moving statistics stay
# applies: tensorflow>=2.0
# reverse: frozen-batchnorm-infers
# breadth: 2
# with: normalization


def call_switched(call, self, inputs, training, **kwargs):
    if self.trainable or training in (False, 0):
        return call(self, inputs, training=training, **kwargs)
    momentum = self.momentum
    self._trainable, self.momentum = True, 1.0
    try:
        return call(self, inputs, training=training, **kwargs)
    finally:
        self._trainable, self.momentum = False, momentum
        prelude.applied(type(self).__name__ + " " + self.name)


switch_normalization(call_switched)
