# does: TensorFlow 1 behaves as TensorFlow 2: eager execution, resource variables, control flow and shapes of version 2
# how: tf.compat.v1.enable_v2_behavior() right after the import of TensorFlow
# applies: tensorflow>=1.13,<2
# reverse: disable-v2-behavior
# breadth: 9


def switch(tensorflow):
    tensorflow.compat.v1.enable_v2_behavior()
    prelude.applied("tf.compat.v1.enable_v2_behavior()")


prelude.after_import("tensorflow", switch)
