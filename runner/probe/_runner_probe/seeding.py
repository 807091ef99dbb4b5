"""Sets the trial's seed, each library's right after its import; what the script seeds itself comes later and wins."""

import random

from .enclosing_importlib_bootstrap import enclosed


def wanted_seed(settings):
    """The seed to set, or None where all is to stay as the script wrote it."""
    if settings.get("RUNNER_SEEDING") == "as-written":
        return None
    try:
        return int(settings["RUNNER_SEED"])
    except (KeyError, ValueError):
        return None


def seed_random(seed):
    """Python's own generator; Keras 3 draws the seeds of its initializers from it."""
    random.seed(seed)


def hooks(seed, channel):
    """(module name, hook) for each library that has a global seed."""
    small = seed % 2 ** 31  # what every one of them takes

    def seed_numpy(module):
        module.seed(small)

    def seed_torch(module):
        module.manual_seed(small)

    def seed_graphs(module):
        _after_init(module.Graph, channel.shielded(lambda graph: setattr(graph, "_seed", small)))

    def seed_contexts(module):
        _after_init(module.Context, channel.shielded(lambda context: context._set_global_seed(small)))

    found = [("numpy.random", seed_numpy), ("torch", seed_torch)]
    for tensorflow in ("tensorflow", "tensorflow_core"):
        found.append((tensorflow + ".python.framework.ops", seed_graphs))
        found.append((tensorflow + ".python.eager.context", seed_contexts))
    return found


def _after_init(cls, act):
    """Act on each new instance: in TensorFlow 1 a graph seed belongs to one graph and is lost with it (`clear_session`);
    in TensorFlow 2, and under eager execution in 1, it belongs to the context."""
    cls.__init__ = enclosed(
        cls.__init__, lambda args, kwargs: args[0], lambda instance, result, error: error or act(instance)
    )
