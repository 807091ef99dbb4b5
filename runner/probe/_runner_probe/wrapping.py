"""Puts something around a method of a class, so that neither callers nor `inspect` see a difference."""

import inspect

from .enclosing_importlib_bootstrap import enclosed

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
    # getfullargspec, which scikit-learn's wrappers ask what `fit` takes, does not look through __wrapped__.
    method.__signature__ = inspect.signature(original)
    owner, attribute = (cls, name) if is_static or holder is original else (holder, "fn")
    setattr(owner, attribute, staticmethod(method) if is_static else method)
    return method


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
