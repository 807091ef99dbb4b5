"""Training with JAX, as far as values leave `jit`: calls of functions that compute gradients are steps of loops.

Such a function is what `value_and_grad` and `grad` make, and one that `jit` compiled with a call of those in it: that
is known once it was traced. The scalars that a call returns are the step's numbers, an array of them is as many steps.
Arrays are immutable: a loop trains what a call returns in the shape of an argument and is given back by the next one.
"""

import time
import weakref
from _thread import get_ident
from functools import partial

from . import jax_results
from .enclosing_importlib_bootstrap import EnclosedCallable, release, replaced, shorten
from .step_loop import Subject
from .wrapping import own_classes

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from .trainings import Trainings

COMPILERS = ("jit", "pmap")
GRADIENTS = ("value_and_grad", "grad")
PARTS = 4
"""So many steps of a block are looked at: reading a number takes as long as a small step."""
WAITING = 16
LATEST = 2
"""So many are told at once, or those of a second, but for the latest ones, which may not have their values yet."""
LOOPS = 50


class JaxTraining:
    """All functions of the process that compute gradients."""

    def __init__(self, trainings: "Trainings") -> None:
        self.trainings = trainings
        self.optimizer: Any = None
        """The optimizer that was made last, as JSON text."""
        self._loops: dict[Any, list[Any]] = {}
        self._wrapped: dict[int, Any] = {}
        self._begin_process()
        trainings.channel.after_fork(self._begin_process)
        trainings.loops.at_end(self.settle)

    def _begin_process(self) -> None:
        self._stacks: dict[int, list[Any]] = {}

    def settle(self) -> None:
        """Have all loops tell the steps that they have not told, so that they end where the next one begins."""
        for loop in [loop for loops in self._loops.values() for loop in loops]:
            loop.settle()

    def watch(self, module: "Any") -> None:
        """The module `jax`."""
        for name in COMPILERS + GRADIENTS:
            change = self.trainings.channel.shielded(partial(self._made, name))
            setattr(module, name, replaced(vars(module)[name], change))

    def watch_optimizers(self, module: "Any") -> None:
        """The module `optax`."""
        channel = self.trainings.channel
        for name, maker in list(vars(module).items()):
            if getattr(maker, "__module__", "").endswith(".alias") and callable(maker):
                setattr(module, name, replaced(maker, channel.shielded(partial(self._made_optimizer, maker))))
        module.apply_updates = replaced(module.apply_updates, channel.shielded(self._applied))

    def watch_modules(self, module: "Any") -> None:
        """The module of flax that compiles functions which change modules in place."""
        for cls in own_classes(module):
            if cls.__name__.endswith("Wrapped"):
                self.trainings.put_around(cls, "__call__", self._enter_wrapped, self._leave_wrapped)

    def _enter_wrapped(self, args: "Any", kwargs: "Any") -> "Any":
        wrapped = args[0]
        known = self._wrapped.get(id(wrapped))
        if known is None or known[0]() is not wrapped:
            function = GradientFunction(self, "nnx", {}, self._loops_of("nnx", wrapped))
            known = self._wrapped[id(wrapped)] = weakref.ref(wrapped), function
        return known[1], self._enter(known[1], args[1:], kwargs)

    def _leave_wrapped(self, token: "Any", result: "Any", error: "Any") -> None:
        function, entered = token
        self._leave(function, entered, result, error)

    def _loops_of(self, maker: str, function: "Any") -> "list[Any]":
        """The loops around a function, which is known by its code where it is made anew in each step."""
        return self._loops.setdefault((maker, jax_results.code_of(function)), [])

    def _made(self, maker: str, made: "Any", args: "Any", kwargs: "Any") -> "Any":
        """A function was made of another one, or what makes one is given the settings first."""
        shielded = self.trainings.channel.shielded
        given = args[0] if args else kwargs.get("fun", kwargs.get("f"))
        if not callable(given):
            return replaced(made, shielded(partial(self._made, maker))) if callable(made) else None
        function = GradientFunction(self, maker, kwargs, self._loops_of(maker, given))
        enclosing: Any = EnclosedCallable(
            made, shielded(partial(self._enter, function)), shielded(partial(self._leave, function))
        )
        function.enclosing = weakref.ref(enclosing)
        return enclosing

    def _made_optimizer(self, maker: "Any", made: "Any", args: "Any", kwargs: "Any") -> None:
        self.optimizer = jax_results.config_text(maker, args, kwargs)

    def _applied(self, result: "Any", args: "Any", kwargs: "Any") -> None:
        """Updates were applied outside of compiled functions: that is what a loop has come to."""
        if args and not self._stack() and not self.trainings.inside:
            for loops in self._loops.values():
                for loop in loops:
                    loop.follow(args[0], result)

    def _enter(self, function: "GradientFunction", args: "Any", kwargs: "Any") -> "Any":
        stack = self._stack()
        if stack:  # it is traced, or called by what is told as a whole
            if function.is_gradient:
                for outer in stack:
                    outer.is_gradient = True
            return None
        if self.trainings.inside:
            return None
        kept = function.keep(args, kwargs)
        stack.append(function)
        return stack, args, kwargs, kept

    def _leave(self, function: "GradientFunction", token: "Any", result: "Any", error: "Any") -> None:
        if token is None:
            return
        stack, args, kwargs, kept = token
        stack.pop()
        if error is not None:
            self.trainings.where.blame(error)
        elif not function.is_gradient:
            function.forget()
        else:
            function.take(args, kwargs, result, kept)

    def _stack(self) -> "Any":
        return self._stacks.setdefault(get_ident(), [])


