# Part of switches: the learning phase of every Keras is held.

KERAS = ("keras", "tensorflow.python.keras", "tensorflow.python.keras._impl.keras", "tensorflow_core.python.keras")


def hold_learning_phase(value):
    def learning_phase():
        prelude.applied("learning_phase() = %d" % value)
        return value

    def switch(backend):
        if hasattr(backend, "learning_phase"):
            backend.learning_phase = learning_phase

    for keras in KERAS:
        prelude.after_import(keras + ".backend", switch)
        prelude.after_import(keras + ".backend.tensorflow_backend", switch)
