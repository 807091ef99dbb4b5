# does: graphs are compiled by XLA where it can, on processors too
# how: sessions with global_jit_level ON_1, tf.config.optimizer.set_jit(True), TF_XLA_FLAGS=--tf_xla_cpu_global_jit
# applies: tensorflow>=1.13
# reverse: no-xla-jit
# breadth: 6
# with: sessions

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


switch_sessions(change, "ConfigProto: global_jit_level = ON_1")
prelude.after_import("tensorflow", switch)
