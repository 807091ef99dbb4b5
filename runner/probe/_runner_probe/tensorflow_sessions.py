"""Custom loops of TensorFlow 1: the operations in a graph that train, and the runs of a session that take a step."""

import weakref

from . import step_loop, tensorflow_fetches, weights, wrapping

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from .step_loop import StepLoop
    from .tensorflow_fetches import FetchPlan
    from .trainings import Trainings

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
        self._plans = tensorflow_fetches.FetchPlans()
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
        self._plans.clear()
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
            session, plan = args[0], self._plan(args[1] if len(args) > 1 else kwargs.get("fetches"), args[0])
            found = [self._loop(step(), session) for step in plan.steps]
            return (plan, found, session) if found or plan.losses else None
        finally:
            self._trainings.inside -= 1

    def _leave_run(self, token: "Any", result: "Any", error: "Any") -> None:
        plan, found, session = token
        if error is not None:
            if found:
                self._trainings.where.blame(error)
            return
        self._trainings.inside += 1
        try:
            if found:
                self._end_steps(found, plan.numbers(result))
            else:
                self._end_without_step(plan, session, result)
        finally:
            self._trainings.inside -= 1

    def _end_steps(self, found: "list[StepLoop | None]", numbers: "list[dict[str, float]]") -> None:
        """Each loop has taken a step; one that has several operations takes it with the numbers of all."""
        if len(found) == 1:
            if found[0] is not None:
                self._loops.end_step(found[0], numbers[0])
            return
        taken: list[StepLoop] = []
        for place, loop in enumerate(found):
            if loop is not None and loop not in taken:
                taken.append(loop)
                mine = [values for one, values in zip(found[place:], numbers[place:]) if one is loop]
                self._loops.end_step(
                    loop, mine[0] if len(mine) == 1 else {k: v for one in mine for k, v in one.items()}
                )

    def _enter_close(self, args: "Any", kwargs: "Any") -> None:
        if not self._trainings.inside:
            self._trainings.inside += 1
            try:
                self._loops.end_session(id(args[0]))
            finally:
                self._trainings.inside -= 1

    def _end_without_step(self, plan: "FetchPlan", session: "Any", result: "Any") -> None:
        """A run that was no step: where no step ever fetches its loss, that is the one that counts."""
        mine = self._loops.of_session(id(session))
        path = plan.losses.get(self._operations.get(id(mine[0]), 0)) if len(mine) == 1 else None
        if path is not None and not mine[0].has_loss and self._told_after != mine[0].steps:
            value = step_loop.number(tensorflow_fetches.at(path, result))
            if value is not None:
                self._loops.tell("loss", value)
                self._told_after = mine[0].steps

    def _plan(self, fetches: "Any", session: "Any") -> "FetchPlan":
        """What a run of these fetches does."""
        graph = session.graph
        known = self._plans.known(graph, fetches)
        if known is not None:
            return known
        elements = tensorflow_fetches.elements_of(fetches, session)
        steps: list[Any] = []
        for element, _, _ in elements:
            steps += [step for step in self._search(getattr(element, "op", element)) if step not in steps]
        losses = {number: reference() for number, reference in self._losses.items()}
        return self._plans.keep(graph, fetches, tensorflow_fetches.FetchPlan(elements, steps, losses))

    def _loop(self, operation: "Any", session: "Any") -> "StepLoop | None":
        """The loop of an operation; None where its variables are gone."""
        owner, kind = (self._estimators[-1], "estimator") if self._estimators else (operation, "loop")
        loop = self._loops.known(owner, kind)
        if loop is not None and loop.session == id(session):
            return loop
        living = [reference() for reference in self._steps.get(id(operation), (None, ()))[1]]
        variables = [variable for variable in living if variable is not None]
        if loop is not None and kind == "estimator" and loop.session == "":
            loop.train(variables, _reader(session), id(session))
        elif operation is not None and variables:
            loop = self._loops.begin(owner, variables, _reader(session), kind, session=id(session))
        else:
            return loop
        self._told_after = -1
        self._operations[id(loop)] = id(operation)
        return loop

    def _search(self, operation: "Any") -> "list[Any]":
        """The steps among an operation and those that it waits for."""
        waiting, found = [operation], []
        seen: set[int] = set()
        while waiting and len(seen) < LOOKED_AT:
            one = waiting.pop(0)
            if id(one) in seen:
                continue
            seen.add(id(one))
            if id(one) in self._steps and self._steps[id(one)][0]() is one:
                found.append(one)
            else:
                waiting += list(getattr(one, "control_inputs", ()))
        return found


def _reader(session: "Any") -> "Any":
    """Reads variables by that session; nothing once it is gone or closed."""
    known = weakref.ref(session)

    def read(variables: "Any") -> "Any":
        living = known()
        return iter(() if living is None or living._closed else living.run(list(variables)))

    return read
