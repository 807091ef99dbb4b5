"""What the comparison of two traces found: the first step and the first quantity that differ, with both values."""

from __future__ import annotations

import enum
from dataclasses import dataclass


class Where(enum.StrEnum):
    """Where two trainings part."""

    NOWHERE = "nowhere"
    INITIAL_WEIGHTS = "initial weights"
    BATCHES = "batches"
    STEP = "step"
    INCOMPARABLE = "incomparable"
    """There is no step, or no weight, that both traces have."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Quantity:
    """One thing that both traces have at each step."""

    what: str
    """"learning rate", "output", "loss", "update", "weight", "state", or the kind of an optimizer's slot."""
    role: str = ""
    layer: str = ""
    """The layer's class and its name in the good cell."""

    def __str__(self) -> str:
        """In words: `the update of the recurrent kernel of SimpleRNN rnn_layer_1`."""
        if not self.role:
            return f"the {self.what}"
        return f"the {self.what} of the {self.role.replace('_', ' ')} of {self.layer}"


@dataclass(frozen=True, kw_only=True, slots=True)
class Compared:
    """One quantity at one step in both cells."""

    quantity: Quantity
    good: float
    bad: float
    shown: str = ""
    """What of the quantity the two values are: "norm", "element 3", "projection"; empty for the quantity itself."""
    off: float = 0.0
    """How far apart the two are at most."""
    tolerance: float = 0.0
    """How far apart rounding, and the same cell run again, can take them."""

    @property
    def agrees(self) -> bool:
        """Whether the difference may be rounding."""
        return not self.off > self.tolerance

    def __str__(self) -> str:
        """In words: `the loss (0.031 against 0.047)`."""
        shown = f"{self.shown} " if self.shown else ""
        return f"{self.quantity} ({shown}{_number(self.good)} against {_number(self.bad)})"


@dataclass(frozen=True, kw_only=True)
class TraceDifference:
    """Where two trainings part first."""

    where: Where
    step: int = 0
    """The first step at which anything differs; 0 where none does."""
    differ: tuple[Compared, ...] = ()
    """What differs at that step, in causal order: the first is where it begins."""
    agree: tuple[Compared, ...] = ()
    """What agrees at that step."""
    recorded: int = 0
    """How many steps both traces have."""
    last: int = 0
    """The last of them."""
    only_good: tuple[str, ...] = ()
    """What only the good cell has: named, not compared."""
    only_bad: tuple[str, ...] = ()
    remarks: tuple[str, ...] = ()
    """What limits the comparison, in sentences."""

    @property
    def first(self) -> Compared | None:
        """The first quantity that differs."""
        return self.differ[0] if self.differ else None

    def sentence(self) -> str:
        """The finding in one or a few sentences."""
        parts = [self._finding()]
        if self.only_good:
            parts.append(f"Only the good cell has {_listed(self.only_good)}.")
        if self.only_bad:
            parts.append(f"Only the bad cell has {_listed(self.only_bad)}.")
        return " ".join([*parts, *self.remarks])

    def _finding(self) -> str:
        if self.where is Where.INCOMPARABLE:
            return "The two trainings can't be compared step by step."
        if self.where is Where.NOWHERE:
            return f"The two agree over all {self.recorded} recorded steps (the last is step {self.last})."
        if self.where is Where.BATCHES:
            return f"Step {self.step}: the two are trained on different batches, so nothing is said of what follows."
        if self.where is Where.INITIAL_WEIGHTS:
            return (
                f"The two start from different initial weights ({_listed(tuple(map(str, self.differ)))}), so nothing "
                "is said of what follows."
            )
        return f"Step {self.step}: {self._agreeing()}{self._differing()}"

    def _agreeing(self) -> str:
        """What comes before the first difference in causal order and agrees; weights by how many."""
        plain = [one.quantity.what for one in self.agree if not one.quantity.role]
        if not plain:
            return ""
        return f"{' and '.join(filter(None, [', '.join(plain[:-1]), plain[-1]]))} agree{'s' * (len(plain) == 1)}; "

    def _differing(self) -> str:
        first, *others = self.differ
        text = f"{first.quantity} differs ({_values(first)})"
        rest = [other for other in others if other.quantity.what != "weight"]
        if rest:
            text += f", and so {'do' if len(rest) > 1 else 'does'} {_listed(tuple(map(str, rest)))}"
        return text + ("; all else agrees." if any(one.quantity.role for one in self.agree) else ".")


def _values(one: Compared) -> str:
    shown = f"{one.shown} " if one.shown else ""
    return f"{shown}{_number(one.good)} against {_number(one.bad)}"


def _number(value: float) -> str:
    return f"{value:.4g}"


def _listed(names: tuple[str, ...]) -> str:
    if len(names) > 6:
        return f"{', '.join(names[:5])} and {len(names) - 5} more"
    return ", ".join(names[:-1]) + (" and " if len(names) > 1 else "") + names[-1]
