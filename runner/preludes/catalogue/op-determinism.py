# does: operations of TensorFlow give the same bits in every run; where no seed is set, it is 0
# how: tf.config.experimental.enable_op_determinism() right after the import of TensorFlow
# applies: tensorflow>=2.8
# breadth: 4

import sys


def switch(tensorflow):
    context = sys.modules["tensorflow.python.eager.context"]
    note = "enable_op_determinism()"
    if context.global_seed() is None:
        tensorflow.random.set_seed(0)  # without one, every random operation is refused
        note += ", set_seed(0)"
    tensorflow.config.experimental.enable_op_determinism()
    prelude.applied(note)


prelude.after_import("tensorflow", switch)
