"""The steps of loops around PyTorch's optimizers, for the tools that look into training; what they read, and set.

What is trained are the modules that hold the parameters of all optimizers that there are when such a module is first
called to train: that moment comes before anything is computed. Where parameters are plain tensors, it is when their
optimizer is made. Nothing is drawn, and no gradient is asked for.
"""

import gc
import sys

from _runner_probe import ranks, wrapping

from .model_reading import Batch, LayerWeights, SeenStep
from .steps import StepWatcher, shared

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

SLOTS = {
    "exp_avg": "m",
    "exp_avg_sq": "v",
    "exp_inf": "v",
    "max_exp_avg_sq": "vhat",
    "momentum_buffer": "momentum",
    "square_avg": "rms",
    "sum": "accumulator",
    "acc_delta": "accum_var",
}
"""What Keras calls that which optimizers keep for each parameter."""
WRAPPERS = ("_orig_mod.", "module.")
"""Parts of names that are those of a compiled or a distributed module around the script's own."""


class TorchLoop:
    """What the optimizers of a loop train, and what was seen of the step that is under way."""

    single = False

    def __init__(self, optimizers: "Any") -> None:
        self.subject = self
        self.optimizers = optimizers
        self.parameters = [
            one for optimizer in optimizers for group in optimizer.param_groups for one in group["params"]
        ]
        self.roots = _roots(self.parameters)
        self.stepping = optimizers[0]
        self.forget()

    def forget(self) -> None:
        """What is seen from now on belongs to the next step."""
        self.inputs: list[Any] = []
        self.outputs: list[Any] = []
        self.loaded: list[Any] = []
        self.losses: list[Any] = []

    def called(self, inputs: "Any", outputs: "Any") -> None:
        """A module that is trained was called; of a step its first call counts."""
        if not self.inputs and not self.outputs:
            self.inputs, self.outputs = _tensors(inputs), _tensors(outputs)

    def reading(self, note: "Any") -> "Any":
        """The reading of what is trained; `note` is called with remarks."""
        return TorchReading(self)


class TorchReading:
    """Weights are the parameters and buffers of modules, in the order of `state_dict`."""

    framework = "torch"

    def __init__(self, loop: "TorchLoop") -> None:
        self._loop = loop
        self._layers: list[LayerWeights] = []

    def described(self) -> "dict[str, str]":
        """The classes of the modules and optimizers."""
        loop = self._loop
        models, optimizers = ([type(one).__name__ for one in things] for things in (loop.roots, loop.optimizers))
        return {"model": ", ".join(models)[:200], "optimizer": ", ".join(optimizers)[:200], "loss": ""}

    def layers(self) -> "list[LayerWeights]":
        """Every module that has parameters or buffers of its own; then the parameters that no module has.

        None where a lazy module still waits for its first batch.
        """
        if not self._layers:
            self._layers = self._made_layers()
        return self._layers

    def _made_layers(self) -> "list[LayerWeights]":
        found: list[LayerWeights] = []
        seen: set[int] = set()
        for root in self._loop.roots:
            for name, module in root.named_modules():
                own = list(module._parameters.items()) + list(module._buffers.items())
                variables = [(role, one) for role, one in own if one is not None and id(one) not in seen]
                if any(_is_unmade(one) for _, one in variables):
                    return []
                seen.update(id(one) for _, one in variables)
                if variables:
                    found.append(LayerWeights(type(module).__name__, _short(name) or "itself", variables))
        bare = [one for one in self._loop.parameters if id(one) not in seen]
        roles = [("tensor-%d" % (number + 1), one) for number, one in enumerate(bare)]
        return [*found, LayerWeights("Tensor", "parameters", roles)] if roles else found

    def slots(self, places: "Any") -> "list[Any]":
        """((kind, place), tensor) of what the optimizer that took the first step keeps for each weight."""
        state = self._loop.stepping.state
        found = []
        for place, weight in places:
            kept = state.get(weight, {}) if weight.requires_grad else {}
            for kind, value in sorted(kept.items(), key=str):
                if getattr(value, "shape", None) == weight.shape and kind != "step":
                    found.append(((SLOTS.get(kind, str(kind)), place), value))
        return found

    def rate(self) -> "list[Any]":
        """None: PyTorch's learning rates are numbers."""
        return []

    def learning_rate(self) -> "float | None":
        """That of the first group of the optimizer that takes the step."""
        return float(self._loop.stepping.param_groups[0]["lr"])

    def read(self, variables: "Any") -> "Any":
        """Tensors as arrays."""
        return map(_array, variables)

    def write(self, pairs: "Any") -> None:
        """Set tensors to arrays, in their place."""
        torch = sys.modules["torch"]
        for variable, array in pairs:
            with torch.no_grad():
                variable.copy_(torch.from_numpy(array.copy()))

    def begin(self, fit: "Any", number: int, readable: bool) -> "SeenStep":
        """What is known of a step right before the optimizer takes it: all, unless a closure computes it within."""
        seen = SeenStep()
        seen.gradients = self._gradients()
        losses = [float(one) for one in self._loop.losses]
        seen.loss = sum(losses) if losses else None
        return seen

    def end(self, seen: "SeenStep", logs: "Any") -> None:
        """Batch and outputs; of a closure, which may be called several times, loss and gradients too."""
        loop = self._loop
        inputs = [_array(one) for one in loop.loaded or loop.inputs[:1]]
        seen.batch = Batch(inputs, []) if inputs else None
        seen.outputs = [_array(one) for one in loop.outputs] or None
        if seen.loss is None and loop.losses:
            seen.loss = float(loop.losses[0])
        if seen.gradients is None:
            seen.gradients = self._gradients()

    def _gradients(self) -> "list[Any] | None":
        weights = [one for layer in self.layers() for _, one in layer.variables]
        gradients = [one.grad if one.is_leaf else None for one in weights]
        if all(one is None for one in gradients):
            return None
        return [None if one is None else _array(one) for one in gradients]


