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
    NEITHER = "neither leads"
    TOO_FEW = "too few to say"
    """Fewer than 4 trials count."""


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
            case Standing.FAILURE | Standing.BREAK:
                return cls(OutcomeKind.BAD, label)
            case Standing.BLOCKED:
                return cls(OutcomeKind.UNTESTABLE, label)
            case Standing.NOT_COUNTED:
                raise ValueError(f"trials labelled {label} do not count, so they decide no cell")
            case unexpected:
                assert_never(unexpected)

    @classmethod
    def parse(cls, text: str) -> Outcome:
        """The outcome that `str` printed, or an earlier version's. Raises ValueError for any other text."""
        try:
            return _BY_TEXT[text]
        except KeyError:
            raise ValueError(f"{text!r} is not an outcome; the outcomes are {', '.join(map(str, OUTCOMES))}") from None

    @property
    def flaky(self) -> bool:
        """True where some trials succeed and others fail."""
        return isinstance(self.reason, Leaning)

    @property
    def breaks(self) -> bool:
        """True of a bad cell whose trials end in a way that is not training: an exception, a limit."""
        return isinstance(self.reason, Label) and standing(self.reason) is Standing.BREAK

    def meets(self, expected: str) -> bool:
        """True where this is what `expect:` asks for: one outcome, or `breaks`, `flaky`, `blocked` for all of these.

        `fails` is every bad outcome: what breaks has failed too.

        Raises ValueError for text that `expect:` does not allow.
        """
        match expected:
            case "fails":
                return self.kind is OutcomeKind.BAD
            case "breaks":
                return self.breaks
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
                return f"{'breaks' if self.breaks else 'fails'} ({self.reason})"
            case OutcomeKind.UNTESTABLE:
                return f"blocked ({self.reason})"
            case OutcomeKind.UNDECIDED:
                return f"flaky ({self.reason})" if self.flaky else str(self.reason or _UNDECIDED)
            case _:
                assert_never(self.kind)

    def told(self, succeeded: int, counted: int) -> str:
        """The outcome of a cell of which so many trials succeeded: `flaky (5 of 10)`, `1 of 2: too few to say`."""
        match self.reason:
            case Leaning.TOO_FEW:
                return f"{succeeded} of {counted}: {self.reason}"
            case Leaning.NEITHER:
                return f"flaky ({succeeded} of {counted})"
            case _:
                return str(self)

    def short(self, succeeded: int, counted: int, exception: str = "") -> str:
        """The part that a symbol leaves open: `nan`, `install-failed`, `5 of 10`.

        Where an exception broke the cell, its type: `KeyError`.
        """
        if self.flaky:
            return f"{succeeded} of {counted}"
        if self.breaks and exception:
            return exception.rpartition(".")[2]
        if self.kind in {OutcomeKind.BAD, OutcomeKind.UNTESTABLE}:
            return str(self.reason).removeprefix("crashed-")
        return str(self)

    @property
    def _fits(self) -> bool:
        match self.kind:
            case OutcomeKind.GOOD:
                wanted = {Standing.SUCCESS}
            case OutcomeKind.BAD:
                wanted = {Standing.FAILURE, Standing.BREAK}
            case OutcomeKind.UNTESTABLE:
                wanted = {Standing.BLOCKED}
            case OutcomeKind.UNDECIDED:
                return self.reason is None or isinstance(self.reason, Leaning | Absence)
            case _:
                assert_never(self.kind)
        return isinstance(self.reason, Label) and standing(self.reason) in wanted


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
_EARLIER = {
    **{
        f"{word} ({label})": Outcome.of_label(label)
        for word, label in (
            ("fails", Label.CRASHED_TRAINING),
            ("blocked", Label.CRASHED_IMPORT),
            ("blocked", Label.CRASHED_BUILD_MODEL),
        )
    },
    "flaky (coin flip)": Outcome(OutcomeKind.UNDECIDED, Leaning.NEITHER),
}
"""What results of earlier versions call outcomes that have another name now."""
_BY_TEXT = {**_EARLIER, **{str(outcome): outcome for outcome in OUTCOMES}}


class Footing(enum.Enum):
    """The question that a pair of outcomes allows."""

    BLOCKED = "a side can't be tested"
    BREAKS = "one breaks, the other succeeds"
    APART = "one succeeds, the other fails"
    SUCCEED = "both succeed"
    FAIL = "both fail"
    UNSURE = "a side is undecided"


def footing(one: Outcome, other: Outcome) -> Footing:
    """The question that two outcomes allow when they are compared; whoever adds a kind of outcome must decide here.

    That one breaks where the other succeeds is no matter of how often: it needs no statistics.
    """
    match one.kind, other.kind:
        case (OutcomeKind.UNTESTABLE, _) | (_, OutcomeKind.UNTESTABLE):
            return Footing.BLOCKED
        case (OutcomeKind.UNDECIDED, _) | (_, OutcomeKind.UNDECIDED):
            return Footing.UNSURE
        case (OutcomeKind.GOOD, OutcomeKind.GOOD | OutcomeKind.BAD):
            return Footing.SUCCEED if other.kind is one.kind else _apart(one, other)
        case (OutcomeKind.BAD, OutcomeKind.GOOD | OutcomeKind.BAD):
            return Footing.FAIL if other.kind is one.kind else _apart(one, other)
        case unexpected:
            assert_never(unexpected)


def _apart(one: Outcome, other: Outcome) -> Footing:
    return Footing.BREAKS if one.breaks or other.breaks else Footing.APART
