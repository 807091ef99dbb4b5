"""Training with PyTorch: the steps of its optimizers, the losses whose gradients they take, and a data loader's epochs.

A step is a call of an optimizer's `step`. Where no such call can be seen (a step that was compiled, weights that the
script changes itself), it is a change of weights between two losses.
"""

import sys
import weakref
from functools import partial

from . import phases, torch_guards, torch_models, torch_steady, weights, wrapping
from .step_loop import Subject
from .torch_losses import Step, Trained, value_of

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from .step_loop import StepLoop
    from .trainings import Trainings

LOOKED_AT = 8
"""So many optimizers, the last ones used, are asked whether a loss gave gradients to them."""
KEPT = 64
"""So many losses that lie on another device are read together: to read one is to wait for the device."""


class TorchTraining:
    """All optimizers of the process, their loops, and the iterations of data loaders that are under way."""

    def __init__(self, trainings: "Trainings") -> None:
        self._trainings = trainings
        self._channel, self._where, self._loops = trainings.channel, trainings.where, trainings.loops
        self._guards: Any = None
        self._steady: Any = None
        self.fit: Any = None
        """The call of a trainer that the script is in (see `torch_trainers`)."""
        self._taken = 0
        """The number of times that a step was told of here."""
        self._all: dict[int, Trained] = {}
        """What optimizers train, by their `id`; and what the script trains itself, by the `id` of its first tensor."""
        self._steps: Any = weakref.WeakKeyDictionary()
        """The class that the `step` of a kind of optimizer is of; PyTorch gives a kind one of its own later."""
        self._losses: Any = weakref.WeakSet()
        self._begin_process()
        trainings.channel.after_fork(self._begin_process)

    def _begin_process(self) -> None:
        self._step: Any = None
        self._iterations: dict[int, Any] = {}
        self._waiting: list[Any] = []
        self._looks = 0
        for trained in self._all.values():
            trained.forget()
            trained.loop = None
        if self._steady is not None:
            self._steady.forget()

    def watch(self, torch: "Any") -> None:
        """PyTorch itself, or a module of the script's own that has its name."""
        if not hasattr(torch, "autograd"):
            return
        self._guards = guards = torch_guards.Guards(torch)
        hidden, shielded, around = guards.hidden, self._channel.shielded, self.around
        self.read = torch_models.reader(guards)
        self._steady = torch_steady.SteadySteps(self._trainings, torch, hidden(self._tell_losses), hidden(self._miss))
        self._loops.at_end(hidden(self._settle_all))
        self._trainings.results.before(hidden(self.tell_waiting))
        self._end_iteration = hidden(shielded(self._end_iteration))
        self._end_training = hidden(shielded(self._end_training))
        for name in ("__init__", "__setstate__"):
            around(torch.optim.Optimizer, name, self._enter_making, self._leave_making)
        quick = self._steady.around_backward
        around(torch.autograd, "backward", self._enter_backward, self._leave_backward, quick=quick)
        for scaler in _scalers(torch):
            around(scaler, "scale", wrapping.first_argument, self._leave_scale)
            around(scaler, "step", self._enter_scaler_step, self._leave_scaler_step)
        around(torch.nn.modules.loss._Loss, "__init__", wrapping.first_argument, self._leave_making_loss)
        wrapping.once(torch.nn.Module, "__init__", shielded(self._building))
        if "torch.utils.data.dataloader" in sys.modules:
            self.watch_loaders(sys.modules["torch.utils.data.dataloader"])

    def watch_loaders(self, module: "Any") -> None:
        """PyTorch's module of data loaders; one that PyTorch itself imports is watched with it."""
        if self._guards is not None:
            self.around(module.DataLoader, "__iter__", wrapping.first_argument, self._leave_iter)

    def around(self, owner: "Any", name: str, enter: "Any", leave: "Any", *given: "Any", quick: "Any" = None) -> None:
        """Put something around a method or function of PyTorch or of a trainer, unseen by whatever PyTorch tells."""
        enter, leave, guards = self._guards.hidden(enter), self._guards.hidden(leave), self._guards
        self._trainings.put_around(owner, name, enter, leave, *given, compiler=guards, quick=quick)

    def tell_configs(self, phase: str, module: "Any", optimizer: "Any", loss: "Any") -> None:
        """The settings of what trains together, where they were not told before."""
        if len(self._losses) == 1:
            loss = next(iter(self._losses))
        self._trainings.tell_configs(phase, torch_models.config_texts(module, optimizer, loss))

    def _building(self) -> None:
        self._channel.settle()
        self._where.building()

    def _enter_making(self, args: "Any", kwargs: "Any") -> "Any":
        """An optimizer is being made: from now on the `step` of its class is watched.

        Before PyTorch puts its own around it, which its compiler takes out again with what is around that.
        """
        kind = type(args[0])
        cls = self._steps.get(kind) or next((one for one in kind.__mro__ if "step" in vars(one)), None)
        is_new = cls not in list(self._steps.values())
        self._steps[kind] = cls
        if cls is not None and is_new:
            quick = partial(self._steady.around_step, cls)
            self.around(cls, "step", self._enter_step, self._leave_step, cls, quick=quick)
        return args[0], torch_models.module_behind(args[1] if len(args) > 1 else kwargs.get("params"))

    def _leave_making(self, token: "Any", result: "Any", error: "Any") -> None:
        if error is None:
            self._steady.end()
            trained = self._all[id(token[0])] = Trained(token[0], self._end_training, module=token[1])
            self._has_grown(trained)

    def _has_grown(self, trained: "Trained") -> bool:
        """True where an optimizer trains more than it did; what the script trained of it itself ends by that."""
        has_grown = trained.has_grown()
        if has_grown:
            own = {id(variable) for variable in trained.variables()}
            for one in [one for one in self._all.values() if one.optimizer() is None]:
                if any(id(variable) in own for variable in one.variables()):
                    self._end_training(one)
        return has_grown

    def _end_training(self, trained: "Trained", owner: "Any" = None) -> None:
        """The optimizer, or the module without one, is about to be gone."""
        self._channel.settle()
        self._steady.end()
        for number in [number for number, one in self._all.items() if one is trained]:
            del self._all[number]
        if trained.loop is not None:
            self._settle(trained)
            self._loops.end(trained.loop, failed=False)

    def _leave_making_loss(self, loss: "Any", result: "Any", error: "Any") -> None:
        if error is None:
            self._losses.add(loss)

    def _leave_scale(self, scaler: "Any", result: "Any", error: "Any") -> None:
        self._steady.scale = scaler._scale if error is None and scaler.is_enabled() else None

    def _enter_scaler_step(self, args: "Any", kwargs: "Any") -> "Any":
        trained = self._all.get(id(args[1] if len(args) > 1 else kwargs.get("optimizer")))
        return None if trained is None else (trained, trained.steps)

    def _leave_scaler_step(self, token: "Any", result: "Any", error: "Any") -> None:
        trained, steps = token
        if trained.steps == steps:  # gradients were not finite: no step was taken, nor will be with them
            trained.is_taken = True

    def _enter_backward(self, args: "Any", kwargs: "Any") -> "Any":
        if self._trainings.inside:
            return None
        tensors = args[0] if args else kwargs.get("tensors")
        factors = args[1] if len(args) > 1 else kwargs.get("grad_tensors")
        scale, self._steady.scale = self._steady.scale, None
        value = value_of(tensors, factors, scale)
        if value is None:
            return None
        loss = tensors[0] if isinstance(tensors, (list, tuple)) else tensors
        concerned = list(self._all.values())[-LOOKED_AT:]
        for trained in concerned:
            self._before_loss(trained, loss)
        return value, loss, concerned

    def _leave_backward(self, token: "Any", result: "Any", error: "Any") -> None:
        value, loss, concerned = token
        if error is not None:
            self._where.blame(error)
            return
        reached = [trained for trained in concerned if trained.state_of_gradients() != trained.gradients]
        self._take_loss(value, reached or self._behind(loss))

    def _miss(self, value: float, loss: "Any") -> None:
        self._take_loss(value, self._behind(loss))

    def _behind(self, loss: "Any") -> "list[Trained]":
        """What a loss depends on, where that shows in no gradient that is looked at.

        Where it is nothing of any optimizer's, the script may train it itself.
        """
        leaves = torch_models.leaves(loss)
        owners = {id(variable): trained for trained in self._all.values() for variable in trained.variables()}
        found = [(owners[id(leaf)], leaf) for leaf in leaves if id(leaf) in owners]
        for trained, leaf in dict(found).items():
            trained.look_at(leaf)
        if found or not leaves:
            return list(dict(found)) or [trained for trained in self._all.values() if trained.optimizer()]
        leaves = [leaf for leaf in leaves if torch_models.is_parameter(leaf)] or leaves
        trained = Trained(torch_models.module_of(leaves) or leaves[0], self._end_training, leaves)
        self._all[id(leaves[0])] = trained
        self._steady.end()
        self._before_loss(trained, loss)
        return [trained]

    def _before_loss(self, trained: "Trained", loss: "Any") -> None:
        self._has_grown(trained)
        if trained.dropped > 1 and (self._step is None or self._step.trained is not trained):
            self._take_unseen_step(trained)  # within its own step weights change, too
        if trained.initial is None and not trained.steps:
            self._look(trained, loss)
        trained.before_loss()

    def _take_loss(self, value: "Any", reached: "list[Trained]") -> None:
        for trained in reached:
            trained.losses.append(value)
            trained.gradients = trained.state_of_gradients()
            trained.taken_elsewhere = self._loops.taken - self._taken
            if trained.dropped > 1:
                trained.weights = trained.state_of_weights()
            if self._step is not None and self._step.trained is trained:
                self._step.evaluated()
        is_other_s = not any(trained.optimizer() for trained in reached)
        if is_other_s and "keras" in sys.modules and isinstance(value, float):
            self._loops.tell("loss", sum(reached[0].losses) if reached else value)  # one of Keras' may take the step

    def _look(self, trained: "Trained", loss: "Any") -> None:
        """Read the weights as they are before the first step."""
        self._looks += 1
        trained.kind = torch_models.loss_name(loss)
        sampled = trained.variables() if phases.is_sampled(self._looks) else []
        trained.initial = weights.digest(sampled, self.read), weights.norm_of(sampled, self.read)

    def _take_unseen_step(self, trained: "Trained", loop: "StepLoop | None" = None) -> None:
        """A step, where weights changed since the latest loss and nobody's call of one was seen."""
        if not trained.losses or trained.is_taken or trained.taken_elsewhere != self._loops.taken - self._taken:
            return
        if trained.weights is not None and trained.weights != trained.state_of_weights():
            trained.is_taken = True
            self._end_step(loop or self._loop_of(trained), trained.losses)

    def _enter_step(self, args: "Any", kwargs: "Any", cls: "Any") -> "Any":
        optimizer = args[0]
        if self._trainings.inside or self._step is not None or self._steps.get(type(optimizer)) is not cls:
            return None
        trained = self._all.get(id(optimizer))
        if trained is None or trained.owner() is not optimizer:
            trained = self._all[id(optimizer)] = Trained(optimizer, self._end_training)
            self._has_grown(trained)
        elif len(self._all) > LOOKED_AT:
            self._all[id(optimizer)] = self._all.pop(id(optimizer))
        if _is_skipped(optimizer):
            trained.is_taken = True
            return None
        has_grown = self._has_grown(trained)
        if trained.weights is not None and trained.weights != trained.state_of_weights():
            trained.initial = None  # somebody changed them since
        loop = self._loop_of(trained)
        if has_grown:
            loop.train(trained.variables())
        for one in self._looked_at(without=trained):
            self._take_unseen_step(one)
        self._steady.end()  # what a closure does in it is not as usual
        self._step = Step(trained, loop)
        return self._step

    def _leave_step(self, step: "Step", result: "Any", error: "Any") -> None:
        self._step = None
        if error is not None:
            self._where.blame(error)
            return
        step.trained.take_step()
        for one in self._looked_at(without=step.trained):
            one.weights = one.state_of_weights()  # it may train some of the same
        self._end_step(step.loop, step.losses())
        self._begin_steady()

    def _looked_at(self, without: "Trained") -> "list[Trained]":
        """The others whose weights are looked at."""
        return [one for one in self._all.values() if one is not without and one.weights is not None]

    def _begin_steady(self) -> None:
        """From here on the short way is gone, where all that there is are optimizers that take steps."""
        if len(self._all) <= LOOKED_AT and all(one.dropped < 2 for one in self._all.values()):
            loops = [(one, one.loop if self.fit is None else self.fit.loop) for one in self._all.values()]
            if all(loop is not None for _, loop in loops):
                self._steady.begin([(one, loop, self._steps.get(type(one.owner()))) for one, loop in loops])

    def _loop_of(self, trained: "Trained") -> "StepLoop":
        """The loop of what takes a step, or the trainer's that takes it; a new one with its first step."""
        if self.fit is not None:
            return self.fit.loop_of(trained)  # type: ignore[no-any-return]
        return self._loops.known(trained.owner()) or self._begin_loop(trained)

    def _begin_loop(self, trained: "Trained") -> "StepLoop":
        optimizer, variables = trained.optimizer(), trained.variables()
        module = trained.module() or torch_models.module_of(variables)
        architecture = None if module is None else torch_models.architecture(module, variables)
        loop = trained.loop = self._loops.begin(
            trained.owner(),
            variables,
            self.read,
            rate=None if optimizer is None else partial(torch_models.rate_of, weakref.ref(optimizer)),
            subject=Subject(module, architecture, trained.initial, is_held=False),
        )
        self.tell_configs(loop.name, module, optimizer, trained.kind)
        return loop

    def _settle_all(self) -> None:
        """Tell the steps that are not told yet."""
        for trained in self._all.values():
            if trained.loop is not None:
                self._settle(trained)

    def _settle(self, trained: "Trained") -> None:
        self.tell_waiting()
        if trained.dropped > 1:
            self._take_unseen_step(trained, trained.loop)

    def _end_step(self, loop: "StepLoop", losses: "list[Any]") -> None:
        self._waiting.append((loop, losses))
        if all(isinstance(loss, float) for loss in losses) or len(self._waiting) == KEPT:
            self.tell_waiting()

    def tell_waiting(self) -> None:
        """Tell the steps that wait for others, and those whose losses lie on another device."""
        if self._steady is not None:
            self._steady.tell()
        waiting, self._waiting = self._waiting, []
        for loop, losses in waiting:
            self._tell_losses(loop, [sum(map(float, losses))] if losses else [])

    def _tell_losses(self, loop: "StepLoop", losses: "list[float]") -> None:
        """Tell of steps that each have one loss; of a step without one where there is none."""
        before = self._loops.taken
        if not losses:
            self._loops.end_step(loop)
        while losses:
            left = len(losses)
            goes_round = loop.usual_steps and not self._iterations and self.fit is None
            if goes_round:  # data that was kept is gone through again (`itertools.cycle`)
                left = max(loop.usual_steps - loop.epoch.steps, 1)
            self._loops.end_steps(loop, losses[:left])
            if goes_round and loop.epoch.steps >= loop.usual_steps:
                self._loops.end_epoch(loop)
            losses = losses[left:]
        self._taken += self._loops.taken - before

    def enter_fit(self, fit: "Any") -> None:
        """The script is in a call of a trainer from now on; in none where `fit` is None."""
        self.tell_waiting()
        self._steady.end()
        self.fit = fit

    def _leave_iter(self, loader: "Any", iterator: "Any", error: "Any") -> None:
        """A data loader is about to be iterated over; the iteration is an epoch of the loops that take steps in it."""
        if error is not None or self._trainings.inside or (self.fit is not None and self.fit.has_epochs):
            return
        number = id(iterator)
        self._end_iteration(number)  # where it is the same one again (`persistent_workers`)
        self.tell_waiting()
        ended = weakref.ref(iterator, partial(self._end_iteration, number))
        self._iterations[number] = ended, self._loops.begin_iteration()

    def _end_iteration(self, number: int, iterator: "Any" = None) -> None:
        self._channel.settle()
        if number in self._iterations:
            self.tell_waiting()
            self._loops.end_iteration(self._iterations.pop(number)[1])


def _is_skipped(optimizer: "Any") -> bool:
    """True where a scaler found gradients that are not finite, and leaves it to the optimizer to take no step."""
    found = vars(optimizer).get("found_inf")
    return found is not None and bool(float(found))


def _scalers(torch: "Any") -> "list[Any]":
    """The classes that scale losses, in their places of all releases."""
    modules = [getattr(torch, "amp", None), getattr(getattr(torch, "cuda", None), "amp", None)]
    found = [vars(module).get("GradScaler") for module in modules if module is not None]
    return [cls for cls in found if cls is not None]