class TorchSteps(StepWatcher):
    """Calls a listener's `ready`, `begin` and `end` around every step of an optimizer."""

    def __init__(self, listener: "Any", failed: "Any") -> None:
        super().__init__(listener, failed)
        self._optimizers: list[Any] = []
        self._loop: Any = None
        self._call_of_modules: Any = None
        """`Module.__call__` as it was: it is watched until the first call of what is trained."""
        self._watched: set[Any] = set()
        self._depth = 0
        self._step = 0
        self._loaded_first: list[Any] = []
        self._is_compiling: Any = bool
        """Whether PyTorch's compiler reads the code that is running, instead of running it."""

    def install(self, after_import: "Any") -> None:
        """Watch optimizers, gradients and loaders."""
        after_import("torch.optim.optimizer", self._watch_optimizers)
        after_import("torch.autograd", self._watch_gradients)
        after_import("torch.utils.data.dataloader", self._watch_loaders)

    def _watch_optimizers(self, module: "Any") -> None:
        self._around(module.Optimizer, "__init__", lambda args, kwargs: args[0], self._made)

    def _watch_gradients(self, autograd: "Any") -> None:
        self._around(autograd, "backward", self._enter_backward, wrapping.nothing)

    def _watch_loaders(self, module: "Any") -> None:
        self._around(module._BaseDataLoaderIter, "__next__", lambda args, kwargs: args[0], self._loaded)

    def _is_looking(self) -> bool:
        return not self._is_compiling() and super()._is_looking()

    def _made(self, optimizer: "Any", result: "Any", error: "Any") -> None:
        """An optimizer was made: its class is watched, and the first call of what it trains."""
        self._is_compiling = getattr(getattr(sys.modules["torch"], "compiler", None), "is_compiling", bool)
        owner = next((cls for cls in type(optimizer).__mro__ if "step" in vars(cls)), None)
        if owner is not None and owner not in self._watched:
            self._watched.add(owner)
            self._around(owner, "step", self._enter_step, self._leave_step)
        if error is not None or self._loop is not None:
            return
        self._optimizers.append(optimizer)
        nn = sys.modules["torch.nn"]
        if any(not isinstance(one, nn.Parameter) for group in optimizer.param_groups for one in group["params"]):
            self._begin()
        elif self._call_of_modules is None:
            self._call_of_modules = vars(nn.Module)["__call__"]
            self._around(nn.Module, "__call__", self._enter_call, wrapping.nothing)

    def _enter_call(self, args: "Any", kwargs: "Any") -> None:
        if self._loop is None and sys.modules["torch"].is_grad_enabled():
            groups = [group for optimizer in self._optimizers for group in optimizer.param_groups]
            wanted = {id(one) for group in groups for one in group["params"]}
            if any(id(one) in wanted for one in args[0].parameters()):
                self._begin()

    def _begin(self) -> None:
        """From here on what all optimizers so far train is looked at."""
        if self._call_of_modules is not None:
            sys.modules["torch.nn"].Module.__call__ = self._call_of_modules
        if ranks.rank():
            self.alive = False  # the first of those that train together is looked at
            return
        self._loop = TorchLoop(list(self._optimizers))
        self._loop.loaded, self._optimizers = self._loaded_first, []
        shared.loops.append(self)
        for root in self._loop.roots:
            root.register_forward_hook(_called)
        for before in shared.before_steps:
            before(self._loop)
        self._listener.ready(self._loop)

    def called(self, inputs: "Any", outputs: "Any") -> None:
        """A module that is trained was called."""
        if self._is_looking() and sys.modules["torch"].is_grad_enabled():
            self._shielded(self._loop.called, inputs, outputs)

    def _enter_backward(self, args: "Any", kwargs: "Any") -> None:
        if self._loop is not None:
            tensors = args[0] if args else kwargs.get("tensors")
            self._loop.losses += [one.detach() for one in _tensors(tensors) if one.numel() == 1]

    def _loaded(self, iterator: "Any", result: "Any", error: "Any") -> None:
        if error is None and self._loop is None:
            self._loaded_first = _tensors(result)
        elif error is None:
            self._loop.loaded = _tensors(result)

    def _enter_step(self, args: "Any", kwargs: "Any") -> "Any":
        self._depth += 1
        if self._depth > 1:
            return args[0]
        if self._loop is None:
            self._begin()
        loop, optimizer = self._loop, args[0]
        if loop is None or not any(optimizer is one for one in loop.optimizers):
            return optimizer
        loop.stepping = optimizer
        self._listener.begin(loop, self._step)
        return optimizer

    def _leave_step(self, optimizer: "Any", result: "Any", error: "Any") -> None:
        self._depth -= 1
        loop = self._loop
        if self._depth or loop is None or not any(optimizer is one for one in loop.optimizers):
            return
        if error is None:
            self._listener.end(loop, self._step, self._step, {})
            self._step += 1
        loop.forget()


