# does: TensorFlow 1 runs operations at once, as TensorFlow 2 does
# how: tf.enable_eager_execution() right after the import of TensorFlow
# applies: tensorflow>=1.7,<2
# reverse: disable-eager-execution
# breadth: 8


def switch(tensorflow):
    tensorflow.enable_eager_execution()
    if tensorflow.executing_eagerly():
        prelude.applied("tf.enable_eager_execution()")


prelude.after_import("tensorflow", switch)
