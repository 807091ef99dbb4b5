"""Training that is no `fit`: the steps that an optimizer, a model or an operation takes in a loop of the script's own.

Whatever framework takes the step tells it here. Where nothing shows the loop's epochs none are made up: blocks of
steps stand for them.
"""

import _thread
import atexit
import sys

from . import phases
from .step_loop import EpochMeans, StepLoop, Subject

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from .emitter import Emitter, ScriptProgress
    from .evaluations import Evaluations, Models

UNTOLD, UNTOLD_AT_RESULT = 8, 64
"""In a process that may be ended at any moment a loop is told of where one in so many of its steps was not yet; the
second where the process hands on a result."""


class Loops:
    """All loops of the process."""

    def __init__(self, channel: "Emitter", where: "ScriptProgress", models: "Models", results: "Evaluations") -> None:
        self._channel = channel
        self._where = where
        self._models = models
        self._evaluations = results
        self._at_end: list[Any] = []
        self._close = channel.shielded(self._close)
        self._begin_process()
        channel.after_fork(self._begin_process)
        channel.before_handing_over(channel.shielded(self._hand_over))

    def _begin_process(self) -> None:
        self._loops: dict[Any, Any] = {}
        self._numbers = {"batches": 0, "loop": 0}
        self._told: dict[str, float] = {}
        self._ends = False
        self.taken = 0
        """The number of times that a step was told of, in whichever loop."""
        self._results: dict[str, float] = {}
        self._epoch_is_over = False
        self._latest: StepLoop | None = None
        self._thread = 0

    def known(self, owner: "Any", kind: str = "loop") -> "StepLoop | None":
        """The loop of an owner that has one, which the script is in from now on."""
        loop = self._loops.get((kind, id(owner)))
        if loop is None or loop.owner() is not owner:
            return None
        self._where.move("training", loop.name)
        return loop  # type: ignore[no-any-return]

    def begin(
        self,
        owner: "Any",
        variables: "Any",
        read: "Any",
        kind: str = "loop",
        rate: "Any" = None,
        session: "Any" = None,
        readable: bool = True,
        state: "Any" = None,
        subject: "Subject | None" = None,
    ) -> "StepLoop":
        """A new loop, which trains `variables`; the script is in it from now on.

        `kind` is `batches` where the owner is a model, `estimator` where it is one, `fit` where it is a trainer's run.
        `readable`: False where reading would add ops to a graph. `state` gives digest and norm of what is trained
        where that is no list of variables.
        """
        if not self._ends:
            self._close_at_end()
        about = subject or Subject(None if kind == "loop" else owner)
        if about.architecture is None and kind == "batches":
            about.architecture = phases.architecture(owner, variables)
        word = "loop" if kind == "estimator" else kind
        number = about.number or self._next(word)
        loop = StepLoop(self._channel, "%s-%d" % (word, number), owner, read, rate or _no_rate, session)
        loop.is_held = about.is_held
        loop.train(variables)
        loop.state = state
        self._make_room((kind, id(owner)))
        self._loops[kind, id(owner)] = loop
        self._where.move("training", loop.name)
        self._tell_begin(loop, about, number, readable)
        return loop

    def _next(self, word: str) -> int:
        self._numbers[word] += 1
        return self._numbers[word]

    def _tell_begin(self, loop: "StepLoop", about: "Subject", number: int, readable: bool) -> None:
        model, is_sampled = about.model, phases.is_sampled(number)
        initial = (about.initial or (loop.digest(), loop.norm())) if readable and is_sampled else (None, None)
        self._channel.emit(
            "phase",
            name=loop.name,
            model=None if model is None else phases.model_name(model),
            model_number=None if model is None else self._models.number(model),
            architecture=about.architecture if is_sampled else None,
            planned_epochs=about.planned_epochs,
            steps=None,
            initial_weights=initial[0],
            weight_norm=initial[1],
        )

    def _make_room(self, key: "tuple[str, int]") -> None:
        """Let go of what earlier loops trained, and close those whose owner is gone by that."""
        for known, loop in list(self._loops.items()):
            loop.let_go()
            if known == key or (loop.session is None and loop.owner() is None):
                self._close(self._loops.pop(known))

    def tell(self, name: str, value: float) -> None:
        """A number of the step that is being taken, whichever loop it turns out to be of."""
        self._told[name] = value

    def of_session(self, session: "Any") -> "list[StepLoop]":
        """The loops of a session."""
        return [loop for loop in self._loops.values() if loop.session == session]

    def tell_result(self, name: str, value: float) -> None:
        """A number that was asked for between steps; the latest one before an epoch ends is the epoch's."""
        self._told[name] = self._results[name] = value

    def begin_epoch(self) -> None:
        """The script begins to count anew: where steps were taken, they were an epoch."""
        if self._latest is not None and self._latest.epoch.steps:
            self._epoch_is_over = True
        else:
            self._results = {}

    def end_step(self, loop: "StepLoop", values: "dict[str, float] | None" = None, steps: int = 1) -> None:
        """A step is over (or some were); its numbers are `values` and what was told since the last one."""
        if self._epoch_is_over:
            self._end_epochs()
        numbers: dict[str, float] = values or {}
        if self._told:
            numbers, self._told = dict(self._told, **numbers), {}
        if numbers:
            loop.blocks.add(numbers, steps)
        loop.epoch.add(numbers, steps)
        self._took(loop, steps, has_loss="loss" in (values or ()))

    def end_steps(self, loop: "StepLoop", losses: "list[float]") -> None:
        """Some steps are over, each with its loss and no other number but what was told since the last one."""
        if self._epoch_is_over or self._told:
            self.end_step(loop, {"loss": losses[0]})
            losses = losses[1:]
        if losses:
            loop.blocks.add_all("loss", losses)
            loop.epoch.add_all("loss", losses)
            self._took(loop, len(losses), has_loss=True)

    def _took(self, loop: "StepLoop", steps: int, has_loss: bool) -> None:
        self.taken += 1
        loop.has_loss = loop.has_loss or has_loss
        loop.hold()
        self._latest, self._thread = loop, _thread.get_ident()
        self._evaluations.trained(loop.name)
        if loop.count(steps) or (self._channel.is_child() and loop.untold() * UNTOLD > loop.steps):
            self._write(loop)

    def _end_epochs(self) -> None:
        """An epoch of all loops that took steps is over; its results belong to the one that took the last step."""
        self._epoch_is_over = False
        logs, self._results = self._results, {}
        self._told = {name: value for name, value in self._told.items() if name not in logs}
        for loop in list(self._loops.values()):
            if loop.epoch.steps:
                self.end_epoch(loop, logs if loop is self._latest else None)

    def end_epoch(
        self, loop: "StepLoop", logs: "dict[str, float] | None" = None, taken: "EpochMeans | None" = None
    ) -> None:
        """An epoch of the loop is over: the means of its steps, and `logs`, which win over them.

        `taken` is the epoch where it was taken from the loop before.
        """
        epoch = taken or loop.take_epoch()
        loop.epochs += 1
        is_looked_at = phases.is_sampled(loop.epochs)
        self._channel.emit(
            "epoch",
            phase=loop.name,
            epoch=loop.epochs,
            logs=dict(epoch.means(), **(logs or {})),
            time_s=epoch.seconds(),
            learning_rate=loop.rate() if is_looked_at else None,
            weight_norm=loop.norm() if is_looked_at else None,
            update_norm=None,
            rss_bytes=phases.resident_bytes() if is_looked_at else None,
        )

    def begin_iteration(self) -> "dict[Any, int]":
        """The script begins to go through its data: the number of steps that each loop has taken by now."""
        for loop in self._loops.values():
            if not loop.epoch.steps:
                loop.epoch = EpochMeans()  # what came before, such as validation, takes none of its time
        return {key: loop.steps for key, loop in self._loops.items()}

    def end_iteration(self, before: "dict[Any, int]") -> None:
        """The script has gone through its data: an epoch of each loop that took steps in it and has told none yet."""
        for key, loop in list(self._loops.items()):
            if loop.epoch.steps and loop.steps > before.get(key, 0):
                self.end_epoch(loop)

    def end(self, loop: "StepLoop", failed: bool) -> None:
        """A loop is over before the process is."""
        for key in [key for key, one in self._loops.items() if one is loop]:
            del self._loops[key]
            self._close(loop, failed)

    def end_session(self, session: "Any") -> None:
        """The loops of a session are over, but for those that may go on in another one: those of an estimator."""
        for key, loop in list(self._loops.items()):
            if loop.session == session and key[0] == "estimator":
                loop.let_go()
                loop.session = ""
            elif loop.session == session:
                del self._loops[key]
                self._close(loop)

    def _hand_over(self, at_end: bool) -> None:
        """Tell how far the loops are where much of them was not told yet; at the end all, and without reading weights.

        Another thread than the one that trains can't tell, since it may be in the middle of a step.
        """
        if self._thread == _thread.get_ident():
            for loop in list(self._loops.values()):
                if loop.untold() * UNTOLD_AT_RESULT > (0 if at_end else loop.steps):
                    self._channel.emit("loop", **loop.event(with_norm=not at_end))

    def _write(self, loop: "StepLoop") -> None:
        self._channel.emit("loop", **loop.event())

    def _close_at_end(self) -> None:
        """Registered after TensorFlow's own handlers, and so called before they take its state down."""
        self._ends = True
        atexit.register(self._close_all)
        util = sys.modules.get("multiprocessing.util")
        if util is not None and self._channel.is_child():
            util.Finalize(None, self._close_all, exitpriority=0)  # a fork that multiprocessing made has no atexit

    def at_end(self, act: "Any") -> None:
        """Have `act` called before the loops that are left are closed."""
        self._at_end.append(self._channel.shielded(act))

    def _close_all(self) -> None:
        self._channel.settle()
        for act in self._at_end:
            act()
        for key in list(self._loops):
            self._close(self._loops.pop(key))

    def _close(self, loop: "StepLoop", failed: bool = False) -> None:
        if loop.settle_steps is not None and loop.owner() is not None:
            loop.steps = loop.steps or loop.settle_steps()
        is_latest, self._latest = loop is self._latest, None if loop is self._latest else self._latest
        if loop.epochs and (loop.epoch.steps or (is_latest and self._results)):
            self.end_epoch(loop, self._results if is_latest else None)
        elif is_latest and self._told:
            loop.blocks.add(self._told)
            self._told = {}
        self._write(loop)
        self._channel.emit(
            "phase-end", name=loop.name, final_weights=loop.digest(), weight_norm=loop.norm(), error=failed
        )


def _no_rate() -> None:
    """For a loop whose learning rate nobody knows."""
