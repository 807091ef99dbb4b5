"""PyTorch's compiler, as far as what is put around functions must know it; it is never imported.

It compiles the functions that a compiled function calls, and intercepts every frame of Python while one of them runs:
what the probe does must be neither in what it compiles, nor be compiled itself.
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
