"""Custom loops of TensorFlow 2: what a script differentiates, and the functions in which weights are updated.

Where a tape is asked for gradients at once, its target is the loss of the step that these variables take next. Where
that is traced into a `tf.function`, the numbers are those that the outermost call returns. Nothing is added to a graph.
"""

import weakref

from . import step_loop, weights

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from .step_loop import StepLoop
    from .tensorflow_sessions import Sessions
    from .trainings import Trainings

    Values = dict[str, float]

MOST_WAITING = 16
MOST_LOOKS = 8
"""So many times a variable is looked at that no optimizer changes, to see whether the script changes it itself."""


class TensorflowLoops:
    """The tapes and functions of the process, and the numbers that wait for their step."""

    def __init__(self, trainings: "Trainings", sessions: "Sessions") -> None:
        self._trainings = trainings
        self._loops = trainings.loops
        self._sessions = sessions
        self._waiting: dict[Any, Differentiated] = {}
        self._optimized: set[Any] = set()
        self._calls: list[Any] = []
        self._traced: Any = weakref.WeakKeyDictionary()
        self._unscaled: dict[int, Any] = {}
        trainings.loops.at_end(self._take_last_steps)

    def watch_tapes(self, module: "Any") -> None:
        """The module of `GradientTape`."""
        self._trainings.put_around(module.GradientTape, "gradient", self._enter_gradient, self._leave_gradient)

    def watch_functions(self, module: "Any") -> None:
        """A module that may define the class of what `tf.function` makes."""
        for name in ("Function", "PolymorphicFunction"):
            cls = vars(module).get(name)
            if getattr(cls, "__module__", None) == module.__name__:
                self._trainings.put_around(cls, "__call__", self._enter_call, self._leave_call)

    def watch_scaling(self, module: "Any") -> None:
        """A module of Keras that defines the optimizer which scales losses for half precision."""
        for cls in [one for one in vars(module).values() if isinstance(one, type)]:
            for name in ("get_scaled_loss", "scale_loss"):
                self._trainings.put_around(cls, name, self._enter_scaling, self._leave_scaling)

    def values_of(self, optimizer: "Any", variables: "Any") -> "Values":
        """The numbers of the step that an optimizer takes with these variables: the mean of what waits for it."""
        found = []
        for one in self._waiting.values() if variables else ():
            if id(variables[0]) in one.variables and id(optimizer) not in one.used:
                one.used.add(id(optimizer))
                self._optimized.add(one.variables)
                found.append(one.means())
        return found[-1] if len(found) == 1 else _mean_of(found)

    def traced(self, optimizer: "Any", loop: "StepLoop") -> None:
        """A step of an optimizer was traced into the functions that are being called."""
        for function in self._calls:
            self._steps_in(function).add(optimizer, loop)

    def _enter_gradient(self, args: "Any", kwargs: "Any") -> "Any":
        if self._trainings.inside:
            return None
        target = args[1] if len(args) > 1 else kwargs.get("target")
        return target, args[2] if len(args) > 2 else kwargs.get("sources")

    def _leave_gradient(self, token: "Any", result: "Any", error: "Any") -> None:
        target, sources = token
        variables = [one for one in flat(sources) if hasattr(one, "assign")]
        if error is not None or not variables:
            return
        value = self._loss(target)
        if value is not None:
            self._wait(variables, {"loss": value})
        elif weights.is_first_graph():
            self._sessions.differentiated(target, variables)
        elif not weights.is_eager():
            for function in self._calls:
                self._steps_in(function).variables = variables

    def _loss(self, target: "Any") -> "float | None":
        """What was differentiated, where that is known at once: of several targets their sum."""
        scaled = self._unscaled.pop(id(target), None)
        if scaled is not None and scaled[0] is target:
            target = scaled[1]
        values = [step_loop.number(one) for one in flat(target)]
        return None if None in values or not values else sum(values)  # type: ignore[arg-type]

    def _enter_scaling(self, args: "Any", kwargs: "Any") -> "Any":
        loss = args[1] if len(args) > 1 else kwargs.get("loss")
        return None if self._trainings.inside or step_loop.number(loss) is None else loss

    def _leave_scaling(self, loss: "Any", result: "Any", error: "Any") -> None:
        if error is None:
            self._unscaled = {id(result): (result, loss)}

    def _wait(self, variables: "Any", values: "Values") -> None:
        """These values wait for the step that the variables take next."""
        key = frozenset(map(id, variables))
        one = self._waiting.pop(key, None)
        if one is not None and not one.used and one.has_changed():
            self._take_own_step(one)
        if one is None or one.used:
            one = Differentiated(key)
        self._waiting[key] = one
        one.add(values)
        if key not in self._optimized:
            one.look_at(variables)
        if len(self._waiting) > MOST_WAITING:
            del self._waiting[next(iter(self._waiting))]

    def _take_own_step(self, one: "Differentiated") -> None:
        """The script has changed the variables by itself, with no optimizer that could tell."""
        variables = one.living()
        if variables:
            loop = self._loops.known(variables[0]) or self._loops.begin(
                variables[0], variables, weights.reader(""), readable=False
            )
            one.used.add(None)
            self._loops.end_step(loop, one.means())

    def _take_last_steps(self) -> None:
        for one in self._waiting.values():
            variables = one.living()
            if variables and not one.used and (one.has_changed() or self._loops.known(variables[0]) is not None):
                self._take_own_step(one)

    def _enter_call(self, args: "Any", kwargs: "Any") -> "Any":
        if self._trainings.inside:
            return None
        function, is_outermost = args[0], not self._calls
        self._calls.append(function)
        steps = self._traced.get(function) if is_outermost else None
        return function, is_outermost, steps, None if steps is None else steps.begin_call(args, kwargs, self._loops)

    def _leave_call(self, token: "Any", result: "Any", error: "Any") -> None:
        function, is_outermost, steps, call = token
        self._calls.remove(function)
        steps = steps or self._traced.get(function)
        if steps is None:
            return
        if not is_outermost:
            for outer in self._calls:
                self._steps_in(outer).join(steps)
        elif error is None and steps.optimizers:
            self._end_steps(steps.end_call(call), named_scalars(result))
        elif error is None:
            self._wait(steps.variables, named_scalars(result))

    def _end_steps(self, taken: "list[tuple[StepLoop, int]]", values: "Values") -> None:
        for loop, count in taken:
            self._loops.end_step(loop, values, count)
            values = {}  # they belong to one of the loops; nobody can tell to which, where there are two

    def _steps_in(self, function: "Any") -> "FunctionSteps":
        found = self._traced.get(function)
        if found is None:
            found = self._traced[function] = FunctionSteps()
        return found  # type: ignore[no-any-return]


