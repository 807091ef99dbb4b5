# does: layers are in the training phase everywhere, in evaluation and prediction too
# how: keras.backend.learning_phase() is 1 in every Keras
# applies: tensorflow<2
# reverse: learning-phase-off
# breadth: 4

KERAS = ("keras", "tensorflow.python.keras", "tensorflow.python.keras._impl.keras", "tensorflow_core.python.keras")


def learning_phase():
    prelude.applied("learning_phase() = 1")
    return 1


def switch(backend):
    if hasattr(backend, "learning_phase"):
        backend.learning_phase = learning_phase


for keras in KERAS:
    prelude.after_import(keras + ".backend", switch)
    prelude.after_import(keras + ".backend.tensorflow_backend", switch)
