"""Watched modules: a call right after one was imported, without importing anything early.

Every Keras has the same few classes that train under some prefix: the native packages, the copies inside of
TensorFlow, and their private folders (`src`, `_impl`). How a module is found does not change.
"""

import sys

from .enclosing_importlib_bootstrap import enclosed
from .wrapping import share_signatures

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


def install(hooks: "list[Hook]", channel: "Emitter") -> "PostImport":
    """Watch for imports."""
    finder = PostImport(channel)
    sys.meta_path.insert(0, finder)
    finder.watch(hooks)
    return finder


class PostImport:
    """A finder that lets the others find, and has the found loader say when a watched module has run.

    The spec and its loader stay what they were, so that reload, pkgutil, inspect and `python -m` see nothing new.
    """

    def __init__(self, channel: "Emitter") -> None:
        self._hooks: dict[str, list[Callable[..., Any]]] = {}
        self._channel = channel
        self._finding: set[Any] = set()
        self._follow = channel.shielded(self._follow)

    def watch(self, hooks: "list[Hook]") -> None:
        """Call each function with the module of its name, after the import; at once where that is there already."""
        for watched, function in hooks:
            hook = self._channel.shielded(function)
            self._hooks.setdefault(watched, []).append(hook)
            package = watched[: -len(".*")] if watched.endswith(".*") else None
            for name in [one for one in sys.modules if one.partition(".")[0] == package] if package else [watched]:
                if name in sys.modules:
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


class Watchers:
    """The watchers of the process, one a framework; each is imported and made with the first module that it watches."""

    def __init__(self, channel: "Emitter", where: "ScriptProgress", steps: bool) -> None:
        self._given = channel, where, steps
        self._made: dict[str, Any] = {}

    def keras(self) -> "Any":
        """Keras, and TensorFlow beneath it."""
        from .keras_training import KerasTraining

        return self._one(KerasTraining)

    def torch(self) -> "Any":
        """PyTorch."""
        from .torch_training import TorchTraining

        return self._one(TorchTraining)

    def trainers(self) -> "Any":
        """Lightning and Hugging Face's trainer."""
        from .torch_trainers import TorchTrainers

        return self._one(TorchTrainers, self.torch)

    def results(self) -> "Any":
        """Metrics of Keras, and summaries."""
        from .metric_results import MetricResults

        return self._one(MetricResults)

    def estimators(self) -> "Any":
        """scikit-learn."""
        from .sklearn_training import SklearnTraining

        return self._one(SklearnTraining)

    def jax(self) -> "Any":
        """JAX, optax and flax."""
        from .jax_training import JaxTraining

        return self._one(JaxTraining)

    def boosters(self) -> "Any":
        """XGBoost and LightGBM."""
        from .booster_training import BoosterTraining

        return self._one(BoosterTraining, self.estimators)

    def _one(self, cls: "Any", *others: "Callable[[], Any]") -> "Any":
        if cls.__name__ not in self._made:
            self._made[cls.__name__] = cls(self._trainings(), *[other() for other in others])
        return self._made[cls.__name__]

    def _trainings(self) -> "Any":
        from .trainings import Trainings

        if "" not in self._made:
            self._made[""] = Trainings(*self._given)
        return self._made[""]


def training_hooks(channel: "Emitter", where: "ScriptProgress", steps: bool) -> "list[Hook]":
    """(module name, hook) for all that is watched. What is needed to watch training is imported with the first hook."""
    watchers = Watchers(channel, where, steps)
    found: list[Hook] = [("inspect", share_signatures)]
    for prefix in PREFIXES:
        found += _of_keras(prefix, watchers)
    for prefix in TENSORFLOWS:
        found += _of_tensorflow(prefix, watchers)
    found.append((SUMMARIES, lambda module: watchers.results().watch_summaries(module)))
    return found + _of_estimators(watchers) + _of_jax(watchers) + _of_torch(watchers)


def _of_estimators(watchers: "Watchers") -> "list[Hook]":
    def watch_estimators(module: "Any") -> None:
        watchers.keras().watch_estimators(module)
        watchers.keras().sessions.watch_estimators(module)

    found: list[Hook] = [(name, watch_estimators) for name in ESTIMATORS]
    found += [(name, lambda module: watchers.estimators().watch_scores(module)) for name in OTHER_SCORES]
    found.append((SKLEARN, lambda module: watchers.estimators().watch(module)))
    for library, train, core in BOOSTERS:
        found.append((library + "." + train, lambda module: watchers.boosters().watch_train(module)))
        found.append((library + "." + core, lambda module: watchers.boosters().watch_boosters(module)))
        found.append((library + ".sklearn", lambda module: watchers.boosters().watch_estimators(module)))
    return found


def _of_jax(watchers: "Watchers") -> "list[Hook]":
    return [
        ("jax", lambda module: watchers.jax().watch(module)),
        ("optax", lambda module: watchers.jax().watch_optimizers(module)),
        (FLAX_COMPILATION, lambda module: watchers.jax().watch_modules(module)),
    ]


def _of_torch(watchers: "Watchers") -> "list[Hook]":
    found: list[Hook] = [
        ("torch", lambda module: watchers.torch().watch(module)),
        ("torch.utils.data.dataloader", lambda module: watchers.torch().watch_loaders(module)),
        ("transformers.trainer", lambda module: watchers.trainers().watch_transformers(module)),
        ("transformers.trainer_callback", lambda module: watchers.trainers().watch_transformers_logs(module)),
    ]
    for name in LIGHTNINGS:
        found.append((name + ".trainer.trainer", lambda module: watchers.trainers().watch_lightning(module)))
        found.append((name + ".loops.fit_loop", lambda module: watchers.trainers().watch_lightning_epochs(module)))
    return found


def _of_tensorflow(prefix: str, watchers: "Watchers") -> "list[Hook]":
    backend = prefix + ".python.keras.backend"

    def watch_functions(module: "Any") -> None:
        watchers.keras().tensorflow.watch_functions(module)

    def watch_tapes(module: "Any") -> None:
        watchers.keras().tensorflow.watch_tapes(module)

    def watch_gradients(module: "Any") -> None:
        watchers.keras().sessions.watch_gradients(module)

    def watch_sessions(module: "Any") -> None:
        watchers.keras().sessions.watch(module)

    watches = (
        (TENSORFLOW_OPTIMIZERS, lambda module: watchers.keras().watch_optimizers(module, backend)),
        (SESSIONS, watch_sessions),
        (TAPES, watch_tapes),
        (GRADIENTS, watch_gradients),
        *((name, watch_functions) for name in FUNCTIONS),
    )
    return [(prefix + "." + name, hook) for name, hook in watches]


def _of_keras(prefix: str, watchers: "Watchers") -> "list[Hook]":
    backend = prefix + ".backend"

    def watch_optimizers(module: "Any") -> None:
        watchers.keras().watch_optimizers(module, backend)
        watchers.keras().sessions.watch_updates(module)

    def watch_scaling(module: "Any") -> None:
        watchers.keras().tensorflow.watch_scaling(module)

    watches = (
        (MODELS, lambda module: watchers.keras().watch_models(module, backend)),
        (LAYERS, lambda module: watchers.keras().watch_layers(module)),
        (CALLBACKS, lambda module: watchers.keras().watch_callbacks(module)),
        (OPTIMIZERS, watch_optimizers),
        (SCORES, lambda module: watchers.estimators().watch_scores(module)),
        (SCALING, watch_scaling),
        (METRICS, lambda module: watchers.results().watch_metrics(module)),
    )
    return [(prefix + "." + suffix, hook) for suffixes, hook in watches for suffix in suffixes]
