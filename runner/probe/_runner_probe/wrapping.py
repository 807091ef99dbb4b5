"""Puts something around a method of a class, so that neither callers nor `inspect` see a difference."""

import inspect
import sys

from .enclosing_importlib_bootstrap import enclosed
from .own_imports import is_standard

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any


def own_classes(module: "Any") -> "list[type]":
    """The classes that a module defines itself."""
    return [
        value for value in list(vars(module).values()) if inspect.isclass(value) and value.__module__ == module.__name__
    ]


def put_around(
    cls: "Any",
    name: str,
    enter: "Callable[..., Any]",
    leave: "Callable[..., Any]",
    compiler: "Any" = None,
) -> "Any":
    """Enclose the method `name` where `cls` itself defines it; None where it does not, else the new method.

    Where scikit-learn makes it available under a condition only, the function behind that is enclosed.
    """
    holder = vars(cls).get(name)
    is_static = isinstance(holder, staticmethod)  # as `__new__` is
    original = holder.__func__ if is_static else holder if inspect.isfunction(holder) else getattr(holder, "fn", None)
    if not inspect.isfunction(original):
        return None
    method: Any = enclosed(original, enter, leave, compiler)
    _sign(method)
    owner, attribute = (cls, name) if is_static or holder is original else (holder, "fn")
    setattr(owner, attribute, staticmethod(method) if is_static else method)
    return method


_early: "list[Any]" = []
"""Methods that were enclosed before the script imported `inspect`."""


def _sign(method: "Any") -> None:
    """Say what an enclosed method takes, for those who ask.

    getfullargspec, which scikit-learn's wrappers ask what `fit` takes, does not look through __wrapped__.
    """
    if "inspect" in sys.modules:
        method.__signature__ = inspect.signature(method.__wrapped__)
    else:
        _early.append(method)


def share_signatures(module: "Any") -> None:
    """The script imported `inspect`: what a signature is, is what it is there from now on, for the probe too."""
    if is_standard(module.__file__):
        inspect.signature = module.signature
        for method in _early:
            _sign(method)
    _early.clear()


def first_argument(args: "Any", kwargs: "Any") -> "Any":
    """The object that a method belongs to: all that many an end of a call asks for."""
    return args[0]


def nothing(*_: "Any") -> None:
    """For an end of a method that nothing is to happen at."""


def once(cls: "Any", name: str, act: "Callable[[], object]") -> None:
    """Act when the method is called for the first time, and leave the class as it was."""
    original = vars(cls).get(name)

    def enter(args: "Any", kwargs: "Any") -> None:
        if vars(cls).get(name) is method:
            setattr(cls, name, original)
        act()

    method = put_around(cls, name, enter, nothing)
