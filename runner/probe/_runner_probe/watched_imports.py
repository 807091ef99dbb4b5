"""Watched modules: a call right after one was imported, without importing anything early.

Every Keras has the same few classes that train under some prefix: the native packages, the copies inside of
TensorFlow, and their private folders (`src`, `_impl`). How a module is found does not change.
"""

import sys
from functools import lru_cache

from .enclosing_importlib_bootstrap import enclosed

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from .emitter import Emitter, ScriptProgress

    Hook = tuple[str, Callable[[Any], object]]
    """The name of a module, or `PACKAGE.*` for all of a package, and what is called with it once it was imported."""

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
    "optimizers",
    "optimizers.optimizer",
    "optimizers.base_optimizer",
)
SCORES = ("wrappers.scikit_learn", "wrappers.sklearn_wrapper")
SKLEARN = "sklearn.*"
OTHER_SCORES = ("scikeras.wrappers",)
LIGHTNINGS = ("lightning.pytorch", "pytorch_lightning")
METRICS = (
    "metrics",
    *("metrics.metrics", "metrics.base_metric", "metrics.metric", "metrics.reduction_metrics"),
    *("metrics.confusion_metrics", "metrics.regression_metrics", "metrics.correlation_metrics"),
    *("metrics.iou_metrics", "metrics.f_score_metrics"),
)
SCALING = ("mixed_precision.loss_scale_optimizer", "optimizers.loss_scale_optimizer")

TENSORFLOWS = ("tensorflow", "tensorflow_core")
TENSORFLOW_OPTIMIZERS = "python.training.optimizer"
SESSIONS = "python.client.session"
TAPES = "python.eager.backprop"
FUNCTIONS = ("python.eager.def_function", "python.eager.polymorphic_function.polymorphic_function")
GRADIENTS = "python.ops.gradients_impl"
ESTIMATORS = ("tensorflow_estimator.python.estimator.estimator", "tensorflow.python.estimator.estimator")
BOOSTERS = (("xgboost", "training", "core"), ("lightgbm", "engine", "basic"))
FLAX_COMPILATION = "flax.nnx.transforms.compilation"
SUMMARIES = "tensorboard.plugins.scalar.summary_v2"


def install(hooks: "list[Hook]", channel: "Emitter") -> None:
    """Watch for imports; `hooks` are (module name, function of the module). Modules already there are told now."""
    by_name: dict[str, list[Callable[..., Any]]] = {}
    for name, hook in hooks:
        by_name.setdefault(name, []).append(channel.shielded(hook))
    finder = PostImport(by_name, channel)
    sys.meta_path.insert(0, finder)
    for name in list(sys.modules):
        finder.tell(name)


class PostImport:
    """A finder that lets the others find, and has the found loader say when a watched module has run.

    The spec and its loader stay what they were, so that reload, pkgutil, inspect and `python -m` see nothing new.
    """

    def __init__(self, hooks: "dict[str, list[Callable[..., Any]]]", channel: "Emitter") -> None:
        self._hooks = hooks
        self._finding: set[Any] = set()
        self._follow = channel.shielded(self._follow)

    def tell(self, name: str) -> None:
        """A module was imported."""
        for hook in self._watching(name):
            hook(sys.modules[name])

    def _watching(self, name: str) -> "list[Callable[..., Any]]":
        return self._hooks.get(name, []) + self._hooks.get(name.partition(".")[0] + ".*", [])

    def find_spec(self, name: str, path: "Any" = None, target: "Any" = None) -> "Any":
        """The spec that the finders after this one have for a watched module; None for all others."""
        if name in self._finding or not self._watching(name):
            return None
        self._finding.add(name)
        try:
            spec = self._found(name, path, target)
        finally:
            self._finding.discard(name)
        if spec is not None and hasattr(spec.loader, "exec_module"):
            self._follow(name, spec.loader)
        return spec

    def _found(self, name: str, path: "Any", target: "Any") -> "Any":
        finders = list(sys.meta_path)
        after = finders[finders.index(self) + 1 :] if self in finders else finders
        for finder in after:
            find = getattr(finder, "find_spec", None)
            spec = None if find is None else find(name, path, target)
            if spec is not None:
                return spec
        return None

    def _follow(self, name: str, loader: "Any") -> None:
        def enter(args: "Any", kwargs: "Any") -> "Any":
            if loader.__dict__.get("exec_module") is exec_module:
                del loader.exec_module
            return args[0].__name__ == name, args[0]

        def leave(token: "Any", result: "Any", error: "Any") -> None:
            is_watched, module = token
            if error is None and is_watched:
                for hook in self._watching(name):
                    hook(module)

        exec_module = enclosed(loader.exec_module, enter, leave)
        loader.exec_module = exec_module