class GradientFunction:
    """A function that may compute gradients, which shows when it is traced, and the loops around its code."""

    def __init__(self, training: JaxTraining, maker: str, settings: "Any", loops: "list[Any]") -> None:
        self.is_gradient = maker in GRADIENTS
        self.enclosing: Any = lambda: None
        self._training = training
        self._maker = maker
        self._settings = settings
        self._takes = maker == "nnx" or jax_results.donates(settings)
        self._loops = loops
        self._plan: Any = None

    def forget(self) -> None:
        """It computes none."""
        enclosing = self.enclosing()
        if enclosing is not None:
            release(enclosing)

    def keep(self, args: "Any", kwargs: "Any") -> "Any":
        """Copies of those arguments with which a loop begins that the call takes the memory of, or changes."""
        if not self._takes:
            return {}
        if self._plan is not None and self._loop_with(self._plan.given(args, kwargs)) is not None:
            return {}
        return {key: jax_results.copies(one) for key, one in jax_results.taken(self._settings, args, kwargs).items()}

    def take(self, args: "Any", kwargs: "Any", result: "Any", kept: "Any") -> None:
        """A call is over: a step, or as many as there are values in what it returned."""
        if self._plan is None and not jax_results.is_traced(result):
            self._plan = jax_results.plan(self._maker, args, kwargs, result)
        values = None if self._plan is None else self._plan.values(result)
        if values is None or jax_results.is_traced(values[0][1] if values else result):
            return
        given = self._plan.given(args, kwargs)
        loop = self._loop_with(given)
        if loop is None:
            loop = JaxLoop(self._training, kept.get(self._plan.key, given))
            self._loops.append(loop)
        loop.step(given, self._plan.state(result), values)
        loop.is_intact |= self._plan.is_series
        enclosing = self.enclosing()
        if enclosing is not None and self._plan.index is not None and loop.can_be_steady():
            shorten(enclosing, SteadyCalls(self._training.trainings, loop, self._plan, result))

    def _loop_with(self, given: "Any") -> "Any":
        """The loop that trains what the call is given; None where that is nothing that one has come to."""
        for loop in reversed(self._loops):
            if loop.goes_on_with(given):
                return loop
        last = self._loops[-1] if self._loops else None
        if last is not None and (not last.is_intact or len(self._loops) >= LOOPS or last.has_digest_of(given)):
            return last
        return None


class SteadyCalls:
    """The calls of a function that are given what the one before returned: as little as can be is done about them."""

    __slots__ = ("_loop", "_newest", "_place", "_plan", "_position", "_result", "_since", "_trainings")

    def __init__(self, trainings: "Trainings", loop: "JaxLoop", plan: "Any", result: "Any") -> None:
        self._trainings = trainings
        self._loop = loop
        self._plan = plan
        self._position, self._place = plan.key, plan.index
        self._since = 0
        self._result = result
        self._newest = plan.state(result)
        loop.steady = self

    def is_next(self, args: "Any") -> bool:
        """True where the call is given what the one before it returned."""
        trainings = self._trainings
        if len(args) <= self._position or args[self._position] is not self._newest or trainings.inside:
            return False
        trainings.inside = 1  # where nothing is compiled, as on request, all that the function calls is called again
        return True

    def returned(self, result: "Any") -> None:
        """It is a step: counted, and looked at with others."""
        self._trainings.inside = 0
        try:
            self._result = result
            self._newest = result if self._place < 0 else result[self._place]
            self._since += 1
            if self._since >= self._loop.every:
                self._loop.settle_steady()
        except Exception as error:
            self._newest = None
            self._trainings.channel.failed("returned", error)

    def left(self, error: "BaseException") -> None:
        """An exception left it."""
        self._trainings.inside = 0
        self._trainings.where.blame(error)

    def taken(self) -> "tuple[int, Any, Any]":
        """The steps since this was asked last, what is trained now, and the numbers of the latest step."""
        since, self._since = self._since, 0
        return since, self._newest, self._plan.values(self._result) if since else ()


