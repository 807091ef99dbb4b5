"""The API of the packages that a cell has: what a path of a script is in their releases, and since when.

A path is resolved through what its calls give: classes give objects, a few well-known functions objects of a class.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from packaging.version import Version

    from runner.history.api import History, PublicName

KERAS = re.compile(r"(?P<root>tensorflow(?:\.compat\.v[12])?\.keras|keras|tf_keras)(?=\.|$)")
_OPTIMIZER = re.compile(r"^(?P<keras>(?:tensorflow\.)?keras|tf_keras)(?:\.\w+)*\.(?:Model|Sequential)\.optimizer\.")
"""What is taken from the optimizer of a model."""
_STEP = re.compile(r"\(\)|[^()]+")
_ARRAYS = (
    "array asarray zeros ones empty full arange linspace zeros_like ones_like eye concatenate stack vstack hstack "
    "expand_dims reshape copy where argmax random.rand random.randn random.random random.normal random.uniform "
    "random.randint random.permutation random.RandomState.rand random.RandomState.randn random.RandomState.randint "
    "random.RandomState.uniform random.RandomState.normal ndarray.astype ndarray.reshape ndarray.copy "
    "ndarray.transpose ndarray.flatten ndarray.ravel loadtxt genfromtxt"
)
_GIVES: tuple[tuple[re.Pattern[str], str], ...] = (
    (
        re.compile(r"(?:models|engine)\.(?:load_model|model_from_json|model_from_yaml|clone_model)$"),
        "{keras}.models.Model",
    ),
    (re.compile(r"multi_gpu_model$"), "{keras}.models.Model"),
    (re.compile(r"\.applications(?:\.\w+)*\.[A-Z]\w+$"), "{keras}.models.Model"),
    (re.compile(r"\.(?:fit|fit_generator)$"), "{keras}.callbacks.History"),
    (re.compile(r"\.(?:predict|predict_generator|predict_on_batch|predict_proba)$"), "numpy.ndarray"),
    (re.compile(r"\.to_categorical$"), "numpy.ndarray"),
)
"""What well-known functions of every Keras give."""


class Histories(Protocol):
    """What gives the history of a package by its import name."""

    def __call__(self, root: str) -> History | None:
        """The history; None where there is none."""
        ...


class LooksKept:
    """What was looked up of packages, by package and release: stacks that share a release share it."""

    def __init__(self) -> None:
        self.names: dict[tuple[str, Version], dict[str, PublicName | None]] = {}
        self.below: dict[tuple[str, Version], dict[str, tuple[str, ...]]] = {}


class Api:
    """The API of what is installed: versions by package, looked up in the packages' histories."""

    def __init__(self, versions: Mapping[str, str], histories: Histories, looked: LooksKept | None = None) -> None:
        """Look up nothing yet; `looked` is what was looked up for other stacks."""
        self.versions = versions
        self._histories = histories
        self._looked = LooksKept() if looked is None else looked
        self._known: dict[str, str | None] = {}
        self._packages: dict[str, tuple[History, Version] | None] = {}

    def history(self, path: str) -> History | None:
        """The history that a path is looked up in; None: there is none, or the package is not there so early."""
        found = self._package(path)
        return found[0] if found is not None else None

    def release(self, path: str) -> Version:
        """The release of the package of a path, as it was looked at. Raises LookupError without one."""
        found = self._package(path)
        if found is None:
            raise LookupError(path)
        return found[1]

    def name(self, path: str) -> PublicName | None:
        """What a path is here; None: it is not there, or nothing is known of its package."""
        found = self._package(path)
        if found is None:
            return None
        history, release = found
        names = self._looked.names.setdefault((history.package, release), {})
        if path not in names:
            names[path] = history.name(path, release)
        return names[path]

    def releases(self, roots: Iterable[str]) -> tuple[Version | None, ...]:
        """The releases of packages by import name, as they were looked at."""
        found = map(self._package, roots)
        return tuple(None if one is None else one[1] for one in found)

    def missing(self, path: str) -> str | None:
        """The shortest part of a path that is not there, though other releases have it; None: nothing is missed."""
        history = self.history(path)
        if history is None or self.name(path) is not None:
            return None
        names = path.split(".")
        for length in range(2, len(names) + 1):
            part = ".".join(names[:length])
            if self.name(part) is None:
                return part if history.last_with(part) is not None and self._shows_members(history, part) else None
        return None

    def is_opaque(self, path: str) -> bool:
        """True for a class whose signature is empty here and not in other releases: another one stands behind it."""
        name, history = self.name(path), self.history(path)
        if name is None or history is None or name.kind != "class" or name.parameters != ():
            return False
        return any(other is not None and other.parameters for _, _, other in history.runs(path))

    def _shows_members(self, history: History, path: str) -> bool:
        """False for a member of a class of which no members are known here: it may be another package's."""
        owner = path.rpartition(".")[0]
        name = self.name(owner)
        if self.is_opaque(owner):
            return False
        if name is None or name.kind != "class" or name.target.partition(".")[0] in {"", *history.roots}:
            return True
        return bool(self.children(owner))

    def children(self, path: str) -> tuple[str, ...]:
        """The last parts of the names directly below a path."""
        found = self._package(path)
        if found is None:
            return ()
        history, release = found
        below = self._looked.below.setdefault((history.package, release), {})
        if path not in below:
            below[path] = history.children(path, release)
        return below[path]

    def resolved(self, path: str) -> str | None:
        """The public path that a path of a script comes to here; None where that is not known."""
        if path not in self._known:
            self._known[path] = self._resolved(path)
        return self._known[path]

    def since(self, path: str, is_so: Callable[[Version], bool]) -> str:
        """The first release from which on something is so up to this one; "" where it is so in all that are known."""
        history = self.history(path)
        first = ""
        for release in reversed(history.releases if history else ()):
            if release > self.release(path):
                continue
            if not is_so(release):
                return first
            first = str(release)
        return ""

    def _package(self, path: str) -> tuple[History, Version] | None:
        """The history of the package of a path, and the release of it that was looked at."""
        root = path.partition(".")[0]
        if root not in self._packages:
            self._packages[root] = self._looked_at(root)
        return self._packages[root]

    def _looked_at(self, root: str) -> tuple[History, Version] | None:
        history = self._histories(root)
        try:
            release = history.looked_at(self.versions[history.package]) if history is not None else None
        except (KeyError, ValueError):
            return None
        return (history, release) if history is not None and release is not None else None

    def _made(self, path: str) -> str:
        """The class of what a call of a path gives; "" where that is not known."""
        if self.history(path) is None:
            return _class_by_its_looks(path)
        name = self.name(path)
        return "" if name is None else path if name.kind == "class" else _given_by(path)

    def _resolved(self, path: str) -> str | None:
        current, made = "", False
        for step in _STEP.findall(path):
            if step != "()":
                current, made = current + step, False
                continue
            current = "" if made else self._made(current)
            if not current:
                return None
            made = True
        return None if made else _OPTIMIZER.sub(r"\g<keras>.optimizers.Optimizer.", current)


def _class_by_its_looks(path: str) -> str:
    """A path whose last name begins with a capital, of a package without a history; "" for any other."""
    return path if path.rpartition(".")[2][:1].isupper() else ""


def _given_by(path: str) -> str:
    """The class of what a function gives; "" where that is not known."""
    if path.startswith("numpy."):
        return "numpy.ndarray" if path.removeprefix("numpy.") in _ARRAYS.split() else ""
    keras = KERAS.match(path)
    if keras is None:
        return ""
    return next((gives.format(keras=keras["root"]) for pattern, gives in _GIVES if pattern.search(path)), "")


def neutral(path: str) -> str:
    """A path with the root of every Keras written `keras`."""
    return KERAS.sub("keras", path, count=1) if KERAS.match(path) else path


def like(path: str, other: str) -> str:
    """A neutral path in the Keras of another path."""
    keras = KERAS.match(other)
    return keras["root"] + path.removeprefix("keras") if keras and path.startswith("keras") else path
