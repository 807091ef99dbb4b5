"""The package axes that a new matrix begins with: what a script imports, and what its project pins → axes to try."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from runner.matrix.versions import parsed

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence


@dataclass(frozen=True, kw_only=True, slots=True)
class Framework:
    """A package whose versions are worth trying; `signs` are the distributions that come with its use."""

    package: str
    versions: tuple[str, ...]
    signs: frozenset[str]
    brings: frozenset[str] = frozenset()
    """The packages that are installed with it anyway, in versions that suit it."""


_Axes = tuple[tuple[str, tuple[str, ...]], ...]


def _names(text: str) -> frozenset[str]:
    return frozenset(text.split())


TENSORFLOW = Framework(
    package="tensorflow",
    versions=("1.13.1", "2.10.1", "2.16.1"),
    signs=_names("tensorflow tensorflow-cpu tensorflow-gpu tensorflow-macos intel-tensorflow keras tf-keras"),
    brings=_names("numpy tensorboard h5py keras"),
)
_FRAMEWORKS = (
    TENSORFLOW,
    Framework(package="torch", versions=("1.13.1", "2.2.2", "2.6.0"), signs=_names("torch"), brings=_names("numpy")),
    Framework(package="jax", versions=("0.4.30", "0.5.3"), signs=_names("jax jaxlib"), brings=_names("numpy jaxlib")),
    Framework(package="lightgbm", versions=("3.3.5", "4.5.0"), signs=_names("lightgbm"), brings=_names("numpy scipy")),
    Framework(package="xgboost", versions=("1.7.6", "2.1.3"), signs=_names("xgboost"), brings=_names("numpy scipy")),
    Framework(package="catboost", versions=("1.1.1", "1.2.7"), signs=_names("catboost"), brings=_names("numpy")),
    Framework(
        package="scikit-learn",
        versions=("1.0.2", "1.3.2", "1.5.2"),
        signs=_names("scikit-learn scikit-learn-intelex"),
        brings=_names("numpy scipy joblib"),
    ),
)
_NUMPY = Framework(package="numpy", versions=("1.21.6", "1.26.4", "2.1.3"), signs=_names("numpy"))
_COMPANIONS = {
    "tensorflow": _names(
        "tensorflow-addons tensorflow-datasets tensorflow-hub tensorflow-probability tensorflow-text keras-tuner"
        " keras-cv keras-hub keras-nlp"
    ),
    "torch": _names(
        "torchvision torchaudio torchtext torchmetrics torch-geometric pytorch-lightning lightning timm fastai"
        " accelerate transformers diffusers peft monai"
    ),
    "jax": _names("flax optax"),
}
"""Distributions that are used with a framework, and that a version of their own would hold it to one of its own."""


@dataclass(frozen=True, kw_only=True, slots=True)
class StartingAxes:
    """The axes as lines of YAML, and what else of the script's needs they decide on."""

    packages: _Axes
    """The axes with their values, the base first."""
    paired: bool = False
    """True for the versions of TensorFlow and Keras that go together by `exclude:` and `include:`."""
    brings: frozenset[str] = frozenset()
    floating: frozenset[str] = frozenset()
    """The packages whose version follows that of the axis: no pin is taken over."""


def starting_axes(imported: Collection[str], pins: Mapping[str, str]) -> StartingAxes:
    """The axes for a script that imports these distributions, in a project with these pins.

    A pinned version of the axis is its first value, and older ones are left out: what else the project pins is newer.
    """
    framework = _framework(imported)
    companions = _COMPANIONS.get(framework.package, frozenset())
    pin = next(
        (pins[sign] for sign in sorted(framework.signs) if sign in pins and sign not in {"keras", "tf-keras"}), None
    )
    backend = next((name for name in ("jax", "torch") if name in imported), "")
    keras = parsed(pins.get("keras", "3"))
    if backend and "keras" in imported and "tensorflow" not in imported and keras is not None and keras.major >= 3:
        return StartingAxes(
            packages=(("keras", _from(pins.get("keras"), ("3.4.1", "3.8.0"))), ("backend", (backend,))),
            brings=framework.brings | {backend, "jaxlib"},
            floating=companions | framework.brings | _COMPANIONS[backend],
        )
    if framework is TENSORFLOW and "tf-keras" in imported:
        axes: _Axes = ("tensorflow", _from(pin, ("2.16.1", "2.18.0"))), ("tf-keras", ("era",))
    elif framework is TENSORFLOW and "keras" in imported:
        axes = _with_keras(pin, pins.get("keras"))
    else:
        axes = ((framework.package, _from(pin, framework.versions)),)
    return StartingAxes(
        packages=axes,
        paired=framework is TENSORFLOW and axes == PAIRED,
        brings=framework.brings,
        floating=companions | framework.brings,
    )


PAIRED: _Axes = (("tensorflow", ("1.13.1", "2.10.1")), ("keras", ("2.2.4", "2.10.0")))


def _with_keras(tensorflow: str | None, keras: str | None) -> _Axes:
    version = parsed(keras) if keras else None
    if version is not None and version.major >= 3:
        return ("tensorflow", (tensorflow or "2.16.1", "latest")), ("keras", (str(keras), "latest"))
    if tensorflow is None and version is not None and (2, 6) <= version.release[:2] < (2, 16):
        tensorflow = f"2.{version.minor}.0"
    if tensorflow is None:
        return PAIRED
    return ("tensorflow", _from(tensorflow, TENSORFLOW.versions)), ("keras", ("era",))


def _from(pin: str | None, versions: Sequence[str]) -> tuple[str, ...]:
    """A pinned version and those of later minor releases, at least two."""
    own = parsed(pin) if pin else None
    if own is None:
        return tuple(versions)
    newer = [
        version
        for version in versions
        if (known := parsed(version)) is not None and known.release[:2] > own.release[:2]
    ]
    return (str(pin), *newer) if newer else (str(pin), "latest")


def _framework(imported: Collection[str]) -> Framework:
    """The first framework that a distribution is a sign of, or goes with; NumPy where there is none."""
    by_sign = (one for one in _FRAMEWORKS if one.signs & set(imported))
    by_companion = (one for one in _FRAMEWORKS if _COMPANIONS.get(one.package, frozenset()) & set(imported))
    return next(by_sign, None) or next(by_companion, None) or _NUMPY