class Differentiated:
    """The values of what was differentiated by some variables since they were last updated."""

    def __init__(self, variables: "Any") -> None:
        self.variables = variables
        self.used: set[Any] = set()
        self._values: list[Values] = []
        self._looks = 0
        self._living: list[Any] = []
        self._seen: Any = None

    def add(self, values: "Values") -> None:
        """Further values; with accumulated gradients there are several."""
        self._values = [*self._values[-1000:], values]

    def means(self) -> "Values":
        """Their means by name."""
        return self._values[0] if len(self._values) == 1 else _mean_of(self._values)

    def look_at(self, variables: "Any") -> None:
        """Remember what the smallest of the variables holds."""
        if self._looks < MOST_LOOKS:
            self._looks += 1
            self._living = [weakref.ref(one) for one in variables]
            self._seen = self._smallest()

    def has_changed(self) -> bool:
        """True where it holds something else by now."""
        return self._seen is not None and self._smallest() != self._seen

    def living(self) -> "list[Any]":
        """The variables that are still there."""
        return [one for one in (reference() for reference in self._living) if one is not None]

    def _smallest(self) -> "Any":
        living = self.living()
        return min(living, key=lambda one: weights.count([one])).numpy().tobytes() if living else None


class FunctionSteps:
    """The steps that a function takes in each call: optimizers whose step was traced, or variables to differentiate."""

    def __init__(self) -> None:
        self.optimizers: list[Any] = []
        self.variables: list[Any] = []
        self._ways: dict[Any, Any] = {}
        self._first: dict[int, Any] = {}

    def add(self, optimizer: "Any", loop: "StepLoop") -> None:
        """A step of an optimizer was traced."""
        if not any(loop is known for _, known in self.optimizers):
            self.optimizers.append((weakref.ref(optimizer), loop))
            self._first[id(loop)] = iterations(optimizer)

    def join(self, other: "FunctionSteps") -> None:
        """Another function was called while this one was traced."""
        self.variables = self.variables or other.variables
        for reference, loop in other.optimizers:
            if reference() is not None:
                self.add(reference(), loop)

    def begin_call(self, args: "Any", kwargs: "Any", known: "Any") -> "Any":
        """A call begins; (how it is called, the optimizers' counts where they are asked for)."""
        for reference, _ in self.optimizers[:1]:
            known.known(reference())  # the script is in that loop from now on
        way = tuple([one for one in (*args, *kwargs.values()) if one is True or one is False])
        calls, is_regular = self._ways.get(way, (0, True))
        self._ways[way] = calls + 1, is_regular
        is_asked = not is_regular or calls & (calls + 1) == 0
        return way, [iterations(reference()) for reference, _ in self.optimizers] if is_asked else None

    def end_call(self, call: "Any") -> "list[tuple[StepLoop, int]]":
        """(loop, steps) of the call.

        A count is read, which costs some ten microseconds, in the first, second, fourth, … call that is made with the
        same flags; where that was not one step, in every call.
        """
        way, before = call or ((), [self._first.get(id(loop)) for _, loop in self.optimizers])
        if before is None:
            return [(loop, 1) for _, loop in self.optimizers]
        taken = []
        for (reference, loop), count in zip(self.optimizers, before):
            now = iterations(reference())
            steps = 1 if now is None else now - (count or 0)
            if steps != 1:
                self._ways[way] = self._ways.get(way, (1,))[0], False
            if steps > 0:
                taken.append((loop, steps))
        return taken


