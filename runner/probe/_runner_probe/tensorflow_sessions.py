"""Custom loops of TensorFlow 1: the operations in a graph that train, and the runs of a session that take a step."""

import weakref

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from .loops import Loops, StepLoop

LOOKED_AT = 200
"""The number of operations that are looked at to tell whether a fetch trains; a step's own is a few control inputs
away."""


class Sessions:
    """The operations that train, and what the sessions do with them.

    Such an operation is seen when `apply_gradients` (or `minimize`, which calls it) returns; each run of it is a
    step, seen at `Session.run`, also where what is fetched only depends on it, as `tf.group` and
    `control_dependencies` make it.
    """

    def __init__(self, loops: "Loops") -> None:
        self._loops = loops
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
                loop = self._loop(operation, variables, session)
                if loop is not None and loop not in found:
                    found.append(loop)
        return found

    def closing(self, session: "Any") -> None:
        """A session is about to be closed: after that its variables can't be read."""
        self._loops.end_session(id(session))

    def _loop(self, operation: "Any", variables: "Any", session: "Any") -> "StepLoop | None":
        """The loop of an operation; None where its variables are gone."""
        loop = self._loops.known(operation)
        if loop is None and variables:
            loop = self._loops.begin(operation, variables, _reader(session), session=id(session))
        return loop

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
