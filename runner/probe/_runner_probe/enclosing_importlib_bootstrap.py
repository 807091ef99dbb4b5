"""The only frames of the probe that other code ever runs in; the name of this file matters.

`warnings.warn(..., stacklevel=2)` names the caller, and CPython (3.6 to 3.13) does not count frames of files that
have "importlib" and "_bootstrap" in their names: a warning from inside of `fit` names the script's line, as it would
without the probe, and filters by module work as ever.
"""

import functools

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
    """The same, where a compiler finds nothing but the original in what it compiles, and compiles nothing of this."""
    is_compiling, switch = compiler.is_compiling, compiler.switch

    @functools.wraps(original)
    def call(*args: "Any", **kwargs: "Any") -> "Any":
        if is_compiling():
            return original(*args, **kwargs)
        given = list(args)
        state = switch(None)
        token = enter(given, kwargs)
        switch(state)
        try:
            result = original(*given, **kwargs)
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
