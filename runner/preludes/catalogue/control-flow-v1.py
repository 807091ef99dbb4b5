# does: loops and conditions in graphs of TensorFlow 2 are made of switches and merges, as in TensorFlow 1
# how: tf.compat.v1.disable_control_flow_v2() right after the import of TensorFlow
# applies: tensorflow>=2.0
# reverse: control-flow-v2
# breadth: 4


def switch(tensorflow):
    tensorflow.compat.v1.disable_control_flow_v2()
    if not tensorflow.compat.v1.control_flow_v2_enabled():
        prelude.applied("tf.compat.v1.disable_control_flow_v2()")


prelude.after_import("tensorflow", switch)
