"""The steady state of loops of PyTorch: optimizers that took steps before take more, which must cost next to nothing.

Losses wait to be told together. Whatever is not as usual goes the long way (`torch_training`), as the first steps did.
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
"""So many losses of a loop wait at most, and no longer than a second while steps are taken."""


class SteadySteps:
    """The steps of all optimizers that there are, from their second ones on."""

    def __init__(self, trainings: "Trainings", torch: "Any", tell_losses: "Any", miss: "Any") -> None:
        self._trainings = trainings
        self._tell_losses = tell_losses
        self._miss = miss
        """Called with a loss that gave a gradient to none of them, and its value."""
        self._tensor = torch.Tensor
        none: Any = lambda: 0  # noqa: E731
        self._modes = [getattr(torch._C, "_len_torch_%s_stack" % kind, none) for kind in ("function", "dispatch")]
        self.scale: Any = None
        """What a scaler has multiplied the next loss with."""
        self._waiting: dict[int, _Waiting] = {}
        self._by_optimizer: dict[int, Any] = {}
        self._all: list[Trained] = []
        self._due = 0.0

    def begin(self, steady: "list[tuple[Trained, StepLoop, Any]]") -> None:
        """From now on these optimizers are all that there are: each with its loop, and the class that its `step` is of.

        Of each a step was seen before.
        """
        loops = [loop for _, loop, _ in steady]
        self.tell()
        self._waiting = {id(loop): self._waiting.get(id(loop)) or _Waiting(loop) for loop in loops}
        self._by_optimizer = {id(one.owner()): (one, self._waiting[id(loop)], cls) for one, loop, cls in steady}
        self._all = [trained for trained, _, _ in steady]

    def end(self) -> None:
        """They are not all that there are any more, or what comes now is not as usual."""
        self._by_optimizer, self._all = {}, []

    def forget(self) -> None:
        """In a fork: what waits is told by the parent."""
        self.end()
        self._waiting = {}

    def tell(self) -> None:
        """Tell the steps whose losses wait; those of the loop that the script is in come last."""
        phase = self._trainings.where.phase
        for waiting in sorted(self._waiting.values(), key=lambda one: one.loop.name == phase):
            losses, waiting.losses = waiting.losses, []
            if losses:
                self._tell_losses(waiting.loop, losses)
                waiting.set_room()
        self._due = perf_counter() + 1.0

    def around_backward(self, enter: "Callable[..., Any]", leave: "Callable[..., Any]") -> "Any":
        """What to call around `torch.autograd.backward` in place of these two."""
        trainings, tensor = self._trainings, self._tensor
        functions, operations = self._modes

        def enter_quickly(args: "Any", kwargs: "Any") -> "Any":
            if not self._all or self.scale is not None or trainings.inside:
                return enter(args, kwargs)
            if len(args) < 2 or args[1] is not None or type(args[0]) is not tensor or functions() or operations():
                return enter(args, kwargs)
            loss = args[0]
            try:
                value = loss.item() if loss.is_cpu else None
                if type(value) is not float:
                    return enter(args, kwargs)
                for trained in self._all:
                    trained.before_loss()
                    if trained.dropped > 1:
                        self.end()
                        return enter(args, kwargs)
            except Exception:
                return enter(args, kwargs)
            return [value, loss]

        def leave_quickly(token: "Any", result: "Any", error: "Any") -> None:
            if type(token) is not list:
                leave(token, result, error)
            elif error is not None:
                trainings.where.blame(error)
            else:
                self._take(*token)

        return enter_quickly, leave_quickly

    def _take(self, value: float, loss: "Any") -> None:
        is_missed = True
        try:
            for trained in self._all:
                gradients = trained.state_of_gradients()
                if gradients != trained.gradients:
                    trained.losses.append(value)
                    trained.gradients, is_missed = gradients, False
            if is_missed:
                self._miss(value, loss)
        except Exception as error:
            self._trainings.channel.failed("backward", error)

    def around_step(self, cls: "Any", enter: "Callable[..., Any]", leave: "Callable[..., Any]") -> "Any":
        """What to call around the `step` of a class of optimizers in place of these two."""
        trainings, where = self._trainings, self._trainings.where

        def enter_quickly(args: "Any", kwargs: "Any") -> "Any":
            optimizer = args[0]
            found = self._by_optimizer.get(id(optimizer))
            if found is None or len(args) != 1 or kwargs or trainings.inside:
                return enter(args, kwargs)
            trained, waiting, its = found
            losses = trained.losses
            if (
                its is not cls
                or trained.is_taken
                or not losses
                or trained.owner() is not optimizer
                or len(optimizer.param_groups) != trained.groups
                or "found_inf" in optimizer.__dict__
            ):
                return enter(args, kwargs)
            if len(waiting.losses) >= waiting.room or perf_counter() > self._due:
                self._tell()
            if where.phase != waiting.loop.name:
                where.move("training", waiting.loop.name)
            waiting.losses.append(losses[0] if len(losses) == 1 else sum(losses))
            trained.take_step()
            return None

        return enter_quickly, leave

    def _tell(self) -> None:
        try:
            self._trainings.channel.settle()
            self.tell()
        except Exception as error:
            self._trainings.channel.failed("tell", error)


class _Waiting:
    """The losses of a loop that wait to be told."""

    def __init__(self, loop: "StepLoop") -> None:
        self.loop = loop
        self.losses: list[float] = []
        self.set_room()

    def set_room(self) -> None:
        """So many of them wait at most: few while the loop is short, so that it is not told late."""
        self.room = max(1, min(MOST, self.loop.steps // 2))
