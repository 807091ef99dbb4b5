"""The kinds of axes, and the one canonical text of a value of each: what a user wrote → text, checked."""

from __future__ import annotations

import enum
import re
import shlex
from functools import lru_cache
from pathlib import PurePosixPath
from typing import TYPE_CHECKING

from packaging.utils import canonicalize_name

from runner.matrix.mistakes import RefusedError, nearest, quoted
from runner.matrix.releases import EXAMPLE, refuse_rule
from runner.matrix.versions import parsed, same_version
from runner.preludes.prelude import catalogue

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from pathlib import Path

    from runner.matrix.nodes import Text


class AxisKind(enum.Enum):
    """The kinds of axes: what each varies; a name that is not reserved is a package."""

    PACKAGE = "package"
    PYTHON = "python"
    IMPORT = "import"
    SCRIPT = "script"
    ARGS = "args"
    ENV = "env"
    PRELUDE = "prelude"
    BACKEND = "backend"


NO_PRELUDE = "none"
"""The value of the axis `prelude` with which nothing runs before the script."""
RESERVED_AXES = frozenset(kind.value for kind in AxisKind if kind is not AxisKind.PACKAGE)

SAME_FILES = {
    "keras": ("keras-nightly",),
    "scikit-learn": ("sklearn",),
    "sklearn": ("scikit-learn",),
    "tensorflow": ("tensorflow-cpu", "tensorflow-gpu"),
    "tensorflow-cpu": ("tensorflow", "tensorflow-gpu"),
    "tensorflow-gpu": ("tensorflow", "tensorflow-cpu"),
}
"""Packages that bring the files of a pinned package once more.

Each would break the other, so it must not come in beside it.

TensorFlow 2.5 requires keras-nightly, some releases of Keras require plain tensorflow; sklearn, a name that the index
keeps only to be told of, is scikit-learn.
"""


def axis_kind(name: str) -> AxisKind:
    """The kind of the axis of this name."""
    return AxisKind(name) if name in RESERVED_AXES else AxisKind.PACKAGE


def same_value(axis: str, one: str, other: str) -> bool:
    """True where two values of an axis mean the same: equal text, or one release of a package (2.16 and 2.16.0)."""
    return one == other or (axis not in RESERVED_AXES and same_version(one, other))


PYTHONS = tuple(f"3.{minor}" for minor in range(6, 14))
IMPORT_FLAVOURS = ("as-written", "keras", "tf.keras", "tf_keras")
BACKENDS = ("tensorflow", "jax", "torch", "theano")
BACKEND_VARIABLE = "KERAS_BACKEND"
_NO_BACKENDS = {
    "cntk": "it needs Open MPI 1.10 on the machine, which no wheel brings",
    "numpy": "Keras does not train with it",
    "openvino": "Keras does not train with it",
}

_NAME = re.compile(r"[A-Za-z0-9]|[A-Za-z0-9][A-Za-z0-9._-]*[A-Za-z0-9]")
_LONGEST_BYTES = 100_000
"""Linux starts no program with an argument or a variable of 128 KiB."""
VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
"""The names that an environment variable can have."""
_MODULE = re.compile(r"[^\W\d]\w*(?:\.[^\W\d]\w*)*")


def axis_name(text: str) -> str:
    """The name of an axis: a reserved one, or a package name normalised as PEP 503 says.

    Raises RefusedError for text that cannot be the name of a package.
    """
    if text in RESERVED_AXES:
        return text
    if not _NAME.fullmatch(text):
        raise RefusedError(f"{quoted(text)} can be neither a package nor an axis", nearest(text, sorted(RESERVED_AXES)))
    return canonicalize_name(text)


