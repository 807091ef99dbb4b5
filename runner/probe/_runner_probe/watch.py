"""Which modules of which Keras hold the classes that train, and what is done to each class once its module has run.

Every Keras has the same few classes under some prefix: the native packages, the copies inside of TensorFlow, and their
private folders (`src`, `_impl`).
"""

PREFIXES = (
    "keras",
    "keras.src",
    "tf_keras",
    "tf_keras.src",
    "tensorflow.python.keras",
    "tensorflow.python.keras._impl.keras",
    "tensorflow_core.python.keras",
    "tensorflow.contrib.keras.python.keras",
)
MODELS = (
    "models",
    "engine.training",
    "engine.training_v1",
    "trainers.trainer",
    "backend.tensorflow.trainer",
    "backend.jax.trainer",
    "backend.torch.trainer",
)
LAYERS = ("engine.topology", "engine.base_layer", "engine.base_layer_v1", "engine.network", "layers.layer")
CALLBACKS = ("callbacks", "callbacks.callbacks", "callbacks.callback_list")
OPTIMIZERS = (
    "optimizer_v2.optimizer_v2",
    "optimizers.optimizer_v2.optimizer_v2",
    "optimizers.legacy.optimizer_v2",
    "optimizers.optimizer_experimental.optimizer",
    "optimizers.optimizer",
    "optimizers.base_optimizer",
)
TENSORFLOW_OPTIMIZERS = ("tensorflow.python.training.optimizer", "tensorflow_core.python.training.optimizer")

SESSIONS = ("tensorflow.python.client.session", "tensorflow_core.python.client.session")


def hooks(channel, where, steps):
    """(module name, hook) for all that is watched. What is needed to watch training is imported with the first hook."""
    trainings = []

    def training():
        if not trainings:
            from . import training as module

            trainings.append(module.Training(channel, where, steps))
        return trainings[0]

    found = []
    for prefix in PREFIXES:
        found += _of_keras(prefix, training)
    for name in TENSORFLOW_OPTIMIZERS:
        backend = name.split(".")[0] + ".python.keras.backend"
        found.append((name, lambda module, backend=backend: training().watch_optimizers(module, backend)))
    found += [(name, lambda module: training().watch_sessions(module)) for name in SESSIONS]
    return found


def _of_keras(prefix, training):
    backend = prefix + ".backend"
    watches = (
        (MODELS, lambda module: training().watch_models(module, backend)),
        (LAYERS, lambda module: training().watch_layers(module)),
        (CALLBACKS, lambda module: training().watch_callbacks(module)),
        (OPTIMIZERS, lambda module: training().watch_optimizers(module, backend)),
    )
    return [(prefix + "." + suffix, hook) for suffixes, hook in watches for suffix in suffixes]
