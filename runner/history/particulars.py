"""How packages are looked at: what they are imported by, what in them is private, what they need beside them."""

from __future__ import annotations

import functools
import hashlib
from dataclasses import astuple, dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from packaging.utils import canonicalize_name

from runner.code_digest import code_digest

if TYPE_CHECKING:
    from collections.abc import Mapping

LOOKING = Path(__file__).with_name("looking")
"""The programs that run in environments."""


@dataclass(frozen=True, kw_only=True, slots=True)
class HowLooked:
    """The particulars of looking at one package; what is empty here holds for most."""

    roots: tuple[str, ...] = ()
    """The names that it is imported by; none: what its files say."""
    own: tuple[str, ...] = ()
    """Beginnings of the names of further modules whose objects are its own."""
    modules: tuple[str, ...] = ()
    """Beginnings of the names of further modules that are its own."""
    skip: tuple[str, ...] = ()
    """Modules that are private, or name the same once more: below a root, or (`*.python`) wherever."""
    shallow: tuple[str, ...] = ()
    """Modules of which only the next ones are looked at, without methods."""
    listed: bool = True
    """True where submodules are found by their files too, and not only as attributes."""
    backends: tuple[str | None, ...] = (None,)
    """The backends of Keras that it is looked at with: the first that can be had."""
    beside: tuple[str, ...] = ()
    """Requirements without which it can't be imported, and which some of its releases do not name."""
    tried: bool = False
    """True where arguments that the signature does not name are found by trying them."""


_KERAS_PRIVATE = ("api", "src", "_tf_keras", "tests", "protobuf", "distribute")
_TENSORFLOW_PRIVATE = (
    *("*.python", "pywrap_tensorflow", "core", "tools", "include", "compiler", "examples", "tsl"),
    *("compat.v2", "compat.v1.compat", "compat.v1.contrib", "compat.v1.core", "compat.v1.tools"),
    *("keras.api", "keras.src", "compat.v1.keras.api"),
)
_PARTICULARS: Mapping[str, HowLooked] = {
    "keras": HowLooked(
        roots=("keras",),
        own=("tensorflow.python.keras", "keras_preprocessing", "keras_applications"),
        modules=("tensorflow.keras", "tensorflow.python.keras.api"),
        skip=_KERAS_PRIVATE,
        backends=("tensorflow", "jax"),
        tried=True,
    ),
    "tf-keras": HowLooked(roots=("tf_keras",), skip=_KERAS_PRIVATE, tried=True, beside=("tensorflow",)),
    "tensorflow": HowLooked(
        roots=("tensorflow",),
        own=("keras", "tf_keras", "tensorflow_core", "tensorflow_estimator", "tensorboard", "keras_preprocessing"),
        modules=("keras", "tf_keras", "tensorflow_core", "tensorflow_estimator"),
        skip=_TENSORFLOW_PRIVATE,
        shallow=("contrib",),
        listed=False,
        tried=True,
    ),
    "scikit-learn": HowLooked(roots=("sklearn",), skip=("externals",), beside=("numpy", "scipy", "setuptools")),
    "torch": HowLooked(roots=("torch",), listed=False),
}
SHIPPED_PACKAGES = ("keras", "tensorflow", "tf-keras", "numpy", "scikit-learn", "h5py", "torch")


def particulars(package: str) -> HowLooked:
    """How a package is looked at."""
    return _PARTICULARS.get(canonicalize_name(package), HowLooked())


@functools.cache
def state_of(package: str) -> str:
    """A digest (12 hex digits) of all that a look at a package depends on here: the programs, and its particulars."""
    programs = [code_digest(program.read_bytes()) for program in sorted(LOOKING.glob("*.py"))]
    return hashlib.sha256(repr((programs, astuple(particulars(package)))).encode()).hexdigest()[:12]
