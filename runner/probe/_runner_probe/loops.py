"""Training that is no `fit`: the steps that an optimizer, a model or an operation takes in a loop of the script's own.

Whatever framework takes the step tells it here. Where nothing shows the loop's epochs none are made up: the numbers
of all its steps are kept as the means of at most 64 blocks of equally many consecutive steps. A block doubles when 64
are full.
"""

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


class Blocks:
    """Means over blocks of consecutive steps; constant in memory, and evenly spaced at any moment."""

    def __init__(self) -> None:
        self.size = 1
        self._full: list[dict[str, Any]] = []
        self._open: dict[str, Any] = {}
        self._count = 0

    def add(self, values: "dict[str, float]") -> None:
        """One step's numbers by name."""
        self._open = _together(self._open, {name: (value, 1) for name, value in values.items()})
        self._count += 1
        if self._count == self.size:
            self._full.append(self._open)
            self._open, self._count = {}, 0
        if len(self._full) == BLOCKS:
            self._full = [_together(one, two) for one, two in zip(self._full[::2], self._full[1::2])]
            self.size *= 2

    def means(self) -> "dict[str, list[float]]":
        """{name: one value a block that has it}; steps that fill no block yet are weighed into the last one."""
        blocks = list(self._full)
        if self._open:
            blocks[-1:] = [_together(blocks[-1], self._open)]
        names = sorted({name for block in blocks for name in block})
        return {name: [_mean(block[name]) for block in blocks if name in block] for name in names}


class EpochMeans:
    """The means of the steps since the last epoch ended."""

    def __init__(self) -> None:
        self.steps = 0
        self._began = time.perf_counter()
        self._sums: dict[str, Any] = {}

    def add(self, values: "dict[str, float]", steps: int) -> None:
        """The numbers of some steps by name."""
        self.steps += steps
        self._sums = _together(self._sums, {name: (value, 1) for name, value in values.items()})

    def means(self) -> "dict[str, float]":
        """{name: mean over the steps that had it}."""
        return {name: _mean(summed) for name, summed in self._sums.items()}

    def seconds(self) -> float:
        """The time since the epoch began."""
        return round(time.perf_counter() - self._began, 6)


