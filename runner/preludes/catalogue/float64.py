# does: Keras computes in 64 bits where the script names no type
# how: keras.backend.set_floatx("float64") in every Keras, after it read its configuration
# breadth: 6

KERAS = (
    "keras",
    "keras.src",
    "tf_keras",
    "tf_keras.src",
    "tensorflow.python.keras",
    "tensorflow.python.keras._impl.keras",
    "tensorflow_core.python.keras",
    "tensorflow.contrib.keras.python.keras",
)


def switch(backend):
    if hasattr(backend, "set_floatx") and backend.floatx() != "float64":
        backend.set_floatx("float64")
        prelude.applied(backend.__name__ + ".set_floatx('float64')")


for keras in KERAS:
    prelude.after_import(keras + ".backend", switch)
