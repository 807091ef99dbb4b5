# does: graphs are compiled by XLA where it can, on processors too
# how: sessions with global_jit_level ON_1, tf.config.optimizer.set_jit(True), TF_XLA_FLAGS=--tf_xla_cpu_global_jit
# applies: tensorflow>=1.13
# reverse: no-xla-jit
# breadth: 6

import os

FLAG = "--tf_xla_cpu_global_jit"
os.environ["TF_XLA_FLAGS"] = (os.environ.get("TF_XLA_FLAGS", "") + " " + FLAG).strip()


def switch(tensorflow):
    optimizer = getattr(getattr(tensorflow, "config", None), "optimizer", None)
    if optimizer is not None and tensorflow.executing_eagerly():
        optimizer.set_jit(True)
        prelude.applied("tf.config.optimizer.set_jit(True)")


def change(config):
    config.graph_options.optimizer_options.global_jit_level = 1


def switch_sessions(session):
    make = session.BaseSession.__init__

    def make_switched(self, target="", graph=None, config=None):
        switched = session.config_pb2.ConfigProto()
        if config is not None:
            switched.CopyFrom(config)
        change(switched)
        make(self, target, graph, switched)
        prelude.applied("ConfigProto: global_jit_level = ON_1")

    session.BaseSession.__init__ = make_switched


for tensorflow in ("tensorflow", "tensorflow_core"):
    prelude.after_import(tensorflow + ".python.client.session", switch_sessions)
prelude.after_import("tensorflow", switch)
