# does: loops and conditions of TensorFlow 1 become functional operations, as in TensorFlow 2
# how: control_flow_util.ENABLE_CONTROL_FLOW_V2 = True
# applies: tensorflow>=1.13,<2
# reverse: control-flow-v1
# breadth: 4


def switch(control_flow_util):
    if not control_flow_util.ENABLE_CONTROL_FLOW_V2:
        control_flow_util.ENABLE_CONTROL_FLOW_V2 = True
        prelude.applied("control_flow_util.ENABLE_CONTROL_FLOW_V2 = True")


for name in ("tensorflow.python.ops.control_flow_util", "tensorflow_core.python.ops.control_flow_util"):
    prelude.after_import(name, switch)
