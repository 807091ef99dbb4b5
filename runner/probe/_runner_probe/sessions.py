"""Custom loops of TensorFlow 1: an optimizer makes an operation in a graph, and each run of it by a session is a step.

The operation is seen when `apply_gradients` (or `minimize`, which calls it) returns; runs are seen at `Session.run`,
also where what is fetched only depends on it, as `tf.group` and `control_dependencies` make it.
"""

import weakref

LOOKED_AT = 200
"""How many operations are looked at to tell whether a fetch trains; a step's own is a few control inputs away."""


class Sessions(object):
    """The operations that train, and what the sessions do with them."""

    def __init__(self, batches):
        self._batches = batches
        self._steps = {}
        self._fetched = {}

    def made(self, operation, variables):
        """An optimizer has made an operation that changes variables."""
        self._steps[id(operation)] = weakref.ref(operation), [weakref.ref(variable) for variable in variables]
        self._fetched.clear()  # what was looked at before may depend on it only by a chance of equal ids

    def begin(self, session, fetches):
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

    def closing(self, session):
        """A session is about to be closed: after that its variables can't be read."""
        self._batches.end_session(id(session))

    def _trained_by(self, session, element):
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

    def _search(self, operation):
        """The ids of the steps among an operation and those that it waits for."""
        waiting, seen, found = [operation], set(), []
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

    def _living(self, number):
        operation, variables = self._steps.get(number, (lambda: None, ()))
        return operation(), [variable for variable in (reference() for reference in variables) if variable is not None]


def _elements(fetches):
    """What is fetched, out of any nesting of lists, tuples and dicts."""
    waiting, found = [fetches], []
    while waiting and len(found) < 1000:
        one = waiting.pop()
        if isinstance(one, (list, tuple)):
            waiting += one
        elif isinstance(one, dict):
            waiting += one.values()
        elif one is not None:
            found.append(one)
    return found


def _reader(session):
    """Reads variables by that session; nothing once it is gone or closed."""
    known = weakref.ref(session)

    def read(variables):
        living = known()
        return iter(() if living is None or living._closed else living.run(list(variables)))

    return read
