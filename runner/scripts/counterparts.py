"""Dotted paths of one Keras and their counterparts in another: `keras.layers.core.Dense` is `tf_keras.layers.Dense`.

Tables and pure functions over names; nothing is imported. The tables follow Keras 1.2 to 3.10 and tf_keras 2.15.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


ROOTS: Mapping[str, str] = {"keras": "keras", "tf.keras": "tensorflow.keras", "tf_keras": "tf_keras"}
"""Each flavour's own package."""

_ELSEWHERE: Mapping[str, str] = {
    "tensorflow.compat.v1.keras": "tf.keras",
    "tensorflow.compat.v2.keras": "tf.keras",
    "tensorflow.contrib.keras.python.keras": "",
    "tensorflow.contrib.keras": "",
    "tensorflow.python.keras": "",
}
"""Further homes of a Keras, the longer name first, each with its flavour: "" is none that can be asked for."""

ALIASES = frozenset({"initializers", "losses", "metrics", "optimizers"})
"""Modules of TensorFlow 2 that are those of its Keras. Version 1 has functions of its own in all but `optimizers`."""

_PRIVATE = "private to the Keras that it is written for"
_VERSION_1 = "the API of version 1 is TensorFlow's alone"
_KERAS_3 = "only Keras 3 has it"

_MODULES = _words(
    "activations applications backend callbacks config constraints datasets distillation distribution dtensor "
    "dtype_policies estimator experimental export initializers layers losses metrics mixed_precision models ops "
    "optimizers preprocessing quantizers random regularizers saving tree utils visualization wrappers "
    "layers.experimental.preprocessing optimizers.legacy optimizers.schedules utils.bounding_boxes utils.legacy"
)
"""The public modules of every Keras, without those that are called `experimental` and those below `_OPEN`."""
_OPEN = _words("applications datasets dtensor estimator experimental ops preprocessing wrappers")
"""Public modules whose modules are all public."""
_HIDDEN = _words(
    "api distribute engine feature_column legacy legacy_tf_layers optimizer_experimental optimizer_v1 optimizer_v2 "
    "protobuf src testing_infra testing_utils"
)
_HIDDEN_ENDINGS: Mapping[str, tuple[str, ...]] = {
    "backend": ("_backend",),
    "layers": ("_v1", "_v2"),
    "optimizers": ("_v1", "_v2"),
    "utils": ("_util", "_utils"),
}
"""The suffixes of the private modules of a public one."""

_LAYER_HOMES = _words(
    "advanced_activations convolutional convolutional_recurrent core cudnn_recurrent embeddings local merge noise "
    "normalization pooling recurrent wrappers"
)
"""Below `layers`: where Keras 1 and 2 kept the classes that `layers` has; other Kerases have `layers` only."""
_MERGES = _words("add average concatenate dot maximum minimum multiply subtract")
_UTILITIES: Mapping[str, frozenset[str]] = {
    "data_utils": _words("GeneratorEnqueuer OrderedEnqueuer Sequence SequenceEnqueuer get_file"),
    "generic_utils": _words(
        "CustomObjectScope Progbar custom_object_scope deserialize_keras_object get_custom_objects "
        "serialize_keras_object"
    ),
    "io_utils": frozenset({"HDF5Matrix"}),
    "multi_gpu_utils": frozenset({"multi_gpu_model"}),
    "np_utils": frozenset({"normalize", "to_categorical"}),
    "training_utils": frozenset({"multi_gpu_model"}),
    "vis_utils": frozenset({"model_to_dot", "plot_model"}),
}
"""Below `utils`: where Keras 1 and 2 kept the functions that `utils` has."""
_ENGINE: Mapping[str, str] = {
    "Input": "layers",
    "InputLayer": "layers",
    "InputSpec": "layers",
    "Layer": "layers",
    "Model": "models",
    "Sequential": "models",
}
"""The classes of `engine` that have a public home."""

_KERAS_3_ONLY = _words(
    "config distillation distribution dtype_policies ops quantizers random tree utils.bounding_boxes visualization "
    "DTypePolicy FloatDTypePolicy Function KerasTensor Operation Quantizer RematScope StatelessScope SymbolicScope "
    "Variable device name_scope remat version"
)
_KERAS_3_SHORTCUTS: Mapping[str, str] = {
    "Initializer": "initializers",
    "InputSpec": "layers",
    "Layer": "layers",
    "Loss": "losses",
    "Metric": "metrics",
    "Optimizer": "optimizers",
    "Regularizer": "regularizers",
}
"""Classes that Keras 3 has at its top as well, and where Keras 2 has them."""


