"""Training that is no `fit`: the steps that an optimizer, a model or an operation takes in a loop of the script's own.

Whatever framework takes the step tells it here. Where nothing shows the loop's epochs none are made up: the numbers
of all its steps are kept as the means of at most 64 blocks of equally many consecutive steps. A block doubles when 64
are full.
"""

import _thread
import atexit
import sys
import time
import weakref

from . import phases, weights

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from .emitter import Emitter, ScriptProgress
    from .evaluations import Evaluations, Models

BLOCKS = 64
SECONDS = 10.0
UNTOLD = 8
"""Where a worker hands on a result, a loop is told of if one in so many of its steps were not yet."""


class Blocks:
    """Means over blocks of consecutive steps; constant in memory, and evenly spaced at any moment."""

    def __init__(self) -> None:
        self.size = 1
        self._full: list[Any] = []
        self._sums: dict[Any, Any] = {}
        self._count = 0

    def add(self, values: "dict[str, float]") -> None:
        """One step's numbers by name."""
        for name, value in values.items():
            self._sums[name] = self._sums.get(name, 0.0) + value
        self._count += 1
        if self._count == self.size:
            self._full.append({name: total / self._count for name, total in self._sums.items()})
            self._sums, self._count = {}, 0
        if len(self._full) == BLOCKS:
            pairs = zip(self._full[::2], self._full[1::2])
            self._full = [{name: (one[name] + two.get(name, one[name])) / 2 for name in one} for one, two in pairs]
            self.size *= 2

    def means(self) -> "dict[str, list[float]]":
        """{name: one value a block}; steps that fill no block yet are weighed into the last one."""
        blocks = [dict(block) for block in self._full]
        if self._count and blocks:
            share = self._count / float(self.size + self._count)
            for name, total in self._sums.items():
                blocks[-1][name] = blocks[-1].get(name, 0.0) * (1 - share) + share * total / self._count
        names = sorted({name for block in blocks for name in block})
        return {name: [block[name] for block in blocks if name in block] for name in names}


class EpochMeans:
    """The means of the steps since the last epoch ended."""

    def __init__(self) -> None:
        self.steps = 0
        self._began = time.perf_counter()
        self._ended: Any = None
        self._sums: dict[str, Any] = {}

    def add(self, values: "dict[str, float]") -> None:
        """One step's numbers by name."""
        self.steps += 1
        for name, value in values.items():
            total, count = self._sums.get(name, (0.0, 0))
            self._sums[name] = total + value, count + 1

    def means(self) -> "dict[str, float]":
        """{name: mean over the steps that had it}."""
        return {name: total / count for name, (total, count) in self._sums.items()}

    def end(self) -> None:
        """No step comes after this."""
        self._ended = time.perf_counter()

    def seconds(self) -> float:
        """The time that the epoch took, to its end where that is over."""
        return round((self._ended or time.perf_counter()) - self._began, 6)


class Subject:
    """What is known of a loop's model when the loop begins; all of it may be unknown."""

    def __init__(
        self,
        model: "Any" = None,
        architecture: "str | None" = None,
        initial: "Any" = None,
        number: "int | None" = None,
        planned_epochs: "int | None" = None,
    ) -> None:
        self.model = model
        self.architecture = architecture
        """The digest of the model's parts."""
        self.initial = initial
        """Digest and norm of the weights, where they were read before."""
        self.number = number
        """The loop's own among those of its kind, where it was given one before."""
        self.planned_epochs = planned_epochs


class StepLoop:
    """One loop: the steps that one model, one optimizer, or one operation of a graph took outside of any `fit`.

    `read` gives what it trains as NumPy arrays, `rate` its learning rate.
    """

    def __init__(self, channel: "Emitter", name: str, owner: "Any", read: "Any", rate: "Any", session: "Any") -> None:
        self.name = name
        self.blocks = Blocks()
        self.epoch = EpochMeans()
        self.epochs = 0
        self.usual_steps = 0
        """The number of steps that its last epoch had."""
        self.steps = 0
        self.session = session
        self.norm, self.digest = channel.shielded(self.norm), channel.shielded(self.digest)
        self.rate = channel.shielded(rate)
        self.settle_steps: Any = None
        """Gives the number of steps where they can't be counted one by one; asked when the loop is over."""
        self.state: Any = None
        """Gives digest and norm of what it trains where that is no list of variables."""
        self._read = read
        self._owner = weakref.ref(owner)
        self._variables: list[Any] = []
        self._began = time.time()
        self._written = self._latest = self._began
        self._told = 0

    def owner(self) -> "Any":
        """The model, optimizer or operation; None when it is gone."""
        return self._owner()

    def train(self, variables: "Any") -> None:
        """From now on the loop trains these, and no others."""
        self._variables = [weakref.ref(variable) for variable in variables]

    def take_epoch(self) -> "EpochMeans":
        """The epoch up to now; another one begins."""
        epoch, self.epoch = self.epoch, EpochMeans()
        epoch.end()
        self.usual_steps = epoch.steps
        return epoch

    def count(self) -> bool:
        """A step is over; True where to write now: at every power of two, and where ten seconds have passed."""
        self.steps += 1
        self._latest = time.time()
        return self.steps & (self.steps - 1) == 0 or self._latest - self._written > SECONDS

    def untold(self) -> int:
        """The number of steps since the loop was told of."""
        return self.steps - self._told

    def event(self, with_norm: bool = True) -> "dict[str, Any]":
        """The event of the loop so far; it supersedes what was written before."""
        self._written, self._told = time.time(), self.steps
        return {
            "phase": self.name,
            "steps": self.steps,
            "seconds": round(self._latest - self._began, 4),
            "block": self.blocks.size,
            "logs": self.blocks.means(),
            "weight_norm": self.norm() if with_norm else None,
        }

    def norm(self) -> "float | None":
        """The norm of what the loop trains; None where it is gone or too large."""
        if self.state is not None:
            return self.state.norm()  # type: ignore[no-any-return]
        return weights.norm_of(self._living(), self._read)

    def digest(self) -> "str | None":
        """The digest of what the loop trains."""
        if self.state is not None:
            return self.state.digest()  # type: ignore[no-any-return]
        return weights.digest(self._living(), self._read)

    def _living(self) -> "list[Any]":
        """What the loop trains; nothing where some of it is gone."""
        found = [reference() for reference in self._variables]
        return [] if any(variable is None for variable in found) else found


