"""One loop of the script's own: how far it is, and the means of the numbers of its steps.

The numbers of all its steps are kept as the means of at most 64 blocks of equally many consecutive steps. A block
doubles when 64 are full.
"""

import functools
import operator
import re
import time
import weakref

from . import weights

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from .emitter import Emitter

BLOCKS = 64
SECONDS = 10.0
_NONE = 0.0, 0
_FLOATS = frozenset(["float", "float16", "float32", "float64"])
"""Types of Python and NumPy whose values are single numbers."""


class Blocks:
    """Means over blocks of consecutive steps; constant in memory, and evenly spaced at any moment."""

    def __init__(self) -> None:
        self.size = 1
        self._full: list[dict[str, Any]] = []
        self._open: dict[str, Any] = {}
        self._count = 0

    def add(self, values: "dict[str, float]", steps: int = 1) -> None:
        """The numbers by name of one step, or of one that stands for some."""
        _add(self._open, values)
        self._count_steps(steps)

    def add_all(self, name: str, values: "list[float]") -> None:
        """One number of each of some steps, added one after the other."""
        while values:
            part, values = values[: self.size - self._count], values[self.size - self._count :]
            _add_all(self._open, name, part)
            self._count_steps(len(part))

    def _count_steps(self, steps: int) -> None:
        self._count += steps
        if self._count >= self.size:
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
        self._ended: Any = None
        self._sums: dict[str, Any] = {}

    def add(self, values: "dict[str, float]", steps: int) -> None:
        """The numbers of some steps by name."""
        self.steps += steps
        _add(self._sums, values)

    def add_all(self, name: str, values: "list[float]") -> None:
        """One number of each of some steps."""
        self.steps += len(values)
        _add_all(self._sums, name, values)

    def means(self) -> "dict[str, float]":
        """{name: mean over the steps that had it}."""
        return {name: _mean(summed) for name, summed in self._sums.items()}

    def end(self) -> None:
        """No step comes after this."""
        self._ended = time.perf_counter()

    def seconds(self) -> float:
        """The time that the epoch took, or takes so far."""
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
        is_held: bool = True,
    ) -> None:
        self.model = model
        self.architecture = architecture
        """The digest of the model's parts."""
        self.initial = initial
        """Digest and norm of the weights, where they were read before."""
        self.number = number
        """The loop's own among those of its kind, where it was given one before."""
        self.planned_epochs = planned_epochs
        self.is_held = is_held
        """False where the loop is ended when its owner is about to be gone, and so need not keep that."""


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
        self.is_held = True
        self.steps = 0
        self.has_loss = False
        self.session = session
        self.norm, self.digest = channel.shielded(self.norm), channel.shielded(self.digest)
        self.rate = channel.shielded(rate)
        self.settle_steps: Any = None
        """Gives the number of steps where none can be seen; asked when the loop is over."""
        self.state: Any = None
        """Gives digest and norm of what it trains where that is no list of variables."""
        self._read = read
        self._owner = weakref.ref(owner)
        self._variables: list[Any] = []
        self._held: Any = None
        self._last_seen: Any = (None, None)
        self._began = time.time()
        self._written = self._latest = self._began
        self._told = 0

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
        if self._held is None and self.is_held:
            self._held = self.owner(), self._living()

    def let_go(self) -> None:
        """What nobody else keeps alive may go, as another loop began; it is read once more before."""
        if self._held is not None:
            self._last_seen = self.digest(), self.norm()
            self._held = None

    def take_epoch(self) -> "EpochMeans":
        """The epoch up to now; another one begins."""
        epoch, self.epoch = self.epoch, EpochMeans()
        epoch.end()
        self.usual_steps = epoch.steps
        return epoch

    def count(self, steps: int) -> bool:
        """Some steps are over; True where to write now: at every power of two, and where ten seconds have passed."""
        before, self.steps = self.steps, self.steps + steps
        self._latest = time.time()
        return before.bit_length() != self.steps.bit_length() or self._latest - self._written > SECONDS

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
            "weight_norm": self.norm(weights.NORM_PARAMETERS) if with_norm else None,
        }

    def norm(self, most: int = weights.FINAL_PARAMETERS) -> "float | None":
        """The norm of what the loop trains, as it was last seen; None where that is more than `most` parameters."""
        if self.state is not None:
            found = self.state.norm()
            return self._last_seen[1] if found is None else found  # type: ignore[no-any-return]
        variables = self._living()
        if weights.count(variables) > most:
            return None
        arrays = list(self._read(variables)) if variables else []
        return weights.norm(arrays) if arrays else self._last_seen[1]

    def digest(self) -> "str | None":
        """The digest of what the loop trains, as it was last seen."""
        own = weights.digest(self._living(), self._read) if self.state is None else self.state.digest()
        return own or self._last_seen[0]

    def _living(self) -> "list[Any]":
        return [variable for variable in (reference() for reference in self._variables) if variable is not None]


@functools.lru_cache(maxsize=1000)
def metric_name(name: "Any") -> str:
    """A name as a criterion can have it: what it may not have is `_`."""
    return re.sub("[^A-Za-z0-9_./]", "_", str(name))[:200]


def number(value: "Any") -> "float | None":
    """A single number as a float, where it has its value already; None for all else, and for what is true or false."""
    try:
        if type(value).__name__ in _FLOATS:
            return float(value)
        if value is None or isinstance(value, (bool, str, bytes)) or len(getattr(value, "shape", ())):
            return None
        concrete = getattr(value, "numpy", None)
        found = value if concrete is None else concrete()
        return None if type(found).__name__.startswith("bool") else float(found)
    except Exception:
        return None  # it is part of a graph, or no number at all


def _add(sums: "dict[str, Any]", values: "dict[str, float]") -> None:
    """Add values to sums, which are {name: (total, how many values)}."""
    for name, value in values.items():
        total, count = sums.get(name, _NONE)
        sums[name] = total + value, count + 1


def _together(one: "dict[str, Any]", other: "dict[str, Any]") -> "dict[str, Any]":
    """Two sums as one."""
    found = dict(one)
    for name, (total, count) in other.items():
        before = found.get(name, _NONE)
        found[name] = before[0] + total, before[1] + count
    return found


def _add_all(sums: "dict[str, Any]", name: str, values: "list[float]") -> None:
    total, count = sums.get(name, (0.0, 0))
    sums[name] = functools.reduce(operator.add, values, total), count + len(values)


def _mean(summed: "tuple[float, int]") -> float:
    return summed[0] / summed[1]