@dataclass(frozen=True, kw_only=True, slots=True)
class NoCounterpart:
    """No counterpart, and why."""

    reason: str


@dataclass(frozen=True, kw_only=True, slots=True)
class KerasPath:
    """A dotted path inside a Keras: the package that is that Keras, the flavour it is, and the names below it."""

    root: str
    flavour: str
    below: tuple[str, ...]


@dataclass(frozen=True, kw_only=True, slots=True)
class Counterparts:
    """The names of one flavour; what lies in one of the user's own modules (`local`) is no Keras."""

    flavour: str
    local: frozenset[str] = frozenset()

    @property
    def root(self) -> str:
        """The package of this flavour."""
        return ROOTS[self.flavour]

    def place(self, path: str) -> KerasPath | None:
        """The place of a dotted path in a Keras; None where it lies in none."""
        names = path.split(".")
        if names[0] in self.local:
            return None
        for root, flavour in (*_ELSEWHERE.items(), *((root, flavour) for flavour, root in ROOTS.items())):
            depth = root.count(".") + 1
            if names[:depth] == root.split("."):
                return KerasPath(root=root, flavour=flavour, below=tuple(names[depth:]))
        if names[0] == "tensorflow" and _is_alias(names[1:]):
            return KerasPath(root="tensorflow", flavour="tf.keras", below=tuple(names[1:]))
        if names[0] in {"tensorflow", "tensorflow_core"} and "keras" in names:
            return KerasPath(root=".".join(names[: names.index("keras") + 1]), flavour="", below=("src",))
        return None

    def of(self, path: str, *, module: bool = False) -> str | NoCounterpart:
        """The path in this flavour: the same one where it lies in no Keras, or in this flavour already.

        A path that is known to be a `module` must be one of the public ones; else its last name may be a function.
        """
        place = self.place(path)
        if place is None or place.flavour == self.flavour:
            return path
        if place.root == "tensorflow.compat.v1.keras":
            return NoCounterpart(reason=_VERSION_1)
        below = _public(place.below, module=module)
        if below is None:
            return NoCounterpart(reason=_PRIVATE)
        if self.flavour == "tf_keras" and below:
            if not _KERAS_3_ONLY.isdisjoint((below[0], ".".join(below[:2]))):
                return NoCounterpart(reason=_KERAS_3)
            if below[0] in _KERAS_3_SHORTCUTS:
                below = (_KERAS_3_SHORTCUTS[below[0]], *below)
        return ".".join((self.root, *below))


def _is_alias(names: list[str]) -> bool:
    """True where what stands right below `tensorflow` is Keras in every version of it that has it."""
    match names:
        case ["optimizers", *_]:
            return True
        case [module, name, *_]:
            return module in ALIASES and name[0].isupper() and name != "Reduction"
        case _:
            return False


def _public(below: tuple[str, ...], *, module: bool) -> tuple[str, ...] | None:
    """The names below a Keras by which every Keras has the same thing; None where it is private."""
    match below:
        case ("layers", home, *rest) if home in _LAYER_HOMES:
            return ("layers", *rest) if not rest or rest[0][0].isupper() or rest[0] in _MERGES else None
        case ("utils", home, *rest) if home in _UTILITIES:
            return ("utils", *rest) if not rest or rest[0] in _UTILITIES[home] else None
        case ("backend", "tensorflow_backend", *rest):
            below = ("backend", *rest)
        case ("engine", *rest):
            names = rest[1:] if rest and rest[0] not in _ENGINE else rest
            return (_ENGINE[names[0]], *names) if names and names[0] in _ENGINE else None
        case _:
            pass
    return below if _is_public(below, module=module) else None


def _is_public(below: tuple[str, ...], *, module: bool) -> bool:
    """True where no module on the way is private; the first class on the way ends it, its attributes are its own."""
    for depth, name in enumerate(below):
        if name.startswith("__") or name[0].isupper():
            return True
        further = below[depth + 1 :]
        path = ".".join(below[: depth + 1])
        if name[0] == "_" or path in _HIDDEN:
            return False
        if below[0] in _OPEN or path in _MODULES or name == "experimental":
            continue
        if further and further[0].startswith("__"):
            return True
        if module or further or name.endswith(_HIDDEN_ENDINGS.get(below[0], ())):
            return False
    return True