class Loops:
    """All loops of the process."""

    def __init__(self, channel: "Emitter", where: "ScriptProgress", models: "Models", results: "Evaluations") -> None:
        self._channel = channel
        self._where = where
        self._models = models
        self._results = results
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
        """The number of steps that were taken in all loops."""
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

        `kind` is `batches` where the owner is a model, `fit` where it is a trainer. `readable`: False where reading
        would add ops to a graph. `state` gives digest and norm of what is trained where that is no list of variables.
        """
        if not self._ends:
            self._close_at_end()
        about = subject or (Subject(owner, phases.architecture(owner, variables)) if kind == "batches" else Subject())
        if about.number is None:
            self._numbers[kind] += 1
        number = about.number or self._numbers[kind]
        loop = StepLoop(self._channel, "%s-%d" % (kind, number), owner, read, rate or _no_rate, session)
        loop.train(variables)
        loop.state = state
        self._loops[kind, id(owner)] = loop
        self._where.move("training", loop.name)
        self._tell_begin(loop, about, number, readable)
        return loop

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

    def tell(self, name: str, value: float) -> None:
        """A number of the step that is being taken, whichever loop it turns out to be of."""
        self._told[name] = value

    def end_step(self, loop: "StepLoop", values: "dict[str, float] | None" = None) -> None:
        """A step is over; its numbers are `values` and what was told since the last one."""
        self.taken += 1
        numbers, self._told = dict(self._told, **(values or {})), {}
        if numbers:
            loop.blocks.add(numbers)
        loop.epoch.add(numbers)
        self._thread = _thread.get_ident()
        self._results.trained(loop.name)
        if loop.count():
            self._write(loop)

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

    def begin_epochs(self) -> "dict[Any, int]":
        """Something that makes an epoch begins: the number of steps that each loop has taken by now, for its end."""
        for loop in self._loops.values():
            if not loop.epoch.steps:
                loop.epoch = EpochMeans()  # what came before, such as validation, takes none of its time
        return {key: loop.steps for key, loop in self._loops.items()}

    def end_epochs(self, since: "dict[Any, int]") -> None:
        """Something that makes an epoch is over: of each loop that took steps since then, and has told of none yet."""
        for key, loop in list(self._loops.items()):
            if loop.epoch.steps and loop.steps > since.get(key, 0):
                self.end_epoch(loop)

    def end(self, loop: "StepLoop", failed: bool) -> None:
        """A loop is over before the process is."""
        for key in [key for key, one in self._loops.items() if one is loop]:
            del self._loops[key]
            self._close(loop, failed)

    def end_session(self, session: "Any") -> None:
        """The loops of a session are over."""
        for key, loop in list(self._loops.items()):
            if loop.session == session:
                del self._loops[key]
                self._close(loop)

    def _hand_over(self, at_end: bool) -> None:
        """Tell how far the loops are where much of them was not told yet; at the end all, and without reading weights.

        Another thread than the one that trains can't tell, since it may be in the middle of a step.
        """
        if self._thread == _thread.get_ident():
            for loop in list(self._loops.values()):
                if loop.untold() * (1 if at_end else UNTOLD) > (0 if at_end else loop.steps):
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

    def _close_all(self) -> None:
        self._channel.settle()
        for key in list(self._loops):
            self._close(self._loops.pop(key))

    def _close(self, loop: "StepLoop", failed: bool = False) -> None:
        if loop.settle_steps is not None and loop.owner() is not None:
            loop.steps = max(loop.steps, loop.settle_steps())
        if loop.epochs and loop.epoch.steps:
            self.end_epoch(loop)
        self._write(loop)
        self._channel.emit(
            "phase-end", name=loop.name, final_weights=loop.digest(), weight_norm=loop.norm(), error=failed
        )


def _no_rate() -> None:
    """For a loop whose learning rate nobody knows."""
