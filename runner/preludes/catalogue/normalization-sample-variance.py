# does: moving variances of BatchNormalization of images are those of a sample (n - 1), as Keras 2's fused operation has them
# how: BatchNormalization.call, then moving_variance less its old part once more by 1 / (n - 1)
# applies: tensorflow; keras>=3
# reverse: unfused-normalization
# breadth: 2
# with: normalization

import sys


def call_switched(call, self, inputs, training, **kwargs):
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


switch_normalization(call_switched)
