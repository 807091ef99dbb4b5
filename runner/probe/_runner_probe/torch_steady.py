"""The steady state of a loop of PyTorch: one optimizer takes a step after each loss, which must cost next to nothing.

Losses wait to be told together. Whatever is not as usual goes the long way (`torch_training`), as the first step did.
"""

from time import perf_counter

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from .step_loop import StepLoop
    from .torch_losses import Trained
    from .trainings import Trainings

MOST = 64
"""So many losses wait at most, and no longer than a second while steps are taken."""


class SteadySteps:
    """The steps of the one optimizer that there is, from its second one on."""

    def __init__(self, trainings: "Trainings", torch: "Any", tell_losses: "Callable[..., Any]") -> None:
        self._trainings = trainings
        self._tell_losses = tell_losses
        self._tensor = torch.Tensor
        none: Any = lambda: 0  # noqa: E731
        self._modes = [getattr(torch._C, "_len_torch_%s_stack" % kind, none) for kind in ("function", "dispatch")]
        self.scale: Any = None
        """What a scaler has multiplied the next loss with."""
        self.trained: Any = None
        self._loop: Any = None
        self._cls: Any = None
        self._waiting: list[float] = []
        self._room = 1
        self._due = 0.0

    def begin(self, trained: "Trained", loop: "StepLoop", cls: "Any") -> None:
        """From now on this optimizer is the only one; `cls` is the class that its `step` is of."""
        if self._loop is not loop:
            self.tell()
            self._loop, self._room = loop, 1
        self.trained, self._cls = trained, cls

    def end(self) -> None:
        """It is not the only one any more."""
        self.trained = None

    def forget(self) -> None:
        """In a fork: what waits is told by the parent."""
        self.trained, self._waiting = None, []

    def tell(self) -> None:
        """Tell the steps whose losses wait."""
        waiting, self._waiting = self._waiting, []
        if waiting:
            self._tell_losses(self._loop, waiting)
            self._room = max(1, min(MOST, self._loop.steps // 2))
        self._due = perf_counter() + 1.0

    def backward(self, otherwise: "Callable[..., Any]") -> "Callable[..., Any]":
        """Enters `torch.autograd.backward`."""
        trainings, tensor = self._trainings, self._tensor
        functions, dispatches = self._modes

        def enter(args: "Any", kwargs: "Any") -> "Any":
            trained = self.trained
            if trained is None or not trained.is_taken or self.scale is not None or trainings.inside:
                return otherwise(args, kwargs)
            if len(args) < 2 or args[1] is not None or type(args[0]) is not tensor or functions() or dispatches():
                return otherwise(args, kwargs)
            try:
                value = args[0].item() if args[0].is_cpu else None
            except Exception:
                value = None
            if type(value) is not float:
                return otherwise(args, kwargs)
            trained.losses, trained.is_taken, trained.gradients = [value], False, None
            return None

        return enter

    def step(self, cls: "Any", otherwise: "Callable[..., Any]") -> "Callable[..., Any]":
        """Enters the `step` of a class of optimizers."""
        trainings, where = self._trainings, self._trainings.where

        def enter(args: "Any", kwargs: "Any") -> "Any":
            trained = self.trained
            if (
                trained is None
                or trained.is_taken
                or len(args) != 1
                or kwargs
                or trainings.inside
                or cls is not self._cls
            ):
                return otherwise(args, kwargs)
            optimizer = args[0]
            if (
                trained.owner() is not optimizer
                or len(optimizer.param_groups) != trained.groups
                or where.phase != self._loop.name
                or "found_inf" in optimizer.__dict__
            ):
                return otherwise(args, kwargs)
            losses, waiting = trained.losses, self._waiting
            if len(waiting) >= self._room or perf_counter() > self._due:
                self._tell()
                waiting = self._waiting
            waiting.append(losses[0] if len(losses) == 1 else sum(losses))
            trained.is_taken = True
            trained.steps += 1
            return None

        return enter

    def _tell(self) -> None:
        try:
            self._trainings.channel.settle()
            self.tell()
        except Exception as error:
            self._trainings.channel.failed("tell", error)
