"""What all that watches training in a process shares: the channel, the place in the script, loops and results."""

from . import evaluations, loops, wrapping

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from .emitter import Emitter, ScriptProgress


class Trainings:
    """One of a process; each framework's watcher is made with it."""

    def __init__(self, channel: "Emitter", where: "ScriptProgress", steps: bool) -> None:
        self.channel = channel
        self.where = where
        self.steps = steps
        self.inside = 0
        """How deep the script is in calls that are told as a whole; what happens in them is no step of a loop."""
        self._process = 0
        self._begin_process()
        channel.after_fork(self._begin_process)
        self.models = evaluations.Models()
        self.results = evaluations.Evaluations(channel, self.models)
        self.loops = loops.Loops(channel, where, self.models, self.results)

    def _begin_process(self) -> None:
        """In a fork: what its parent is in the middle of goes on there."""
        self._process += 1
        self._fits = 0
        self._configs: set[Any] = set()
        self.inside = 0

    def next_fit(self) -> "tuple[str, int]":
        """The name and number of a fit that begins, whatever trains in it."""
        self._fits += 1
        return "fit-%d" % self._fits, self._fits

    def tell_configs(self, phase: str, texts: "Any") -> None:
        """Tell live configurations, (what, JSON text) each, where they differ from all that were told."""
        for what, text in texts:
            if text not in self._configs:
                self._configs.add(text)
                self.channel.emit("config", phase=phase, what=what, config=text)

    def put_around(
        self,
        cls: "Any",
        name: str,
        enter: "Any",
        leave: "Any",
        *given: "Any",
        compiler: "Any" = None,
        quick: "Any" = None,
    ) -> None:
        """Put `enter(args, kwargs, *given)` and `leave(token, result, error)` around a method or function.

        A token of None means that the end of the call does not matter; nor does it in a fork that the call made.
        `quick` makes of the two that are called here those that are called in their place, for calls that hardly any
        time may be spent on.
        """
        channel = self.channel

        def enter_here(args: "Any", kwargs: "Any") -> "Any":
            try:
                channel.settle()
                token = enter(args, kwargs, *given)
            except Exception as error:
                channel.failed(getattr(enter, "__name__", name), error)
                return None
            return None if token is None else (self._process, token)

        def leave_if_entered(entered: "Any", result: "Any", error: "Any") -> None:
            if entered is None:
                return
            try:
                channel.settle()
                if entered[0] == self._process:
                    leave(entered[1], result, error)
            except Exception as failure:
                channel.failed(getattr(leave, "__name__", name), failure)

        first, last = (enter_here, leave_if_entered) if quick is None else quick(enter_here, leave_if_entered)
        wrapping.put_around(cls, name, first, last, compiler)
