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
    unless: "Callable[[], bool] | None" = None,
) -> "Callable[..., Any]":
    """`original` with something before and after it.

    `enter(args, kwargs)` may replace arguments in place (args is a list) and gives a token; `leave(token, result,
    error)` gets it back, with the exception where one leaves the call. Both must be shielded. `unless()` is true where
    nothing is to happen: under PyTorch's compiler, which knows by that what to leave out of what it compiles.
    """

    @functools.wraps(original)
    def call(*args: "Any", **kwargs: "Any") -> "Any":
        if unless is not None and unless():
            return original(*args, **kwargs)
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
