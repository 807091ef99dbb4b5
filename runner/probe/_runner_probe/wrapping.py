"""Puts a function around a method of a class, so that neither callers nor `inspect` see a difference."""

import functools
import inspect


def own_classes(module):
    """The classes that a module defines itself."""
    return [
        value
        for value in list(vars(module).values())
        if inspect.isclass(value) and value.__module__ == module.__name__
    ]


def put_around(cls, name, around):
    """Replace the method `name`, where `cls` itself defines it, by `around(original)` under its name and signature."""
    original = vars(cls).get(name)
    if not inspect.isfunction(original):
        return
    wrapper = functools.wraps(original)(around(original))
    # getfullargspec, which scikit-learn's wrappers ask what `fit` takes, does not look through __wrapped__.
    wrapper.__signature__ = inspect.signature(original)
    setattr(cls, name, wrapper)


def once(cls, name, act):
    """Act when the method is called for the first time, then leave the class as it was."""
    original = vars(cls).get(name)
    if not inspect.isfunction(original):
        return

    @functools.wraps(original)
    def wrapper(*args, **kwargs):
        if vars(cls).get(name) is wrapper:
            setattr(cls, name, original)
        act()
        return original(*args, **kwargs)

    wrapper.__signature__ = inspect.signature(original)
    setattr(cls, name, wrapper)
