"""The only frames of the probe that other code ever runs in; the name of this file matters.

`warnings.warn(..., stacklevel=2)` names the caller, and CPython (3.6 to 3.13) does not count frames of files that
have "importlib" and "_bootstrap" in their names: a warning from inside of `fit` names the script's line, as it would
without the probe, and filters by module work as ever.
"""

import functools
import types

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any


def enclosed(
    original: "Callable[..., Any]",
    enter: "Callable[..., Any]",
    leave: "Callable[..., Any]",
    compiler: "Any" = None,
) -> "Callable[..., Any]":
    """`original` with something before and after it.

    `enter(args, kwargs)` may replace arguments in place (args is a list) and gives a token; `leave(token, result,
    error)` gets it back, with the exception where one leaves the call. Both must be shielded. `compiler` is PyTorch's,
    where it may compile what calls this (see `torch_guards`).
    """
    if compiler is not None:
        return _enclosed_outside_of(compiler, original, enter, leave)

    @functools.wraps(original)
    def call(*args: "Any", **kwargs: "Any") -> "Any":
        given = list(args)
        token = enter(given, kwargs)
        try:
            result = original(*given, **kwargs)
        except BaseException as error:
            leave(token, None, error)
            raise
        leave(token, result, None)
        return result

    return call


def _enclosed_outside_of(
    compiler: "Any", original: "Callable[..., Any]", enter: "Callable[..., Any]", leave: "Callable[..., Any]"
) -> "Callable[..., Any]":
    """The same, where a compiler finds nothing but the original in what it compiles, and compiles nothing of this.

    No argument is replaced here, and without a token the end of the call does not matter.
    """
    is_compiling, switch = compiler.is_compiling, compiler.switch

    @functools.wraps(original)
    def call(*args: "Any", **kwargs: "Any") -> "Any":
        if is_compiling():
            return original(*args, **kwargs)
        state = switch(None)
        token = enter(args, kwargs)
        switch(state)
        if token is None:
            return original(*args, **kwargs)
        try:
            result = original(*args, **kwargs)
        except BaseException as error:
            state = switch(None)
            leave(token, None, error)
            switch(state)
            raise
        state = switch(None)
        leave(token, result, None)
        switch(state)
        return result

    compiler.skip(call)
    return call


def replaced(original: "Callable[..., Any]", change: "Callable[..., Any]") -> "Callable[..., Any]":
    """`original`, whose result is what `change(result, args, kwargs)` makes of it, which must be shielded."""

    @functools.wraps(original)
    def call(*args: "Any", **kwargs: "Any") -> "Any":
        result = original(*args, **kwargs)
        changed = change(result, args, kwargs)
        return result if changed is None else changed

    return call


class EnclosedCallable:
    """What `original` is, with something before and after each call of it, as `enclosed` has it.

    To all that asks, for its class, its attributes or how it is pickled, it is `original`; what `original` is need not
    be a function. `release` leaves nothing around it; `shorten` leaves as little as can be where a call is like the
    one before.
    """

    __slots__ = ("__weakref__", "parts")

    def __init__(self, original: "Any", enter: "Callable[..., Any]", leave: "Callable[..., Any]") -> None:
        _put_parts(self, (original, enter, leave, None))

    def __call__(*args: "Any", **kwargs: "Any") -> "Any":
        original, enter, leave, steady = _parts(args[0])
        given = args[1:]
        if steady is not None and steady.is_next(given):
            try:
                result = original(*given, **kwargs)
            except BaseException as error:
                steady.left(error)
                raise
            steady.returned(result)
            return result
        if enter is None:
            return original(*given, **kwargs)
        token = enter(given, kwargs)
        try:
            result = original(*given, **kwargs)
        except BaseException as error:
            leave(token, None, error)
            raise
        leave(token, result, None)
        return result

    def __getattribute__(self, name: str) -> "Any":
        return getattr(_parts(self)[0], name)

    def __setattr__(self, name: str, value: "Any") -> None:
        setattr(_parts(self)[0], name, value)

    def __delattr__(self, name: str) -> None:
        delattr(_parts(self)[0], name)

    def __dir__(self) -> "Any":
        return dir(_parts(self)[0])

    def __repr__(self) -> str:
        return repr(_parts(self)[0])

    def __get__(self, owner: "Any", cls: "Any" = None) -> "Any":
        return self if owner is None else types.MethodType(self, owner)


_parts: "Any" = EnclosedCallable.__dict__["parts"].__get__
_put_parts: "Any" = EnclosedCallable.__dict__["parts"].__set__


def release(enclosing: EnclosedCallable) -> None:
    """Let nothing more happen around the calls."""
    _put_parts(enclosing, (_parts(enclosing)[0], None, None, None))


def shorten(enclosing: EnclosedCallable, steady: "Any") -> None:
    """Have `steady` asked about each call: where it `is_next`, it is told alone what was `returned` or that it `left`.

    None of that may raise anything.
    """
    _put_parts(enclosing, (*_parts(enclosing)[:3], steady))