class StepLoop:
    """One loop: the steps that one model, one optimizer, or one operation of a graph took outside of any `fit`.

    `read` gives what it trains as NumPy arrays, `rate` its learning rate.
    """

    def __init__(self, channel: "Emitter", name: str, owner: "Any", read: "Any", rate: "Any", session: "Any") -> None:
        self.name = name
        self.blocks = Blocks()
        self.epoch = EpochMeans()
        self.epochs = 0
        self.steps = 0
        self.has_loss = False
        self.session = session
        self.norm, self.digest = channel.shielded(self.norm), channel.shielded(self.digest)
        self.rate = channel.shielded(rate)
        self.settle_steps: Any = None
        """Gives the number of steps where none can be seen; asked when the loop is over."""
        self._read = read
        self._owner = weakref.ref(owner)
        self._variables: list[Any] = []
        self._held: Any = None
        self._last_seen: Any = (None, None)
        self._began = time.time()
        self._written = self._latest = self._began

    def owner(self) -> "Any":
        """The model, optimizer or operation; None when it is gone."""
        return self._owner()

    def train(self, variables: "Any", read: "Any" = None, session: "Any" = None) -> None:
        """From now on the loop trains these, and no others; in another session where one is given."""
        if session is not None:
            self._read, self.session = read, session
        self._held = None
        self._variables = [weakref.ref(variable) for variable in variables]
        self.hold()

    def hold(self) -> None:
        """Keep alive what the loop trains, so that its final weights can be read where a function made the model."""
        if self._held is None:
            self._held = self.owner(), self._living()

    def let_go(self) -> None:
        """What nobody else keeps alive may go, as another loop began; it is read once more before."""
        if self._held is not None:
            self._last_seen = self.digest(), self.norm()
            self._held = None

    def count(self, steps: int) -> bool:
        """Some steps are over; True where to write now: at every power of two, and where ten seconds have passed."""
        before, self.steps = self.steps, self.steps + steps
        self._latest = time.time()
        return before.bit_length() != self.steps.bit_length() or self._latest - self._written > SECONDS

    def event(self) -> "dict[str, Any]":
        """The event of the loop so far; it supersedes what was written before."""
        self._written = time.time()
        return {
            "phase": self.name,
            "steps": self.steps,
            "seconds": round(self._latest - self._began, 4),
            "block": self.blocks.size,
            "logs": self.blocks.means(),
            "weight_norm": self.norm(weights.NORM_PARAMETERS),
        }

    def norm(self, most: int = weights.FINAL_PARAMETERS) -> "float | None":
        """The norm of what the loop trains, as it was last seen; None where that is more than `most` parameters."""
        variables = self._living()
        if weights.count(variables) > most:
            return None
        arrays = list(self._read(variables)) if variables else []
        return weights.norm(arrays) if arrays else self._last_seen[1]  # type: ignore[no-any-return]

    def digest(self) -> "str | None":
        """The digest of what the loop trains, as it was last seen."""
        return weights.digest(self._living(), self._read) or self._last_seen[0]  # type: ignore[no-any-return]

    def _living(self) -> "list[Any]":
        return [variable for variable in (reference() for reference in self._variables) if variable is not None]


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

    def _begin_process(self) -> None:
        self._loops: dict[Any, Any] = {}
        self._numbers = {"batches": 0, "loop": 0}
        self._told: dict[str, float] = {}
        self._results: dict[str, float] = {}
        self._epoch_is_over = False
        self._latest: StepLoop | None = None

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
    ) -> "StepLoop":
        """A new loop, which trains `variables`; the script is in it from now on.

        `kind` is `batches` where the owner is a model, `estimator` where it is one. `readable`: False where reading
        would add ops to a graph.
        """
        if not any(self._numbers.values()):
            self._close_at_end()
        word = "batches" if kind == "batches" else "loop"
        self._numbers[word] += 1
        number = self._numbers[word]
        loop = StepLoop(self._channel, "%s-%d" % (word, number), owner, read, rate or _no_rate, session)
        loop.train(variables)
        self._make_room((kind, id(owner)))
        self._loops[kind, id(owner)] = loop
        is_model, is_sampled = kind != "loop", phases.is_sampled(number)
        self._where.move("training", loop.name)
        self._channel.emit(
            "phase",
            name=loop.name,
            model=phases.model_name(owner) if is_model else None,
            model_number=self._models.number(owner) if is_model else None,
            architecture=phases.architecture(owner, variables) if kind == "batches" and is_sampled else None,
            planned_epochs=None,
            steps=None,
            initial_weights=loop.digest() if readable and is_sampled else None,
            weight_norm=loop.norm() if readable and is_sampled else None,
        )
        return loop

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
        numbers, self._told = dict(self._told, **(values or {})), {}
        if numbers:
            loop.blocks.add(numbers)
        loop.epoch.add(numbers, steps)
        loop.has_loss = loop.has_loss or "loss" in (values or ())
        loop.hold()
        self._latest = loop
        self._evaluations.trained(loop.name)
        if loop.count(steps):
            self._write(loop)

    def _end_epochs(self) -> None:
        """An epoch of all loops that took steps is over; its results belong to the one that took the last step."""
        self._epoch_is_over = False
        logs, self._results = self._results, {}
        self._told = {name: value for name, value in self._told.items() if name not in logs}
        for loop in list(self._loops.values()):
            if loop.epoch.steps:
                self.end_epoch(loop, logs if loop is self._latest else None)

    def end_epoch(self, loop: "StepLoop", logs: "dict[str, float] | None" = None) -> None:
        """An epoch of the loop is over: the means of its steps, and `logs`, which win over them."""
        epoch, loop.epoch = loop.epoch, EpochMeans()
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

    def end_session(self, session: "Any") -> None:
        """The loops of a session are over, but for those that may go on in another one: those of an estimator."""
        for key, loop in list(self._loops.items()):
            if loop.session == session and key[0] == "estimator":
                loop.let_go()
                loop.session = ""
            elif loop.session == session:
                del self._loops[key]
                self._close(loop)

    def _write(self, loop: "StepLoop") -> None:
        self._channel.emit("loop", **loop.event())

    def _close_at_end(self) -> None:
        """Registered after TensorFlow's own handlers, and so called before they take its state down."""
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

    def _close(self, loop: "StepLoop") -> None:
        if loop.settle_steps is not None and loop.owner() is not None:
            loop.steps = loop.steps or loop.settle_steps()
        is_latest, self._latest = loop is self._latest, None if loop is self._latest else self._latest
        if loop.epochs and (loop.epoch.steps or (is_latest and self._results)):
            self.end_epoch(loop, self._results if is_latest else None)
        elif is_latest and self._told:
            loop.blocks.add(self._told)
        self._write(loop)
        self._channel.emit(
            "phase-end", name=loop.name, final_weights=loop.digest(), weight_norm=loop.norm(), error=False
        )


def number(value: "Any") -> "float | None":
    """A single number as a float, where it has its value already; None for all else, and for what is true or false."""
    try:
        if value is None or isinstance(value, (bool, str, bytes)) or len(getattr(value, "shape", ())):
            return None
        concrete = getattr(value, "numpy", None)
        found = value if concrete is None else concrete()
        return None if type(found).__name__.startswith("bool") else float(found)
    except Exception:
        return None  # it is part of a graph, or no number at all


def _together(one: "dict[str, Any]", other: "dict[str, Any]") -> "dict[str, Any]":
    """Two sums as one; each is {name: (total, how many values)}."""
    found = dict(one)
    for name, (total, count) in other.items():
        before = found.get(name, (0.0, 0))
        found[name] = before[0] + total, before[1] + count
    return found


def _mean(summed: "tuple[float, int]") -> float:
    return summed[0] / summed[1]


def _no_rate() -> None:
    """For a loop whose learning rate nobody knows."""