def _called(module: "Any", inputs: "Any", outputs: "Any") -> None:
    """A hook that can be copied and pickled with its module."""
    for steps in shared.loops:
        steps.called(inputs, outputs)


def _roots(parameters: "Any") -> "list[Any]":
    """The modules that hold some of the parameters and are part of no other module, in the parameters' order."""
    module = sys.modules["torch.nn"].Module
    found = [one for one in gc.get_objects() if issubclass(type(one), module) and "_modules" in vars(one)]
    inner = {id(child) for one in found for child in one._modules.values()}
    order = {id(one): place for place, one in enumerate(parameters)}
    places: dict[Any, Any] = {}
    for root in [one for one in found if id(one) not in inner]:
        held = [order[id(one)] for one in root.parameters() if id(one) in order]
        if held:
            places[min(held), len(places)] = root
    return [places[key] for key in sorted(places)]


def _tensors(value: "Any") -> "list[Any]":
    """The tensors in a nested value, without their gradients."""
    tensor = sys.modules["torch"].Tensor
    if isinstance(value, tensor):
        return [value.detach()]
    if isinstance(value, dict):
        return [one for key in value for one in _tensors(value[key])]
    return [one for inner in value for one in _tensors(inner)] if isinstance(value, (list, tuple)) else []


def _array(tensor: "Any") -> "Any":
    """A copy of a tensor as an array; sparse ones are filled up, and what NumPy does not have gets 32 bits."""
    found = tensor.detach()
    found = (found.to_dense() if found.is_sparse else found).cpu()
    return (found.float() if "bfloat16" in str(found.dtype) else found).numpy().copy()


def _is_unmade(tensor: "Any") -> bool:
    """True for a parameter of a lazy module whose shape its first batch decides."""
    return "Uninitialized" in type(tensor).__name__


def _short(name: str) -> str:
    """A module's name without what wraps it."""
    for part in WRAPPERS:
        name = name.replace(part, "")
    return "" if name + "." in WRAPPERS else name
