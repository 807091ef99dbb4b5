"""Custom loops of TensorFlow 1: the operations in a graph that train, and the runs of a session that take a step."""

import sys
import weakref

from . import step_loop, weights, wrapping

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from .step_loop import StepLoop
    from .trainings import Trainings

    Fetched = list[tuple[Any, Any, str]]
    """(element, value, key) of each; the key is empty where it has none."""

LOOKED_AT = 200
"""The number of operations that are looked at to tell whether a fetch trains; a step's own is a few control inputs
away."""


class Sessions:
    """The operations that train, and what the sessions do with them.

    Such an operation is seen when `apply_gradients` (or `minimize`, which calls it) returns; each run of it is a
    step, seen at `Session.run`, also where what is fetched only depends on it, as `tf.group` and
    `control_dependencies` make it. What was differentiated for it is its loss, by whichever run it is fetched.
    """

    def __init__(self, trainings: "Trainings") -> None:
        self._trainings = trainings
        self._loops = trainings.loops
        self._steps: dict[Any, Any] = {}
        self._fetched: dict[Any, Any] = {}
        self._differentiated: list[Any] = []
        self._losses: dict[Any, Any] = {}
        self._told_after = -1
        self._estimators: list[Any] = []
        self._operations: dict[int, Any] = {}

    def watch(self, module: "Any") -> None:
        """TensorFlow's module of the class that all sessions inherit from."""
        put_around = self._trainings.put_around
        put_around(module.BaseSession, "run", self._enter_run, self._leave_run)
        for name in ("close", "__del__"):
            put_around(module.BaseSession, name, self._enter_close, wrapping.nothing)

    def watch_gradients(self, module: "Any") -> None:
        """TensorFlow's module of the function that differentiates in a graph."""
        self._trainings.put_around(module, "gradients", self._enter_gradients, self._leave_gradients)

    def watch_updates(self, module: "Any") -> None:
        """A module that defines the class that all optimizers of Keras inherit from."""
        for cls in wrapping.own_classes(module):
            self._trainings.put_around(cls, "get_updates", self._enter_updates, self._leave_updates)

    def watch_estimators(self, module: "Any") -> None:
        """TensorFlow's module of the class of estimators: what they train, each time in a session, is one loop."""
        for cls in wrapping.own_classes(module):
            self._trainings.put_around(cls, "train", self._enter_train, self._leave_train)

    def differentiated(self, target: "Any", sources: "Any") -> None:
        """Something was differentiated by variables: they are known by the operations that hold them."""
        targets = target if isinstance(target, (list, tuple)) else [target]
        if len(targets) == 1 and hasattr(targets[0], "op"):
            held = frozenset(id(getattr(one, "op", one)) for one in sources)
            self._differentiated = [*self._differentiated[-50:], (weakref.ref(targets[0]), held)]

    def made(self, operation: "Any", variables: "Any") -> None:
        """An optimizer has made an operation that changes variables."""
        self._steps[id(operation)] = weakref.ref(operation), [weakref.ref(variable) for variable in variables]
        self._fetched.clear()  # what was looked at before may depend on it only by a chance of equal ids
        for target, held in reversed(self._differentiated):
            if any(id(getattr(one, "op", one)) in held for one in variables) and target() is not None:
                self._losses[id(operation)] = target
                return

    def _enter_gradients(self, args: "Any", kwargs: "Any") -> "Any":
        if self._trainings.inside or not weights.is_first_graph():
            return None
        sources = args[1] if len(args) > 1 else kwargs.get("xs")
        return args[0] if args else kwargs.get("ys"), sources if isinstance(sources, (list, tuple)) else [sources]

    def _leave_gradients(self, token: "Any", result: "Any", error: "Any") -> None:
        if error is None:
            self.differentiated(*token)

    def _enter_updates(self, args: "Any", kwargs: "Any") -> "Any":
        """Keras makes the operations of a step in a graph, for an estimator that will run them."""
        if self._trainings.inside or not weights.is_first_graph():
            return None
        self._trainings.inside += 1
        given = dict(zip(("self", "loss", "params"), args), **kwargs)
        return given["loss"], given["params"]

    def _leave_updates(self, token: "Any", result: "Any", error: "Any") -> None:
        self._trainings.inside -= 1
        loss, variables = token
        if error is None and result and not isinstance(result[-1], tuple):
            self.differentiated(loss, variables)
            self.made(getattr(result[-1], "op", result[-1]), variables)

    def _enter_train(self, args: "Any", kwargs: "Any") -> "Any":
        self._estimators.append(args[0])
        return True

    def _leave_train(self, token: "Any", result: "Any", error: "Any") -> None:
        self._estimators.pop()

    def _enter_run(self, args: "Any", kwargs: "Any") -> "Any":
        if self._trainings.inside or not self._steps:
            return None
        self._trainings.inside += 1  # what is read meanwhile is read by sessions too
        try:
            fetches = args[1] if len(args) > 1 else kwargs.get("fetches")
            return self._begin(args[0], fetches), fetches, args[0]
        finally:
            self._trainings.inside -= 1

    def _leave_run(self, token: "Any", result: "Any", error: "Any") -> None:
        found, fetches, session = token
        if error is not None:
            if found:
                self._trainings.where.blame(error)
            return
        self._trainings.inside += 1
        try:
            self._end_run(found, fetches, session, result)
        finally:
            self._trainings.inside -= 1

    def _end_run(self, found: "list[StepLoop]", fetches: "Any", session: "Any", result: "Any") -> None:
        if not found:
            self._end_without_step(fetches, session, result)
            return
        for loop, values in zip(found, self._numbers(found, fetches, session, result)):
            self._loops.end_step(loop, values)

    def _enter_close(self, args: "Any", kwargs: "Any") -> None:
        if not self._trainings.inside:
            self._trainings.inside += 1
            try:
                self._loops.end_session(id(args[0]))
            finally:
                self._trainings.inside -= 1

    def _begin(self, session: "Any", fetches: "Any") -> "Any":
        """A session is about to run something; the loops that it is a step of."""
        found = []
        for element in _elements(fetches):
            for operation, variables in self._trained_by(session, element):
                loop = self._loop(operation, variables, session)
                if loop is not None and loop not in found:
                    found.append(loop)
        return found

    def _numbers(self, found: "list[StepLoop]", fetches: "Any", session: "Any", result: "Any") -> "Any":
        """The numbers of a run for each of the loops that it was a step of: its own loss; all others to the first."""
        fetched = [(_element(one, session), value, key) for one, value, key in _pairs(fetches, result)]
        losses = [self._loss(loop) for loop in found]
        own = [_value_of(loss, fetched) for loss in losses]
        return [dict(_named(fetched, losses), **own[0]), *own[1:]]

    def _end_without_step(self, fetches: "Any", session: "Any", result: "Any") -> None:
        """A run that was no step: where no step ever fetches its loss, that is the one that counts."""
        mine = self._loops.of_session(id(session))
        if len(mine) == 1 and not mine[0].has_loss and self._told_after != mine[0].steps:
            fetched = [(_element(one, session), value, key) for one, value, key in _pairs(fetches, result)]
            for name, value in _value_of(self._loss(mine[0]), fetched).items():
                self._loops.tell(name, value)
                self._told_after = mine[0].steps

    def _loss(self, loop: "StepLoop") -> "Any":
        return self._losses.get(self._operations.get(id(loop)), _nothing)()

    def _loop(self, operation: "Any", variables: "Any", session: "Any") -> "StepLoop | None":
        """The loop of an operation; None where its variables are gone."""
        owner, kind = (self._estimators[-1], "estimator") if self._estimators else (operation, "loop")
        loop, read = self._loops.known(owner, kind), _reader(session)
        if loop is not None and kind == "estimator" and loop.session == "":
            loop.train(variables, read, id(session))
        elif variables and (loop is None or loop.session != id(session)):
            loop = self._loops.begin(owner, variables, read, kind, session=id(session))
        elif loop is None or id(loop) in self._operations:
            return loop
        self._told_after = -1
        self._operations[id(loop)] = id(operation)
        return loop

    def _trained_by(self, session: "Any", element: "Any") -> "Any":
        """(operation, variables) of every step that a fetched element runs."""
        element = _element(element, session)
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
    return [element for element, _, _ in _pairs(fetches, fetches)]


