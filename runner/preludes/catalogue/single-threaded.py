# does: TensorFlow computes one operation at a time, in one thread
# how: tf.config.threading with 1 and 1, sessions with 1 and 1 (also those that Keras makes)
# applies: tensorflow
# breadth: 5


def switch(tensorflow):
    threading = getattr(getattr(tensorflow, "config", None), "threading", None)
    if threading is not None and tensorflow.executing_eagerly():
        threading.set_intra_op_parallelism_threads(1)
        threading.set_inter_op_parallelism_threads(1)
        prelude.applied("tf.config.threading: 1 intra, 1 inter")


def change(config):
    config.intra_op_parallelism_threads = 1
    config.inter_op_parallelism_threads = 1


def switch_sessions(session):
    make = session.BaseSession.__init__

    def make_switched(self, target="", graph=None, config=None):
        switched = session.config_pb2.ConfigProto()
        if config is not None:
            switched.CopyFrom(config)
        change(switched)
        make(self, target, graph, switched)
        prelude.applied("ConfigProto: 1 intra, 1 inter")

    session.BaseSession.__init__ = make_switched


for tensorflow in ("tensorflow", "tensorflow_core"):
    prelude.after_import(tensorflow + ".python.client.session", switch_sessions)
prelude.after_import("tensorflow", switch)
