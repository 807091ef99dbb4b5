# does: graphs run as they were built, without TensorFlow's graph optimizers (Grappler)
# how: tf.config.optimizer.set_experimental_options({"disable_meta_optimizer": True}), sessions with the same
# applies: tensorflow>=1.12
# breadth: 5


def switch(tensorflow):
    optimizer = getattr(getattr(tensorflow, "config", None), "optimizer", None)
    if optimizer is not None and tensorflow.executing_eagerly():
        optimizer.set_experimental_options({"disable_meta_optimizer": True})
        prelude.applied("tf.config.optimizer.set_experimental_options(disable_meta_optimizer)")


def change(config):
    config.graph_options.rewrite_options.disable_meta_optimizer = True


def switch_sessions(session):
    make = session.BaseSession.__init__

    def make_switched(self, target="", graph=None, config=None):
        switched = session.config_pb2.ConfigProto()
        if config is not None:
            switched.CopyFrom(config)
        change(switched)
        make(self, target, graph, switched)
        prelude.applied("ConfigProto: disable_meta_optimizer")

    session.BaseSession.__init__ = make_switched


for tensorflow in ("tensorflow", "tensorflow_core"):
    prelude.after_import(tensorflow + ".python.client.session", switch_sessions)
prelude.after_import("tensorflow", switch)