class JaxLoop:
    """One loop, and the owner of it among all loops of the process."""

    def __init__(self, training: JaxTraining, initial: "Any") -> None:
        self.is_intact = False
        """True where each step was given what the one before came to, so that anything else begins anew."""
        self._is_kept = jax_results.is_kept(initial)
        self._given = self._newest = jax_results.Holding(initial, self._is_kept)
        self.steady: Any = None
        self.every = 1
        """So many steps are looked at once."""
        self._steps = 0
        self._training = training
        self._loops = training.trainings.loops
        self._waiting: list[Any] = []
        self._latest: Any = None
        self._since = 0
        self._told = time.monotonic()
        training.settle()
        self._loop = self._loops.begin(
            self,
            (),
            None,
            state=jax_results.ArrayState(self),
            subject=Subject(architecture=jax_results.architecture(initial)),
        )
        if training.optimizer is not None:
            training.trainings.tell_configs(self._loop.name, [("optimizer", training.optimizer)])

    def current(self) -> "Any":
        """What it trains; where that does not come back, as the latest step was given it."""
        self.settle_steady()
        return (self._newest if self.is_intact else self._given).value()

    def goes_on_with(self, given: "Any") -> bool:
        """True where a call is given what the loop has come to, or what it was given before."""
        self.settle_steady()
        if self._newest.is_same(given):
            self.is_intact |= self._steps == 1
            return True
        return self._given.is_same(given)

    def follow(self, before: "Any", after: "Any") -> None:
        """Where it was given `before`, it has come to `after`."""
        self.settle_steady()
        if self._steps and self._given.is_same(before):
            self._newest = jax_results.Holding(after, self._is_kept)
            self.is_intact |= self._steps == 1

    def has_digest_of(self, given: "Any") -> bool:
        """True where it has come to the very weights that a call is given, in other arrays."""
        return jax_results.digest(given) == jax_results.digest(self.current())

    def step(self, given: "Any", state: "Any", values: "Any") -> None:
        """A step was taken; its values may not be there yet, and reading them would wait for them."""
        comes_back = state is not None and self.is_intact
        if not comes_back:
            self._given = self._newest = jax_results.Holding(given, self._is_kept)
        if comes_back or (state is not None and not self._steps):
            self._newest = jax_results.Holding(state, self._is_kept)
        if comes_back:
            self._given = self._newest
        self._add(1, values)

    def can_be_steady(self) -> bool:
        """True where what it trains comes back from each call, and may be kept until the next."""
        return self.is_intact and self._is_kept and self._steps > 1

    def settle_steady(self) -> None:
        """Take over the steps that were only counted."""
        since, newest, values = (0, None, None) if self.steady is None else self.steady.taken()
        if since:
            self._given = self._newest = jax_results.Holding(newest, self._is_kept)
            self._add(since, values)

    def _add(self, steps: int, values: "Any") -> None:
        self._steps += steps
        self._since, self._latest = self._since + steps, values
        if self._since >= self.every:
            self._waiting.append((values, self._since))
            self._since = 0
            if len(self._waiting) >= WAITING or time.monotonic() - self._told > 1:
                self._loops.known(self)
                self._tell(len(self._waiting) - LATEST)
                self.every = max(1, self._loop.blocks.size // PARTS)

    def settle(self) -> None:
        """Another loop begins or the script is over: its last steps are told, whenever they will be there."""
        self.settle_steady()
        if self._since:
            self._waiting.append((self._latest, self._since))
            self._since = 0
        self._tell(len(self._waiting))

    def _tell(self, count: int) -> None:
        self._told = time.monotonic()
        waiting, self._waiting = self._waiting[:count], self._waiting[count:]
        for values, steps in waiting:
            found = jax_results.numbers(values)
            for numbers in found:
                self._loops.end_step(self._loop, numbers, steps)
