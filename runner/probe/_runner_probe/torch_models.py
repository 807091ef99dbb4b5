"""What is read of PyTorch's modules, optimizers and losses; no mode, class or graph of the script's own sees it."""

import gc
import hashlib
import json
import sys

from . import phases

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from typing import Any

    from .torch_guards import Guards

PLAIN = (bool, int, float, str, type(None))
NODES = 5000
"""So many nodes of a loss's graph are looked at for the tensors that it depends on."""
WIDER = ("torch.bfloat16", "torch.float8")
"""Types of numbers that NumPy lacks; float32 holds all of theirs."""


def reader(guards: "Guards") -> "Callable[[Any], Any]":
    """Reads tensors as NumPy arrays, one after the other."""
    array = guards.hidden(_array)
    return lambda variables: map(array, variables)


def _array(tensor: "Any") -> "Any":
    found = tensor.detach()
    if str(found.layout) != "torch.strided":
        found = found.to_dense()
    if str(found.dtype).startswith(WIDER):
        found = found.float()
    return found.cpu().numpy()


def architecture(module: "Any", variables: "Any") -> str:
    """SHA-256 (hex) over the classes of all modules inside of one, and its weights' shapes."""
    shapes = [[int(length) for length in one.shape] for one in variables]
    classes = [type(one).__name__ for one in module.modules()]
    return hashlib.sha256(json.dumps([classes, shapes]).encode("ascii")).hexdigest()


def rate_of(reference: "Any") -> "float | None":
    """The learning rate of the first group of an optimizer; None where that is gone."""
    optimizer = reference()
    rate = None if optimizer is None else optimizer.param_groups[0].get("lr")
    return None if rate is None else float(rate)


def module_behind(parameters: "Any") -> "Any":
    """The module whose `parameters()` was called for this generator, before the first one is taken; else None."""
    frame = getattr(parameters, "gi_frame", None)
    module = None if frame is None else frame.f_locals.get("self")
    return module if hasattr(module, "named_parameters") else None


def module_of(variables: "Any") -> "Any":
    """The smallest living module that has all of these parameters, or else the largest that has the first one."""
    if not is_parameter(variables[0]):
        return None
    kind: Any = sys.modules["torch.nn.modules.module"].Module
    alive = [one for one in gc.get_objects() if issubclass(type(one), kind)]
    parents = {id(child): one for one in alive for child in vars(one).get("_modules", {}).values()}
    wanted = {id(variable) for variable in variables}
    seen: set[int] = set()
    found = None
    one = next((one for one in alive if any(own is variables[0] for own in _own_parameters(one))), None)
    while one is not None and id(one) not in seen:
        seen.add(id(one))
        found = one
        if wanted <= {id(parameter) for parameter in one.parameters()}:
            break
        one = parents.get(id(one))
    return found


def config_texts(module: "Any", optimizer: "Any", loss: "Any") -> "list[tuple[str, str]]":
    """(what, JSON text) of a module with all modules inside of it, an optimizer and a loss, where they are known.

    A loss is a module, or the name of the operation that it is the result of.
    """
    found: list[tuple[str, Any]] = []
    if module is not None:
        layers = [_config(one, _settings(vars(one))) for one in module.modules()]
        found.append(("model", _config(module, {"layers": layers[1:] or layers})))
    if optimizer is not None:
        groups = [_settings(group, without=("params", "initial_lr")) for group in optimizer.param_groups]
        found.append(("optimizer", _config(optimizer, dict(groups[0], **({"groups": groups} if groups[1:] else {})))))
    if isinstance(loss, str):
        found.append(("loss", {"class_name": loss, "config": {}}))
    elif loss is not None:
        found.append(("loss", _config(loss, _settings(vars(loss)))))
    return [(what, json.dumps(config, sort_keys=True)[: phases.CONFIG_BYTES]) for what, config in found]


def graph(tensor: "Any", most: int = NODES) -> "Iterator[Any]":
    """The nodes of the graph that a tensor is the result of, nearest first, up to so many."""
    waiting: list[Any] = [tensor.grad_fn]
    seen: set[Any] = set()
    while waiting and len(seen) < most:
        node = waiting.pop(0)
        if node is None or node in seen:
            continue
        seen.add(node)
        yield node
        waiting += [before for before, _ in node.next_functions]


def leaves(tensor: "Any") -> "list[Any]":
    """The tensors whose gradients `backward` fills in."""
    return [node.variable for node in graph(tensor) if hasattr(node, "variable")]


def is_parameter(tensor: "Any") -> bool:
    """True for what a module may hold as its own."""
    return type(tensor).__name__ == "Parameter" or bool(getattr(tensor, "_is_param", False))


def loss_name(tensor: "Any") -> "str | None":
    """`MseLoss`: the nearest operation that is a loss by its name, among the last ones before a tensor."""
    for node in graph(tensor, 20):
        name = type(node).__name__.partition("Backward")[0]
        if "Loss" in name or "CrossEntropy" in name:
            return name
    return None


def _own_parameters(module: "Any") -> "Any":
    return vars(module).get("_parameters", {}).values()


def _config(thing: "Any", config: "Any") -> "dict[str, Any]":
    return {"class_name": type(thing).__name__, "config": config}


def _settings(values: "Any", without: "Any" = ("training",)) -> "dict[str, Any]":
    """What of an object's values is a setting that JSON can hold."""
    found = {}
    for name, value in values.items():
        if name.startswith("_") or name in without:
            continue
        if type(value).__name__ in ("Tensor", "Parameter") and getattr(value, "numel", int)() == 1:
            value = float(value)  # noqa: PLW2901 - a learning rate may be a tensor
        if type(value) in PLAIN or (type(value) in (list, tuple) and all(type(one) in PLAIN for one in value)):
            found[name] = value
    return found
