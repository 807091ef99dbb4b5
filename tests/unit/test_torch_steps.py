"""Which steps of loops around PyTorch's optimizers are seen, and what of them: on a small stand-in for PyTorch."""

from __future__ import annotations

import sys
from contextlib import nullcontext
from types import ModuleType
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from runner.preludes.prelude import TOOLS

if TYPE_CHECKING:
    from collections.abc import Iterator


class Tensor:
    is_leaf, is_sparse = True, False

    def __init__(self, values: Any, *, requires_grad: bool = False) -> None:
        self.array = np.array(values, dtype="float32")
        self.requires_grad = requires_grad
        self.grad: Tensor | None = None

    shape = property(lambda self: self.array.shape)
    dtype = property(lambda self: self.array.dtype)

    def detach(self) -> Tensor:
        return self

    cpu = detach

    def numel(self) -> int:
        return self.array.size

    def numpy(self) -> Any:
        return self.array

    def copy_(self, other: Any) -> None:
        self.array[...] = other

    def __float__(self) -> float:
        return float(self.array)


class Parameter(Tensor):
    pass


class Module:
    def __init__(self, **parts: Any) -> None:
        self._modules = {name: one for name, one in parts.items() if isinstance(one, Module)}
        self._parameters = {name: one for name, one in parts.items() if isinstance(one, Parameter)}
        self._buffers = {name: one for name, one in parts.items() if type(one) is Tensor}
        self._hooks: list[Any] = []

    def parameters(self) -> Iterator[Parameter]:
        return (one for _, module in self.named_modules() for one in module._parameters.values())

    def named_modules(self, prefix: str = "") -> Iterator[tuple[str, Module]]:
        yield prefix, self
        for name, module in self._modules.items():
            yield from module.named_modules(f"{prefix}.{name}".strip("."))

    def register_forward_hook(self, hook: Any) -> None:
        self._hooks.append(hook)

    def __call__(self, *inputs: Any) -> Any:
        outputs = self.forward(*inputs)
        for hook in self._hooks:
            hook(self, inputs, outputs)
        return outputs

    def forward(self, x: Tensor) -> Tensor:
        for module in self._modules.values():
            x = module(x)
        return x


class Scale(Module):
    def __init__(self, factor: float) -> None:
        super().__init__(factor=Parameter([factor], requires_grad=True), calls=Tensor([0.0]))

    def forward(self, x: Tensor) -> Tensor:
        self._buffers["calls"].array += 1
        return Tensor(x.array * self._parameters["factor"].array)


class Optimizer:
    def __init__(self, params: Any, lr: float) -> None:
        self.param_groups = [{"params": list(params), "lr": lr}]
        self.state: dict[Any, Any] = {}

    def step(self, closure: Any = None) -> None:
        if closure:
            closure()
        (group,) = self.param_groups
        for one in group["params"]:
            self.state.setdefault(one, {"exp_avg": Tensor(one.array * 0), "step": Tensor(one.array)})
            self.state[one]["exp_avg"].array += one.grad.array
            one.array -= group["lr"] * one.grad.array


class Told:
    def __init__(self) -> None:
        self.hooks: list[Any] = []
        self.errors: list[str] = []
        self.ready_at: list[Any] = []
        self.reading: Any = None
        self.seen: list[Any] = []

    def after_import(self, module: str, function: Any) -> None:
        self.hooks.append((module, function))

    def failed(self, error: Exception) -> None:
        self.errors.append(repr(error))

    def ready(self, loop: Any) -> None:
        self.reading = loop.reading(None)
        self.weights = [one for layer in self.reading.layers() for _, one in layer.variables]
        self.ready_at = [one.tolist() for one in self.reading.read(self.weights)]

    def begin(self, loop: Any, number: int) -> None:
        self.seen.append(self.reading.begin(loop, number, True))

    def end(self, loop: Any, number: int, first: int, logs: Any) -> None:
        self.reading.end(self.seen[-1], logs)


@pytest.fixture
def told(monkeypatch: pytest.MonkeyPatch) -> Told:
    """A listener to the steps of the stand-in."""
    monkeypatch.syspath_prepend(TOOLS.parent)
    from _runner_tools.torch_steps import TorchSteps

    def backward(tensors: Any) -> None:
        """The tests set the gradients themselves."""

    class Loader:
        def __next__(self) -> Any:
            return [Tensor([9.0]), {"rows": Tensor([8.0])}]

    torch, nn, optim = ModuleType("torch"), ModuleType("torch.nn"), ModuleType("torch.optim.optimizer")
    autograd, loader = ModuleType("torch.autograd"), ModuleType("torch.utils.data.dataloader")
    for name in ("__init__", "step"):
        monkeypatch.setattr(Optimizer, name, vars(Optimizer)[name])
    monkeypatch.setattr(Module, "__call__", vars(Module)["__call__"])
    torch.__dict__.update(Tensor=Tensor, is_grad_enabled=lambda: True, no_grad=nullcontext, from_numpy=np.asarray)
    nn.__dict__.update(Module=Module, Parameter=Parameter)
    optim.__dict__.update(Optimizer=Optimizer)
    autograd.__dict__.update(backward=backward)
    loader.__dict__.update(_BaseDataLoaderIter=Loader)
    modules = (torch, nn, optim, autograd, loader)
    for module in modules:
        monkeypatch.setitem(sys.modules, module.__name__, module)
    told = Told()
    TorchSteps(told, told.failed).install(told.after_import)
    for name, hook in told.hooks:
        hook(sys.modules[name])
    return told


