# does: functions of TensorFlow 2, the training step of Keras among them, run operation by operation instead of as graphs
# how: tf.config.run_functions_eagerly(True), in TensorFlow 2.0 to 2.2 tf.config.experimental_run_functions_eagerly(True)
# applies: tensorflow>=2.0
# breadth: 7


def switch(tensorflow):
    config = tensorflow.config
    if hasattr(config, "run_functions_eagerly"):
        config.run_functions_eagerly(True)
        prelude.applied("tf.config.run_functions_eagerly(True)")
    else:
        config.experimental_run_functions_eagerly(True)
        prelude.applied("tf.config.experimental_run_functions_eagerly(True)")


prelude.after_import("tensorflow", switch)
