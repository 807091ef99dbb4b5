# does: layers are in the inference phase everywhere, in training too: no dropout, moving statistics
# how: keras.backend.learning_phase() is 0 in every Keras
# applies: tensorflow<2
# reverse: learning-phase-on
# breadth: 4

KERAS = ("keras", "tensorflow.python.keras", "tensorflow.python.keras._impl.keras", "tensorflow_core.python.keras")


def learning_phase():
    prelude.applied("learning_phase() = 0")
    return 0


def switch(backend):
    if hasattr(backend, "learning_phase"):
        backend.learning_phase = learning_phase


for keras in KERAS:
    prelude.after_import(keras + ".backend", switch)
    prelude.after_import(keras + ".backend.tensorflow_backend", switch)
