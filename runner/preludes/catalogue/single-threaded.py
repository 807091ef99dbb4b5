# does: TensorFlow computes one operation at a time, in one thread
# how: tf.config.threading with 1 and 1, sessions with 1 and 1 (also those that Keras makes)
# applies: tensorflow
# breadth: 5
# with: sessions


def switch(tensorflow):
    threading = getattr(getattr(tensorflow, "config", None), "threading", None)
    if threading is not None and tensorflow.executing_eagerly():
        threading.set_intra_op_parallelism_threads(1)
        threading.set_inter_op_parallelism_threads(1)
        prelude.applied("tf.config.threading: 1 intra, 1 inter")


def change(config):
    config.intra_op_parallelism_threads = 1
    config.inter_op_parallelism_threads = 1


switch_sessions(change, "ConfigProto: 1 intra, 1 inter")
prelude.after_import("tensorflow", switch)