def train(model: Module, optimizer: Optimizer, gradient: float = 1.0) -> None:
    outputs = model(Tensor([2.0]))
    sys.modules["torch.autograd"].backward(Tensor(0.5 * outputs.array[0]))
    for one in model.parameters():
        one.grad = Tensor(one.array * 0 + gradient)
    optimizer.step()


def test_a_step_has_its_batch_output_loss_gradients_and_what_the_optimizer_keeps(told: Told) -> None:
    model = Module(first=Scale(3.0), second=Scale(5.0))
    optimizer = Optimizer(model.parameters(), 0.5)
    train(model, optimizer)
    train(model, optimizer, 2.0)
    assert told.errors == []
    assert [(layer.kind, layer.name) for layer in told.reading.layers()] == [("Scale", "first"), ("Scale", "second")]
    first, second = told.seen
    assert (first.loss, second.loss) == (15.0, 11.25)
    assert [one.tolist() for one in (*first.batch.inputs, *first.outputs)] == [[2.0], [30.0]]
    assert [one if one is None else one.tolist() for one in second.gradients] == [[2.0], None, [2.0], None]
    slots = told.reading.slots(list(enumerate(told.weights)))
    assert [(slot, one.array.tolist()) for slot, one in slots] == [(("m", 0), [3.0]), (("m", 2), [3.0])]
    assert told.reading.learning_rate() == 0.5


def test_what_is_trained_is_looked_at_before_anything_was_computed_with_it(told: Told) -> None:
    model = Module(only=Scale(3.0))
    train(model, Optimizer(model.parameters(), 0.5))
    assert told.ready_at == [[3.0], [0.0]]
    assert not hasattr(Module.__call__, "__wrapped__"), "modules are called as ever from then on"


def test_all_optimizers_that_there_are_at_the_first_call_make_one_loop(told: Told) -> None:
    one, other = Module(only=Scale(3.0)), Module(only=Scale(5.0))
    optimizers = [Optimizer(model.parameters(), rate) for model, rate in ((one, 0.5), (other, 0.25))]
    rates = []
    for model, optimizer in zip((one, other), optimizers, strict=True):
        train(model, optimizer)
        rates.append(told.reading.learning_rate())
    assert told.ready_at == [[3.0], [0.0], [5.0], [0.0]]
    assert rates == [0.5, 0.25]


def test_optimizers_that_are_made_later_are_those_of_another_loop(told: Told) -> None:
    for _ in range(2):
        model = Module(only=Scale(3.0))
        train(model, Optimizer(model.parameters(), 0.5))
    assert (len(told.seen), told.errors) == (1, [])


def test_of_a_closure_the_first_loss_counts(told: Told) -> None:
    model = Module(only=Scale(3.0))
    optimizer = Optimizer(model.parameters(), 0.5)

    def closure() -> None:
        outputs = model(Tensor([2.0]))
        sys.modules["torch.autograd"].backward(Tensor(outputs.array[0]))
        for one in model.parameters():
            one.grad = Tensor([1.0])

    optimizer.step(lambda: [closure(), closure()])
    assert (told.seen[0].loss, told.errors) == (6.0, [])


def test_plain_tensors_are_looked_at_when_their_optimizer_is_made(told: Told) -> None:
    weight = Tensor([1.0], requires_grad=True)
    optimizer = Optimizer([weight], 0.5)
    assert told.ready_at == [[1.0]]
    weight.grad = Tensor([1.0])
    optimizer.step()
    assert [(layer.kind, [role for role, _ in layer.variables]) for layer in told.reading.layers()] == [
        ("Tensor", ["tensor-1"])
    ]
    assert told.seen[0].gradients[0].tolist() == [1.0]


def test_the_batch_is_what_the_loader_gave_where_there_is_one(told: Told) -> None:
    model = Module(only=Scale(3.0))
    optimizer = Optimizer(model.parameters(), 0.5)
    next(sys.modules["torch.utils.data.dataloader"]._BaseDataLoaderIter())
    train(model, optimizer)
    train(model, optimizer)
    assert [[one.tolist() for one in seen.batch.inputs] for seen in told.seen] == [[[9.0], [8.0]], [[2.0]]]


def test_weights_are_set_in_their_place(told: Told) -> None:
    model = Module(only=Scale(3.0))
    train(model, Optimizer(model.parameters(), 0.5))
    told.reading.write([(told.weights[0], np.array([7.0]))])
    assert model._modules["only"]._parameters["factor"].array.tolist() == [7.0]
