"""The losses that PyTorch's gradients are taken of, by what is trained with them."""

import weakref
from functools import partial

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from .step_loop import StepLoop


LOOKED_AT = 8
"""So many parameters are looked at beside the first one that gets gradients."""


class Trained:
    """What an optimizer trains, or what a loss depends on where there is none, and the losses since its last step."""

    def __init__(self, owner: "Any", ended: "Any", variables: "Any" = None, module: "Any" = None) -> None:
        self.owner = weakref.ref(owner, partial(ended, self))  # called before what the owner holds is gone
        self.loop: Any = None
        self.module: Any = (lambda: None) if module is None else weakref.ref(module)
        self.losses: list[Any] = []
        self.kind: Any = None
        """The operation that the loss is the result of, by its name."""
        self.is_taken = False
        """True where a step was taken with these losses, or never will be."""
        self.steps = 0
        """The number of calls of `step`."""
        self.dropped = 2
        """The number of times since the latest call of `step` that losses were dropped without one; where it is more
        than one, the weights are looked at."""
        self.taken_elsewhere = 0
        """The number of steps that others than PyTorch's optimizers had taken when the latest loss was told."""
        self.gradients: Any = None
        """As they were at the latest loss."""
        self.weights: Any = None
        """As they were after the latest loss, where they are looked at."""
        self.initial: Any = None
        """Digest and norm of the weights, as they were at the first loss."""
        self.groups = 0
        self._variables: list[Any] = []
        self._looked_at: list[Any] = []
        if variables is not None:
            self._take(variables)

    def optimizer(self) -> "Any":
        """The optimizer; None where there is none, or it is gone."""
        owner = self.owner()
        return owner if hasattr(owner, "param_groups") else None

    def has_grown(self) -> bool:
        """True where the optimizer has other groups of parameters than when it was looked at last; looks at them."""
        owner: Any = self.optimizer()
        if owner is None or len(owner.param_groups) == self.groups:
            return False
        self._take([parameter for group in owner.param_groups for parameter in group["params"]])
        self.groups = len(owner.param_groups)
        return True

    def variables(self) -> "list[Any]":
        """What is trained and still there."""
        return [variable for variable in (reference() for reference in self._variables) if variable is not None]

    def look_at(self, variable: "Any") -> None:
        """Look at the gradient of this one too, from its next loss on."""
        if all(reference() is not variable for reference in self._looked_at):
            self._looked_at = [*self._looked_at[:LOOKED_AT], weakref.ref(variable)]

    def state_of_gradients(self) -> "Any":
        """Differs where gradients were added to, set to zero or taken away."""
        found: list[Any] = []
        for reference in self._looked_at:
            gradient = getattr(reference(), "grad", None)
            found.append(None if gradient is None else gradient._version)
        return found

    def state_of_weights(self) -> "Any":
        """Differs where the weights were changed."""
        found: list[Any] = []
        for reference in self._looked_at:
            variable: Any = reference()
            if variable is not None:
                found.append(variable._version)
                if variable.device.type == "cpu" and str(variable.layout) == "torch.strided":
                    found.append(variable.detach().reshape(-1)[:8].tolist())
        return found

    def before_loss(self) -> None:
        """A loss is about to be added to the gradients; losses whose gradients are gone, or were used, are dropped."""
        gradients = self.state_of_gradients()
        if self.is_taken or (self.losses and gradients != self.gradients):
            self.dropped += not self.is_taken
            self.forget()
        self.gradients = gradients

    def take_step(self) -> None:
        """A call of `step` is over, or as good as over."""
        self.steps += 1
        self.dropped, self.weights = 0, None
        self.is_taken = True

    def forget(self) -> None:
        """Drop the losses."""
        self.losses, self.is_taken = [], False

    def _take(self, variables: "Any") -> None:
        self._variables = [weakref.ref(variable) for variable in variables]
        wanting = [reference for reference in self._variables if getattr(reference(), "requires_grad", False)]
        self._looked_at = (wanting[:1] + wanting[1:][-1:]) or self._variables[:1]


class Step:
    """A call of `step` that has begun."""

    def __init__(self, trained: "Trained", loop: "StepLoop") -> None:
        self.trained = trained
        self.loop = loop
        self._before = [] if trained.is_taken else trained.losses
        self._first: list[Any] = []

    def evaluated(self) -> None:
        """A loss was told inside of the step, by a closure; of several evaluations the first one counts."""
        if not self._first:
            losses = self.trained.losses
            self._first = list(self._before if self._before and len(losses) < 2 else losses)

    def losses(self) -> "list[Any]":
        """The losses that the step is taken with; their sum is the one whose gradient it is."""
        return self._first or self._before


def value_of(tensors: "Any", factors: "Any", scale: "Any") -> "Any":
    """The number whose gradient `backward` takes; None where it is none, a tensor where it lies on another device.

    `factors` are the gradients that it is given, `scale` what a scaler multiplied the loss with.
    """
    several = isinstance(tensors, (list, tuple))
    given = factors if isinstance(factors, (list, tuple)) else [factors]
    total: Any = 0.0
    for number, tensor in enumerate(tensors if several else [tensors]):
        if not hasattr(tensor, "numel") or tensor.numel() != 1 or tensor.is_complex():
            return None
        factor = given[number] if number < len(given) else None
        found = _number(tensor)
        total = total + (found if factor is None else found * _number(factor))
    factor = 1.0 if scale is None else _number(scale)
    return float("nan") if isinstance(factor, float) and not factor else total / factor


def _number(tensor: "Any") -> "Any":
    """A float; of a tensor on another device, which one would have to wait for, the tensor."""
    if tensor.device.type == "cpu":
        return float(tensor.item())
    return tensor.detach().reshape(())
