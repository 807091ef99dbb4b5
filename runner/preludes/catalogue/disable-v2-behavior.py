# does: TensorFlow 2 behaves as TensorFlow 1: graphs, reference variables, control flow and shapes of version 1
# how: tf.compat.v1.disable_v2_behavior() right after the import of TensorFlow
# applies: tensorflow>=2.0,<2.16
# reverse: enable-v2-behavior
# breadth: 9


def switch(tensorflow):
    tensorflow.compat.v1.disable_v2_behavior()
    prelude.applied("tf.compat.v1.disable_v2_behavior()")


prelude.after_import("tensorflow", switch)