def iterations(optimizer: "Any") -> "int | None":
    """The number of steps that an optimizer counted itself; None where it counts none, or can't tell yet.

    Its property is not asked: there are optimizers that make the variable when they are.
    """
    own = getattr(optimizer, "__dict__", {})
    counted = own.get("_iterations", own.get("iterations"))
    arrays = list(weights.reader("")([counted])) if hasattr(counted, "numpy") else []
    return int(arrays[0]) if arrays else None


def named_scalars(result: "Any") -> "Values":
    """The numbers that a function returned: by the keys of a dict or the fields of a named tuple.

    A lone number is `loss`; of a tuple the first number is, where it is no integer, and the others are named by their
    place in it, `output_1` for the second.
    """
    if isinstance(result, dict):
        return _of_pairs(result.items())
    if isinstance(result, tuple) and hasattr(result, "_fields"):  # a tensor takes long to say what it has not
        return _of_pairs(zip(result._fields, result))
    found: Values = {}
    for place, one in enumerate(result if isinstance(result, (list, tuple)) else [result]):
        value = step_loop.number(one)
        if value is not None:
            is_loss = not found and "int" not in getattr(getattr(one, "dtype", None), "name", "")
            found["loss" if is_loss else "output_%d" % place] = value
        elif isinstance(one, dict):
            found.update(named_scalars(one))
    return found


def flat(nested: "Any") -> "list[Any]":
    """What is in any nesting of lists, tuples and dicts."""
    if isinstance(nested, dict):
        nested = list(nested.values())
    if isinstance(nested, (list, tuple)):
        return [one for part in nested for one in flat(part)]
    return [] if nested is None else [nested]


def _of_pairs(pairs: "Any") -> "Values":
    found: Values = {}
    for name, one in pairs:
        value = step_loop.number(one)
        if value is not None:
            found[step_loop.metric_name(name)] = value
        elif isinstance(one, dict):
            found.update(_of_pairs(("%s.%s" % (name, inner), value) for inner, value in one.items()))
    return found


def _mean_of(several: "list[Values]") -> "Values":
    names = {name for values in several for name in values}
    means = {}
    for name in names:
        found = [values[name] for values in several if name in values]
        means[name] = sum(found) / len(found)
    return means
