"""Pretended packages `keras`, `tensorflow` and `tf_keras`: whatever is asked of them is there and knows its own path.

So a script can be run in no time to see what its names really are.
"""

from __future__ import annotations

import importlib
import importlib.abc
import importlib.machinery
import sys
from contextlib import contextmanager
from types import ModuleType
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

PACKAGES = ("keras", "tensorflow", "tf_keras")


class Pretended(ModuleType):
    """A module, or a function: both begin with a small letter. A name with a capital is a class."""

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        path = f"{self.__name__}.{name}"
        if name[0].isupper():
            return type(name, (), {"path": path, "__init__": lambda self, *args, **options: None})
        return importlib.import_module(path)

    def __call__(self, *args: Any, **options: Any) -> Any:
        return args[0] if args else lambda decorated: decorated


class _Finder(importlib.abc.MetaPathFinder, importlib.abc.Loader):
    def find_spec(self, name: str, path: Sequence[str] | None, target: ModuleType | None = None) -> Any:
        if name.partition(".")[0] in PACKAGES:
            return importlib.machinery.ModuleSpec(name, self, is_package=True)
        return None

    def create_module(self, spec: importlib.machinery.ModuleSpec) -> ModuleType:
        return Pretended(spec.name)

    def exec_module(self, module: ModuleType) -> None:
        module.__path__ = []
        if module.__name__ == "tensorflow":
            module.__all__ = ["constant", "keras"]


def names_of(source: str) -> dict[str, list[str]]:
    """The names that a script binds for the whole file, with the paths of what they are, through lists and calls."""
    with _pretended():
        space: dict[str, Any] = {"__name__": "__main__"}
        exec(compile(source, "script.py", "exec"), space)  # a form of the corpus
        return {name: paths for name, value in space.items() if (paths := list(_paths(value)))}


@contextmanager
def _pretended() -> Iterator[None]:
    finder = _Finder()
    sys.meta_path.insert(0, finder)
    try:
        yield
    finally:
        sys.meta_path.remove(finder)
        for name in [name for name in sys.modules if name.partition(".")[0] in PACKAGES]:
            del sys.modules[name]


def _paths(value: Any) -> Iterator[str]:
    if isinstance(value, Pretended):
        yield value.__name__
    elif isinstance(value, list | tuple):
        for one in value:
            yield from _paths(one)
    elif isinstance(path := getattr(value, "path", None), str):
        yield path
