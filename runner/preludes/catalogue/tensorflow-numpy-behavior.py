# does: tensors of TensorFlow behave as arrays of NumPy do: their methods, indexing and promotion of types
# how: tf.experimental.numpy.experimental_enable_numpy_behavior() right after the import of TensorFlow
# applies: tensorflow>=2.6
# breadth: 5


def switch(tensorflow):
    tensorflow.experimental.numpy.experimental_enable_numpy_behavior()
    prelude.applied("experimental_enable_numpy_behavior()")


prelude.after_import("tensorflow", switch)
