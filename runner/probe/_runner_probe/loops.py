"""Training that is no `fit`: loops around `train_on_batch`, and loops of the script's own around an optimizer.

Such a loop has no epochs that could be seen, so none are made up: the metrics of all its steps are kept as the means
of at most 64 blocks of equally many consecutive steps. A block doubles when 64 are full.
"""

import atexit
import sys
import time
import weakref

from . import evaluations, phases, weights

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from .emitter import Emitter, ScriptProgress

BLOCKS = 64
SECONDS = 10.0
LOOKED_AT = 200
"""The number of operations that are looked at to tell whether a fetch trains; a step's own is a few control inputs
away."""


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


class StepLoop:
    """One loop: the steps that one model, one optimizer, or one operation of a graph took outside of any `fit`."""

    def __init__(
        self, channel: "Emitter", name: str, owner: "Any", variables: "list[Any]", read: "Any", session: "Any" = None
    ) -> None:
        self.name = name
        self.blocks = Blocks()
        self.steps = 0
        self.traced = False
        self.norm, self.digest = channel.shielded(self.norm), channel.shielded(self.digest)
        self.session = session
        self._read = read
        self._owner = weakref.ref(owner)
        self._variables = [weakref.ref(variable) for variable in variables]
        self._began = time.time()
        self._written = self._latest = self._began

    def owner(self) -> "Any":
        """The model, optimizer or operation; None when it is gone."""
        return self._owner()

    def count(self) -> bool:
        """A step is over; True where to write now: at every power of two, and where ten seconds have passed."""
        self.steps += 1
        self._latest = time.time()
        return self.steps & (self.steps - 1) == 0 or self._latest - self._written > SECONDS

    def event(self) -> "dict[str, Any]":
        """The event of the loop so far; it supersedes what was written before."""
        self._written = time.time()
        return {
            "phase": self.name,
            "steps": self.steps,
            "seconds": round(self._latest - self._began, 4),
            "block": self.blocks.size,
            "logs": self.blocks.means(),
            "weight_norm": self.norm(),
        }

    def norm(self) -> "float | None":
        """The norm of what the loop trains; None where it is gone or too large."""
        variables = self._living()
        if not variables or weights.count(variables) > weights.NORM_PARAMETERS:
            return None
        arrays = list(self._read(variables))
        return weights.norm(arrays) if arrays else None

    def digest(self) -> "str | None":
        """The digest of what the loop trains."""
        return weights.digest(self._living(), self._read)

    def _living(self) -> "list[Any]":
        return [variable for variable in (reference() for reference in self._variables) if variable is not None]


class Batches:
    """All loops of the process."""

    def __init__(
        self,
        channel: "Emitter",
        where: "ScriptProgress",
        models: "evaluations.Models",
        results: "evaluations.Evaluations",
    ) -> None:
        self._channel = channel
        self._where = where
        self._models = models
        self._results = results
        self._close = channel.shielded(self._close)
        self._begin_process()
        channel.after_fork(self._begin_process)

    def _begin_process(self) -> None:
        self._loops: dict[Any, Any] = {}
        self._numbers = {"batches": 0, "loop": 0}

    def begin(self, model: "Any", backend: str) -> "Any":
        """A call of `train_on_batch` begins; the loop that it belongs to."""
        loop = self._loop_of(model, "batches")
        if loop is None:
            loop = self._new_loop(model, "batches", weights.variables_of(model), weights.reader(backend))
        self._where.move("training", loop.name)
        self._results.pop_names()
        return loop

    def end(self, loop: "StepLoop", result: "Any") -> None:
        """The call returned `result`: the loss, or a list, or a dict of metrics."""
        named = evaluations.named(loop.owner(), self._results.pop_names() or result)
        loop.blocks.add({str(name)[:200]: float(value) for name, value in named.items()})
        self.end_step(loop)

    def apply(self, optimizer: "Any", variables: "Any", backend: str) -> None:
        """An optimizer is about to change variables: a step of a loop, or the tracing of one into a function."""
        if weights.is_first_graph():
            self._where.building()  # TensorFlow 1: the step is made here, and taken by a session later
            return
        loop = self._loop_of(optimizer, "loop")
        if loop is None:
            loop = self._new_loop(optimizer, "loop", variables, weights.reader(backend))
        self._where.move("training", loop.name)
        if not weights.is_eager():
            loop.traced = True
            return
        self.end_step(loop)

    def session_loop(self, operation: "Any", variables: "Any", read: "Any", session: "Any") -> "StepLoop | None":
        """A session is about to run an operation that trains; its loop, None where its variables are gone."""
        loop = self._loop_of(operation, "loop")
        if loop is None and variables:
            loop = self._new_loop(operation, "loop", variables, read, session)
        if loop is not None:
            self._where.move("training", loop.name)
        return loop

    def end_step(self, loop: "StepLoop") -> None:
        """A step is over."""
        self._results.trained(loop.name)
        if loop.count():
            self._write(loop)

    def end_session(self, session: "Any") -> None:
        """The loops of a session are over."""
        for key, loop in list(self._loops.items()):
            if loop.session == session:
                del self._loops[key]
                self._close(loop)

    def _loop_of(self, owner: "Any", kind: str) -> "StepLoop | None":
        loop = self._loops.get((kind, id(owner)))
        return loop if loop is not None and loop.owner() is owner else None

    def _new_loop(self, owner: "Any", kind: str, variables: "Any", read: "Any", session: "Any" = None) -> "StepLoop":
        if not any(self._numbers.values()):
            self._close_at_end()
        self._numbers[kind] += 1
        loop = StepLoop(self._channel, "%s-%d" % (kind, self._numbers[kind]), owner, variables, read, session)
        self._loops[kind, id(owner)] = loop
        is_model, is_sampled = kind == "batches", phases.is_sampled(self._numbers[kind])
        readable = is_sampled and (session is not None or weights.is_eager())
        self._channel.emit(
            "phase",
            name=loop.name,
            model=phases.model_name(owner) if is_model else None,
            model_number=self._models.number(owner) if is_model else None,
            architecture=phases.architecture(owner, variables) if is_model and is_sampled else None,
            planned_epochs=None,
            steps=None,
            initial_weights=loop.digest() if readable else None,
            weight_norm=loop.norm() if readable else None,
        )
        return loop

    def _write(self, loop: "StepLoop") -> None:
        self._channel.emit("loop", **loop.event())

    def _close_at_end(self) -> None:
        """Registered after TensorFlow's own handlers, and so called before they take its state down."""
        atexit.register(self._close_all)
        util = sys.modules.get("multiprocessing.util")
        if util is not None and self._channel.is_child():
            util.Finalize(None, self._close_all, exitpriority=0)  # a fork that multiprocessing made has no atexit

    def _close_all(self) -> None:
        self._channel.settle()
        for key in list(self._loops):
            self._close(self._loops.pop(key))

    def _close(self, loop: "StepLoop") -> None:
        owner = loop.owner()
        if loop.traced and owner is not None and weights.is_eager():
            loop.steps = max(loop.steps, int(owner.iterations.numpy()))
        self._write(loop)
        self._channel.emit(
            "phase-end", name=loop.name, final_weights=loop.digest(), weight_norm=loop.norm(), error=False
        )


