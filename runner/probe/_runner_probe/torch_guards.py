"""What keeps PyTorch's compiler, and modes and classes of the script's own, from meeting what the probe does.

The compiler compiles the functions that a compiled function calls, and intercepts every frame of Python while one of
them runs: what the probe does must be neither in what it compiles, nor be compiled itself. It is never imported here.
"""

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any


class Compiler:
    """The parts of the compiler that lie outside of it; of a PyTorch that has none they do nothing."""

    def __init__(self, torch: "Any") -> None:
        places = (getattr(torch, "compiler", None), getattr(torch, "_utils", None))
        self.is_compiling: Any = next(filter(None, (getattr(place, "is_compiling", None) for place in places)), bool)
        """False where it is called; the compiler takes it for True in what it compiles."""
        self._frames: Any = getattr(getattr(torch._C, "_dynamo", None), "eval_frame", None)
        self.switch: Any = getattr(self._frames, "set_eval_frame", bool)
        """`state = switch(None)` keeps the compiler from intercepting frames, `switch(state)` lets it go on."""

    def skip(self, function: "Any") -> None:
        """Have the frames of a function not intercepted where nothing that is compiled calls it."""
        frames = self._frames
        if hasattr(frames, "skip_code"):
            frames.skip_code(function.__code__)
        elif hasattr(frames, "set_code_exec_strategy"):
            action = frames._FrameAction
            frames.set_code_exec_strategy(function.__code__, frames._FrameExecStrategy(action.SKIP, action.DEFAULT))

    def outside_of(self, function: "Callable[..., Any]") -> "Callable[..., Any]":
        """`function`, for a call from wherever an object happens to end."""
        switch = self.switch

        def call(*args: "Any") -> "Any":
            state = switch(None)
            try:
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


class Unseen:
    """Two guards, under which what is done with tensors is not handed to the script's own modes and classes.

    `with unseen.function():` covers functions and methods; what `unseen.dispatch()` gives covers operations for as
    long as it is kept.
    """

    def __init__(self, torch: "Any") -> None:
        self.function = getattr(torch._C, "DisableTorchFunction", _Nothing)
        self.dispatch = getattr(torch._C, "_DisableTorchDispatch", _Nothing)