def _pairs(fetches: "Any", result: "Any", key: str = "") -> "Fetched":
    """What was fetched, out of any nesting of lists, tuples and dicts, each with its value and its own key."""
    if fetches is None or result is None:
        return []
    if isinstance(fetches, dict):
        parts = [(fetches[one], result[one], one if isinstance(one, str) else "") for one in fetches]
        if "caller" in fetches:  # a MonitoredSession asks for what its hooks want beside what it was asked for
            parts = [(one, value, "" if name == "caller" else name) for one, value, name in parts]
        return [pair for one, value, name in parts for pair in _pairs(one, value, name)]
    if isinstance(fetches, (list, tuple)):
        names = getattr(fetches, "_fields", None) or [""] * len(fetches)
        return [pair for one, value, name in zip(fetches, result, names) for pair in _pairs(one, value, name)]
    return [(fetches, result, key)]


def _element(fetched: "Any", session: "Any") -> "Any":
    return session.graph.as_graph_element(fetched) if isinstance(fetched, str) else fetched


def _named(fetched: "Fetched", losses: "list[Any]") -> "dict[str, float]":
    """The numbers by their keys, else by the names of their operations; those in a summary by their tags.

    Whole numbers count steps.
    """
    found: dict[str, float] = {}
    for element, value, key in fetched:
        is_loss = any(element is loss for loss in losses)
        name = key or ("" if is_loss else str(getattr(getattr(element, "op", None), "name", "")))
        if isinstance(value, bytes):
            found.update(_summarised(value))
        elif name and step_loop.number(value) is not None and "int" not in type(value).__name__:
            found[step_loop.metric_name(name)] = float(value)
    return found


def _value_of(loss: "Any", fetched: "Fetched") -> "dict[str, float]":
    for element, value, _ in fetched if loss is not None else ():
        if element is loss and step_loop.number(value) is not None:
            return {"loss": float(value)}
    return {}


def _summarised(value: bytes) -> "dict[str, float]":
    """The scalars of a summary as `tf.summary.scalar` and `merge_all` make it."""
    protocol = sys.modules.get("tensorflow.core.framework.summary_pb2")
    if protocol is None:
        return {}
    try:
        values = protocol.Summary.FromString(value).value
    except Exception:
        return {}  # another kind of text
    scalars = [one for one in values if one.HasField("simple_value")]
    return {step_loop.metric_name(one.tag): float(one.simple_value) for one in scalars}


def _nothing() -> None:
    """In place of a reference, where there is none."""


def _reader(session: "Any") -> "Any":
    """Reads variables by that session; nothing once it is gone or closed."""
    known = weakref.ref(session)

    def read(variables: "Any") -> "Any":
        living = known()
        return iter(() if living is None or living._closed else living.run(list(variables)))

    return read