def canonical(kind: AxisKind, value: str | Mapping[Text, Text]) -> str:
    """The one text of an axis value.

    Environment variables are sorted, arguments quoted in one way, `./a.py` is `a.py`, all else as it was written. A
    mapping is a set of environment variables. Raises RefusedError for variables and arguments that can't be read, and
    for a rule (`latest`, `era`) in place of a version.
    """
    if not isinstance(value, str):
        return _env_text(value.items())
    if kind is AxisKind.PACKAGE:
        refuse_rule(value)
    if kind is AxisKind.ENV:
        return _env_text(_env_pairs(value))
    if kind is AxisKind.ARGS:
        arguments = argument_list(value)
        for argument in arguments:
            refuse_long(argument)
        return shlex.join(arguments)
    if kind is AxisKind.SCRIPT and value:
        return PurePosixPath(value).as_posix()
    if kind is AxisKind.PRELUDE:
        return " ".join(PurePosixPath(word).as_posix() for word in value.split()) or NO_PRELUDE
    return str(value)


def check(kind: AxisKind, text: str, folder: Path) -> None:
    """Raise RefusedError where a canonical text is not a valid value of its kind of axis."""
    match kind:
        case AxisKind.PACKAGE:
            _check_version(text)
        case AxisKind.PYTHON:
            if text not in PYTHONS:
                release = re.match(r"3\.\d+(?=\.)", text)
                hint = nearest(release[0] if release else text, PYTHONS)
                raise RefusedError(f"{quoted(text)} is not a CPython minor release that the runner knows", hint)
        case AxisKind.IMPORT:
            _check_word(text, IMPORT_FLAVOURS, "is not a Keras that imports can mean")
        case AxisKind.BACKEND:
            _check_word(text, BACKENDS, "is not a backend that Keras can be run with here")
        case AxisKind.SCRIPT:
            check_script(text, folder)
        case AxisKind.PRELUDE:
            for word in text.split() if text != NO_PRELUDE else ():
                _check_prelude(word, folder)
        case AxisKind.ENV | AxisKind.ARGS:
            pass  # canonical() has read it


def _check_word(text: str, words: Iterable[str], wrong: str) -> None:
    if text not in words:
        raise RefusedError(f"{quoted(text)} {wrong}", _NO_BACKENDS.get(text) or nearest(text, words))


def _check_version(text: str) -> None:
    if parsed(text) is None:
        hint = "write it like 2.2.4"
        if re.match(r"[<>=!~*]", text):
            hint = f"a range is written {EXAMPLE}"
        elif text.startswith("latest"):
            hint = "latest is the newest release, latest-1 is of the minor release before it"
        raise RefusedError(f"{quoted(text)} is not a version (PEP 440)", hint)


SOURCE_ROOT = "src"
"""The folder in a project that many keep their packages in."""


def check_script(text: str, folder: Path, *, called: str = "script") -> None:
    """Raise RefusedError unless a text names a file inside the matrix's folder."""
    path = PurePosixPath(text)
    if path.is_absolute() or ".." in path.parts:
        raise RefusedError(
            f"the {called} {quoted(text)} is not inside the matrix's folder", "write its path from there"
        )
    if not _is_file(folder / path):
        near = nearest(path.name, _names_in(folder / path.parent))
        if _MODULE.fullmatch(text) and _module_file(text, folder):
            near = f"did you mean module: {text}?"
        raise RefusedError(f"there is no {called} {quoted(text)} in {folder}", near)


def module_path(name: str, folder: Path) -> str:
    """The path, relative to a folder, of the file that `python -m name` runs there.

    Raises RefusedError for text that is no module's name, and where there is no such module.
    """
    if not _MODULE.fullmatch(name):
        dotted = name.removesuffix(".py").replace("/", ".")
        meant = f"write module: {dotted}, or script: {name}" if _MODULE.fullmatch(dotted) else "such as mypkg.train"
        raise RefusedError(f"{quoted(name)} is not the dotted name of a module", meant)
    found = _module_file(name, folder)
    if not found:
        beside = folder.joinpath(*name.split(".")[:-1])
        near = nearest(name.rpartition(".")[2], [one.removesuffix(".py") for one in _names_in(beside)])
        near = near or "an installed one starts a script of this folder, which `args` names"
        runnable = "a package needs a __main__.py to run" if folder.joinpath(*name.split(".")).is_dir() else near
        raise RefusedError(f"there is no module {quoted(name)} in {folder}", runnable)
    return found


