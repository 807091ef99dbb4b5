"""The outcome of a cell as a value: a kind and a typed reason; text is made of it where it is shown, and only there."""

from __future__ import annotations

import enum
from dataclasses import dataclass
from typing import assert_never

from runner.outcomes.verdict import Label, Standing, standing


class OutcomeKind(enum.StrEnum):
    """All that searches and comparisons see of an outcome."""

    GOOD = "good"
    BAD = "bad"
    UNDECIDED = "undecided"
    UNTESTABLE = "untestable"


class Leaning(enum.StrEnum):
    """The leaning of a cell of which some trials succeed and others fail."""

    CONVERGES = "mostly converges"
    SETTLES = "mostly settles"
    FAILS = "mostly fails"
    COIN_FLIP = "coin flip"


class Absence(enum.StrEnum):
    """Why there is nothing to judge a cell by."""

    NOT_RUN = "not run"


Reason = Label | Leaning | Absence | None
"""A trial label of a good, bad or untestable cell; of an undecided one where it leans, None where it lacks trials."""
_UNDECIDED = "undecided"


@dataclass(frozen=True, slots=True)
class Outcome:
    """The outcome of a cell. Raises ValueError for a reason that does not go with the kind."""

    kind: OutcomeKind
    reason: Reason = None

    def __post_init__(self) -> None:
        """Refuse a reason of another kind."""
        if not self._fits:
            raise ValueError(f"the reason {self.reason!r} does not go with the kind {self.kind!r}")

    @classmethod
    def of_label(cls, label: Label) -> Outcome:
        """The outcome of a cell whose trials decide it with this label. Raises ValueError for one that decides none."""
        match standing(label):
            case Standing.SUCCESS:
                return cls(OutcomeKind.GOOD, label)
            case Standing.FAILURE:
                return cls(OutcomeKind.BAD, label)
            case Standing.BLOCKED:
                return cls(OutcomeKind.UNTESTABLE, label)
            case Standing.NOT_COUNTED:
                raise ValueError(f"trials labelled {label} do not count, so they decide no cell")
            case unexpected:
                assert_never(unexpected)

    @classmethod
    def parse(cls, text: str) -> Outcome:
        """The outcome that `str` printed. Raises ValueError for any other text."""
        try:
            return _BY_TEXT[text]
        except KeyError:
            raise ValueError(f"{text!r} is not an outcome; the outcomes are {', '.join(_BY_TEXT)}") from None

    @property
    def flaky(self) -> bool:
        """True where some trials succeed and others fail."""
        return isinstance(self.reason, Leaning)

    def meets(self, expected: str) -> bool:
        """True where this is what `expect:` asks for: one outcome, or `fails`, `flaky`, `blocked` for all of these.

        Raises ValueError for text that `expect:` does not allow.
        """
        match expected:
            case "fails":
                return self.kind is OutcomeKind.BAD
            case "flaky":
                return self.flaky
            case "blocked":
                return self.kind is OutcomeKind.UNTESTABLE
            case _:
                return self == Outcome.parse(expected)

    def __str__(self) -> str:
        match self.kind:
            case OutcomeKind.GOOD:
                return "settles" if self.reason is Label.SETTLED else "converges"
            case OutcomeKind.BAD:
                return f"fails ({self.reason})"
            case OutcomeKind.UNTESTABLE:
                return f"blocked ({self.reason})"
            case OutcomeKind.UNDECIDED:
                return f"flaky ({self.reason})" if self.flaky else str(self.reason or _UNDECIDED)
            case _:
                assert_never(self.kind)

    @property
    def _fits(self) -> bool:
        match self.kind:
            case OutcomeKind.GOOD:
                wanted = Standing.SUCCESS
            case OutcomeKind.BAD:
                wanted = Standing.FAILURE
            case OutcomeKind.UNTESTABLE:
                wanted = Standing.BLOCKED
            case OutcomeKind.UNDECIDED:
                return self.reason is None or isinstance(self.reason, Leaning | Absence)
            case _:
                assert_never(self.kind)
        return isinstance(self.reason, Label) and standing(self.reason) is wanted


UNDECIDED = Outcome(OutcomeKind.UNDECIDED)
"""Too few trials count."""
NOT_RUN = Outcome(OutcomeKind.UNDECIDED, Absence.NOT_RUN)
"""There is no trial at all."""
OUTCOMES: tuple[Outcome, ...] = (
    *(Outcome.of_label(label) for label in Label if standing(label) is not Standing.NOT_COUNTED),
    *(Outcome(OutcomeKind.UNDECIDED, leaning) for leaning in Leaning),
    UNDECIDED,
    NOT_RUN,
)
"""Every outcome that a cell can have."""
_BY_TEXT = {str(outcome): outcome for outcome in OUTCOMES}


class Footing(enum.Enum):
    """The question that a pair of outcomes allows."""

    BLOCKED = "a side can't be tested"
    APART = "one succeeds, the other fails"
    SUCCEED = "both succeed"
    FAIL = "both fail"
    UNSURE = "a side is undecided"


def footing(one: OutcomeKind, other: OutcomeKind) -> Footing:
    """The question that two outcomes allow when they are compared; whoever adds a kind of outcome must decide here."""
    match one, other:
        case (OutcomeKind.UNTESTABLE, _) | (_, OutcomeKind.UNTESTABLE):
            return Footing.BLOCKED
        case (OutcomeKind.UNDECIDED, _) | (_, OutcomeKind.UNDECIDED):
            return Footing.UNSURE
        case (OutcomeKind.GOOD, OutcomeKind.GOOD | OutcomeKind.BAD):
            return Footing.SUCCEED if other is one else Footing.APART
        case (OutcomeKind.BAD, OutcomeKind.GOOD | OutcomeKind.BAD):
            return Footing.FAIL if other is one else Footing.APART
        case unexpected:
            assert_never(unexpected)