class Sessions:
    """Custom loops of TensorFlow 1: the operations in a graph that train, and what the sessions do with them.

    Such an operation is seen when `apply_gradients` (or `minimize`, which calls it) returns; each run of it is a
    step, seen at `Session.run`, also where what is fetched only depends on it, as `tf.group` and
    `control_dependencies` make it.
    """

    def __init__(self, batches: "Batches") -> None:
        self._batches = batches
        self._steps: dict[Any, Any] = {}
        self._fetched: dict[Any, Any] = {}

    def made(self, operation: "Any", variables: "Any") -> None:
        """An optimizer has made an operation that changes variables."""
        self._steps[id(operation)] = weakref.ref(operation), [weakref.ref(variable) for variable in variables]
        self._fetched.clear()  # what was looked at before may depend on it only by a chance of equal ids

    def begin(self, session: "Any", fetches: "Any") -> "Any":
        """A session is about to run something; the loops that it is a step of."""
        if not self._steps:
            return []
        found = []
        for element in _elements(fetches):
            for operation, variables in self._trained_by(session, element):
                loop = self._batches.session_loop(operation, variables, _reader(session), id(session))
                if loop is not None and loop not in found:
                    found.append(loop)
        return found

    def closing(self, session: "Any") -> None:
        """A session is about to be closed: after that its variables can't be read."""
        self._batches.end_session(id(session))

    def _trained_by(self, session: "Any", element: "Any") -> "Any":
        """(operation, variables) of every step that a fetched element runs."""
        if isinstance(element, str):
            element = session.graph.as_graph_element(element)
        operation = getattr(element, "op", element)
        known = self._fetched.get(id(operation))
        if known is None or known[0]() is not operation:
            try:
                known = weakref.ref(operation), self._search(operation)
            except TypeError:
                return []
            self._fetched[id(operation)] = known
        return [(step, variables) for step, variables in map(self._living, known[1]) if step is not None]

    def _search(self, operation: "Any") -> "list[int]":
        """The ids of the steps among an operation and those that it waits for."""
        waiting, found = [operation], []
        seen: set[int] = set()
        while waiting and len(seen) < LOOKED_AT:
            one = waiting.pop(0)
            if id(one) in seen:
                continue
            seen.add(id(one))
            if self._living(id(one))[0] is one:
                found.append(id(one))
            else:
                waiting += list(getattr(one, "control_inputs", ()))
        return found

    def _living(self, number: int) -> "tuple[Any, list[Any]]":
        operation, variables = self._steps.get(number, (lambda: None, ()))
        return operation(), [variable for variable in (reference() for reference in variables) if variable is not None]


def _elements(fetches: "Any") -> "list[Any]":
    """The fetched elements, out of any nesting of lists, tuples and dicts."""
    found: list[Any] = []
    waiting = [fetches]
    while waiting and len(found) < 1000:
        one = waiting.pop()
        if isinstance(one, (list, tuple)):
            waiting += one
        elif isinstance(one, dict):
            waiting += one.values()
        elif one is not None:
            found.append(one)
    return found


def _reader(session: "Any") -> "Any":
    """Reads variables by that session; nothing once it is gone or closed."""
    known = weakref.ref(session)

    def read(variables: "Any") -> "Any":
        living = known()
        return iter(() if living is None or living._closed else living.run(list(variables)))

    return read
