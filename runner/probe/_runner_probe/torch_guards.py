"""What keeps PyTorch's compiler, and modes and classes of the script's own, from meeting what the probe does.

The compiler compiles the functions that a compiled function calls, and intercepts every frame of Python while one of
them runs: what the probe does must be neither in what it compiles, nor be compiled itself. It is never imported here.
"""

import functools

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any


class Guards:
    """The switches of a PyTorch; those that it does not have yet do nothing."""

    def __init__(self, torch: "Any") -> None:
        places = (getattr(torch, "compiler", None), getattr(torch, "_utils", None))
        self.is_compiling: Any = next(filter(None, (getattr(place, "is_compiling", None) for place in places)), bool)
        """False where it is called; the compiler takes it for True in what it compiles."""
        self._frames: Any = getattr(getattr(torch._C, "_dynamo", None), "eval_frame", None)
        self.switch: Any = getattr(self._frames, "set_eval_frame", bool)
        """`state = switch(None)` keeps the compiler from intercepting frames, `switch(state)` lets it go on."""
        self._without_functions: Any = getattr(torch._C, "DisableTorchFunction", _Nothing)
        """Covers functions and methods in a `with`."""
        self._without_operations: Any = getattr(torch._C, "_DisableTorchDispatch", _Nothing)
        """Covers operations for as long as what it gives is kept."""

    def skip(self, function: "Any") -> None:
        """Have the frames of a function not intercepted where nothing that is compiled calls it."""
        frames = self._frames
        if hasattr(frames, "skip_code"):
            frames.skip_code(function.__code__)
        elif hasattr(frames, "set_code_exec_strategy"):
            action = frames._FrameAction
            frames.set_code_exec_strategy(function.__code__, frames._FrameExecStrategy(action.SKIP, action.DEFAULT))

    def hidden(self, function: "Callable[..., Any]") -> "Callable[..., Any]":
        """`function`, of which neither the compiler nor any mode or class of tensors sees anything."""
        switch, without_functions, without_operations = self.switch, self._without_functions, self._without_operations

        @functools.wraps(function)
        def call(*args: "Any") -> "Any":
            state = switch(None)
            try:
                with without_functions():
                    kept = without_operations()  # noqa: F841 - it holds while it is kept
                    return function(*args)
            finally:
                switch(state)

        self.skip(call)
        return call


class _Nothing:
    def __enter__(self) -> None:
        """Do nothing."""

    def __exit__(self, *_: object) -> None:
        """Do nothing."""
