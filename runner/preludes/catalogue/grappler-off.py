# does: graphs run as they were built, without TensorFlow's graph optimizers (Grappler)
# how: tf.config.optimizer.set_experimental_options({"disable_meta_optimizer": True}), sessions with the same
# applies: tensorflow>=1.12
# breadth: 5
# with: sessions


def switch(tensorflow):
    optimizer = getattr(getattr(tensorflow, "config", None), "optimizer", None)
    if optimizer is not None and tensorflow.executing_eagerly():
        optimizer.set_experimental_options({"disable_meta_optimizer": True})
        prelude.applied("tf.config.optimizer.set_experimental_options(disable_meta_optimizer)")


def change(config):
    config.graph_options.rewrite_options.disable_meta_optimizer = True


switch_sessions(change, "ConfigProto: disable_meta_optimizer")
prelude.after_import("tensorflow", switch)
