"""Training that is no `fit`: loops around `train_on_batch`, and loops of the script's own around an optimizer.

Such a loop has no epochs that could be seen, so none are made up: the metrics of all its steps are kept as the means of at
most 64 blocks of equally many consecutive steps. A block doubles when 64 are full.
"""

import atexit
import time
import weakref

from . import phases, weights

BLOCKS = 64
SECONDS = 10.0


class Blocks(object):
    """Means over blocks of consecutive steps; constant in memory, and evenly spaced at any moment."""

    def __init__(self):
        self.size = 1
        self._full = []
        self._sums = {}
        self._count = 0

    def add(self, values):
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

    def means(self):
        """{name: one value a block}; steps that fill no block yet are weighed into the last one."""
        blocks = [dict(block) for block in self._full]
        if self._count and blocks:
            share = self._count / float(self.size + self._count)
            for name, total in self._sums.items():
                blocks[-1][name] = blocks[-1].get(name, 0.0) * (1 - share) + share * total / self._count
        names = sorted({name for block in blocks for name in block})
        return {name: [block[name] for block in blocks if name in block] for name in names}


class Loop(object):
    """One loop: the steps that one model, one optimizer, or one operation of a graph took outside of any `fit`."""

    def __init__(self, channel, name, owner, variables, read, session=None):
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
        self._written = self._began

    def owner(self):
        """The model, optimizer or operation; None when it is gone."""
        return self._owner()

    def is_due(self):
        """Whether to write now: at every power of two, and where ten seconds have passed."""
        return self.steps & (self.steps - 1) == 0 or time.time() - self._written > SECONDS

    def event(self):
        """What is known of the loop by now; it supersedes what was written before."""
        self._written = time.time()
        return {
            "phase": self.name,
            "steps": self.steps,
            "seconds": round(self._written - self._began, 4),
            "block": self.blocks.size,
            "logs": self.blocks.means(),
            "weight_norm": self.norm(),
        }

    def norm(self):
        """The norm of what the loop trains; None where it is gone or too large."""
        variables = self._living()
        if not variables or weights.count(variables) > weights.NORM_PARAMETERS:
            return None
        arrays = list(self._read(variables))
        return weights.norm(arrays) if arrays else None

    def digest(self):
        """The digest of what the loop trains."""
        return weights.digest(self._living(), self._read)

    def _living(self):
        return [variable for variable in (reference() for reference in self._variables) if variable is not None]


class Batches(object):
    """All loops of the process."""

    def __init__(self, channel, where):
        self._channel = channel
        self._where = where
        self._loops = {}
        self._numbers = {"batches": 0, "loop": 0}
        self._close = channel.shielded(self._close)

    def begin(self, model, backend):
        """A call of `train_on_batch` begins; the loop that it belongs to."""
        loop = self._loop_of(model, "batches")
        if loop is None:
            loop = self._new_loop(model, "batches", weights.variables_of(model), weights.reader(backend))
        self._where.move("training", loop.name)
        return loop

    def end(self, loop, result):
        """The call returned `result`: the loss, or a list, or a dict of metrics."""
        loop.blocks.add(_named(loop.owner(), result))
        self.end_step(loop)

    def apply(self, optimizer, variables, backend):
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

    def session_loop(self, operation, variables, read, session):
        """A session is about to run an operation that trains; its loop, None where its variables are gone."""
        loop = self._loop_of(operation, "loop")
        if loop is None and variables:
            loop = self._new_loop(operation, "loop", variables, read, session)
        if loop is not None:
            self._where.move("training", loop.name)
        return loop

    def end_step(self, loop):
        """A step is over."""
        loop.steps += 1
        if loop.is_due():
            self._write(loop)

    def end_session(self, session):
        """The loops of a session are over."""
        for key, loop in list(self._loops.items()):
            if loop.session == session:
                del self._loops[key]
                self._close(loop)

    def _loop_of(self, owner, kind):
        loop = self._loops.get((kind, id(owner)))
        return loop if loop is not None and loop.owner() is owner else None

    def _new_loop(self, owner, kind, variables, read, session=None):
        if not any(self._numbers.values()):
            atexit.register(self._close_all)
        self._numbers[kind] += 1
        loop = Loop(self._channel, "%s-%d" % (kind, self._numbers[kind]), owner, variables, read, session)
        self._loops[kind, id(owner)] = loop
        readable = (session is not None or weights.is_eager()) and phases.is_sampled(self._numbers[kind])
        self._channel.emit(
            "phase",
            name=loop.name,
            model=phases.model_name(owner) if kind == "batches" else None,
            planned_epochs=None,
            steps=None,
            initial_weights=loop.digest() if readable else None,
            weight_norm=loop.norm() if readable else None,
        )
        return loop

    def _write(self, loop):
        self._channel.emit("loop", **loop.event())

    def _close_all(self):
        """Registered after TensorFlow's own handlers, and so before they take its state down."""
        if self._channel.mine():
            for loop in list(self._loops.values()):
                self._close(loop)

    def _close(self, loop):
        owner = loop.owner()
        if loop.traced and owner is not None and weights.is_eager():
            loop.steps = max(loop.steps, int(owner.iterations.numpy()))
        self._write(loop)
        self._channel.emit(
            "phase-end", name=loop.name, final_weights=loop.digest(), weight_norm=loop.norm(), error=False
        )


def _named(model, result):
    if isinstance(result, dict):
        named = result
    else:
        values = list(result) if isinstance(result, (list, tuple)) else [result]
        names = list(getattr(model, "metrics_names", None) or [])
        if len(names) != len(values):
            names = ["loss"] + ["output-%d" % number for number in range(1, len(values))]
        named = dict(zip(names, values))
    return {str(name)[:200]: float(value) for name, value in named.items()}