def training_hooks(channel: "Emitter", where: "ScriptProgress", steps: bool) -> "list[Hook]":
    """(module name, hook) for all that is watched. What is needed to watch training is imported with the first hook."""

    @lru_cache(maxsize=None)
    def trainings() -> "Any":
        from . import trainings as module

        return module.Trainings(channel, where, steps)

    @lru_cache(maxsize=None)
    def training() -> "Any":
        from . import keras_training

        return keras_training.KerasTraining(trainings())

    @lru_cache(maxsize=None)
    def torch() -> "Any":
        from . import torch_training

        return torch_training.TorchTraining(trainings())

    @lru_cache(maxsize=None)
    def trainers() -> "Any":
        from . import torch_trainers

        return torch_trainers.TorchTrainers(trainings(), torch())

    @lru_cache(maxsize=None)
    def results() -> "Any":
        from . import metric_results

        return metric_results.MetricResults(trainings())

    @lru_cache(maxsize=None)
    def estimators() -> "Any":
        from . import sklearn_training

        return sklearn_training.SklearnTraining(trainings())

    @lru_cache(maxsize=None)
    def gradients() -> "Any":
        from . import jax_training

        return jax_training.JaxTraining(trainings())

    @lru_cache(maxsize=None)
    def boosters() -> "Any":
        from . import booster_training

        return booster_training.BoosterTraining(trainings(), estimators())

    def watch_estimators(module: "Any") -> None:
        training().watch_estimators(module)
        training().sessions.watch_estimators(module)

    found: list[Hook] = []
    for prefix in PREFIXES:
        found += _of_keras(prefix, training, estimators)
        found += [(prefix + "." + suffix, lambda module: results().watch_metrics(module)) for suffix in METRICS]
    for prefix in TENSORFLOWS:
        found += _of_tensorflow(prefix, training)
    found += [(name, watch_estimators) for name in ESTIMATORS]
    found += [(name, lambda module: estimators().watch_scores(module)) for name in OTHER_SCORES]
    found.append((SKLEARN, lambda module: estimators().watch(module)))
    for library, train, core in BOOSTERS:
        found.append((library + "." + train, lambda module: boosters().watch_train(module)))
        found.append((library + "." + core, lambda module: boosters().watch_boosters(module)))
        found.append((library + ".sklearn", lambda module: boosters().watch_estimators(module)))
    found.append(("jax", lambda module: gradients().watch(module)))
    found.append(("optax", lambda module: gradients().watch_optimizers(module)))
    found.append((FLAX_COMPILATION, lambda module: gradients().watch_modules(module)))
    found.append((SUMMARIES, lambda module: results().watch_summaries(module)))
    found.append(("torch", lambda module: torch().watch(module)))
    found.append(("torch.utils.data.dataloader", lambda module: torch().watch_loaders(module)))
    for name in LIGHTNINGS:
        found.append((name + ".trainer.trainer", lambda module: trainers().watch_lightning(module)))
        found.append((name + ".loops.fit_loop", lambda module: trainers().watch_lightning_epochs(module)))
    found.append(("transformers.trainer", lambda module: trainers().watch_transformers(module)))
    found.append(("transformers.trainer_callback", lambda module: trainers().watch_transformers_logs(module)))
    return found


def _of_tensorflow(prefix: str, training: "Callable[[], Any]") -> "list[Hook]":
    backend = prefix + ".python.keras.backend"

    def watch_functions(module: "Any") -> None:
        training().tensorflow.watch_functions(module)

    def watch_tapes(module: "Any") -> None:
        training().tensorflow.watch_tapes(module)

    def watch_gradients(module: "Any") -> None:
        training().sessions.watch_gradients(module)

    def watch_sessions(module: "Any") -> None:
        training().sessions.watch(module)

    watches = (
        (TENSORFLOW_OPTIMIZERS, lambda module: training().watch_optimizers(module, backend)),
        (SESSIONS, watch_sessions),
        (TAPES, watch_tapes),
        (GRADIENTS, watch_gradients),
        *((name, watch_functions) for name in FUNCTIONS),
    )
    return [(prefix + "." + name, hook) for name, hook in watches]


def _of_keras(prefix: str, training: "Callable[[], Any]", estimators: "Callable[[], Any]") -> "list[Hook]":
    backend = prefix + ".backend"

    def watch_optimizers(module: "Any") -> None:
        training().watch_optimizers(module, backend)
        training().sessions.watch_updates(module)

    def watch_scaling(module: "Any") -> None:
        training().tensorflow.watch_scaling(module)

    watches = (
        (MODELS, lambda module: training().watch_models(module, backend)),
        (LAYERS, lambda module: training().watch_layers(module)),
        (CALLBACKS, lambda module: training().watch_callbacks(module)),
        (OPTIMIZERS, watch_optimizers),
        (SCORES, lambda module: estimators().watch_scores(module)),
        (SCALING, watch_scaling),
    )
    return [(prefix + "." + suffix, hook) for suffixes, hook in watches for suffix in suffixes]