def is_module_of(name: str, folder: Path) -> bool:
    """True where a dotted name is one of a module in a folder that `python -m` can run."""
    return bool(_MODULE.fullmatch(name) and _module_file(name, folder))


def _module_file(name: str, folder: Path) -> str:
    """The file of a module in a folder, or in the source root that a project may have there; empty where none is."""
    path = name.replace(".", "/")
    choices = (f"{root}{path}{ending}" for root in ("", f"{SOURCE_ROOT}/") for ending in ("/__main__.py", ".py"))
    return next((one for one in choices if _is_file(folder / one)), "")


def _check_prelude(word: str, folder: Path) -> None:
    if word.endswith(".py"):
        check_script(word, folder, called="prelude")
    elif word not in catalogue():
        hint = nearest(word, catalogue())
        raise RefusedError(f"{quoted(word)} is neither a switch of the catalogue nor a file that ends in .py", hint)


def _is_file(path: Path) -> bool:
    try:
        return path.is_file()
    except (OSError, ValueError):  # a name that no file system takes
        return False


def _names_in(folder: Path) -> list[str]:
    try:
        return sorted(path.name for ending in ("*.py", "*.ipynb") for path in folder.glob(ending))
    except (OSError, ValueError):
        return []


@lru_cache(maxsize=1024)
def argument_list(text: str) -> tuple[str, ...]:
    """The arguments that a text names, as a shell splits it. Raises RefusedError for a quotation mark without end."""
    return tuple(_words(text))


@lru_cache(maxsize=1024)
def env_pairs(text: str) -> tuple[tuple[str, str], ...]:
    """The variables of a canonical env value, sorted by name."""
    return tuple(_env_pairs(text))


def _env_pairs(text: str) -> list[tuple[str, str]]:
    pairs = []
    for word in _words(text):
        name, sign, value = word.partition("=")
        if not sign:
            raise RefusedError(f"{quoted(word)} sets no environment variable", "write it like NAME=value NAME2=value2")
        pairs.append((name, value))
    return pairs


_PLAIN = re.compile(r"[\w=./:,@%+ -]*", re.ASCII)


def _words(text: str) -> list[str]:
    if _PLAIN.fullmatch(text):  # most texts have nothing that a shell would take in another way, and it is slow
        return text.split()
    try:
        return shlex.split(text)
    except ValueError:
        raise RefusedError(f"{quoted(text)} has a quotation mark without its partner") from None


def sorted_variables(pairs: Iterable[tuple[str, str]]) -> tuple[tuple[str, str], ...]:
    """Environment variables sorted by name. Raises RefusedError for one that has no possible name or is set twice."""
    seen: dict[str, str] = {}
    for name, value in pairs:
        if not VARIABLE.fullmatch(name):
            raise RefusedError(f"{quoted(name)} cannot be the name of an environment variable")
        if name in seen:
            raise RefusedError(f"the environment variable {quoted(name)} is set twice")
        refuse_long(value)
        seen[str(name)] = str(value)
    return tuple(sorted(seen.items()))


def refuse_long(value: str) -> None:
    """Raise RefusedError for an argument or a variable that no program can be started with."""
    if len(value.encode("utf-8", "replace")) > _LONGEST_BYTES:
        raise RefusedError(
            f"{quoted(value[:40])}… is longer than {_LONGEST_BYTES:,} bytes",
            "put it into a file, under files: or data:",
        )


def _env_text(pairs: Iterable[tuple[str, str]]) -> str:
    return " ".join(f"{name}={shlex.quote(value)}" for name, value in sorted_variables(pairs))
