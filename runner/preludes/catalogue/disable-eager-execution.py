# does: TensorFlow 2 builds graphs and runs them in sessions, as TensorFlow 1 does; Keras takes its classes of version 1
# how: tf.compat.v1.disable_eager_execution() right after the import of TensorFlow
# applies: tensorflow>=2.0,<2.16
# reverse: enable-eager-execution
# breadth: 8


def switch(tensorflow):
    tensorflow.compat.v1.disable_eager_execution()
    if not tensorflow.executing_eagerly():
        prelude.applied("tf.compat.v1.disable_eager_execution()")


prelude.after_import("tensorflow", switch)
