"""The criterion's grammar: `loss < 1e-4`, `loss < 1e-4 within 5 epochs`, `seconds < 1.5x baseline`; never eval."""

from __future__ import annotations

import enum
import math
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, cast

from runner.errors import UsageError
from runner.plurals import counted

if TYPE_CHECKING:
    from lark import Lark, Token


class Operator(enum.Enum):
    """The comparison of a metric with its target."""

    LESS = "<"
    LESS_EQUAL = "<="
    GREATER = ">"
    GREATER_EQUAL = ">="

    @property
    def minimises(self) -> bool:
        """True where smaller values of the metric are better."""
        return self in {Operator.LESS, Operator.LESS_EQUAL}


@dataclass(frozen=True, kw_only=True, slots=True)
class Comparison:
    """One target: `metric` must be `operator` `target`, at the end or `within` that many epochs."""

    metric: str
    operator: Operator
    target: float
    within: int | None = None

    def __str__(self) -> str:
        """The text that `parse` reads back to the same comparison."""
        text = f"{self.metric} {self.operator.value} {repr(self.target).removesuffix('.0')}"
        if self.within is None:
            return text
        return f"{text} within {counted(self.within, 'epoch')}"


class Measure(enum.StrEnum):
    """What a trial costs."""

    SECONDS = "seconds"
    """Of the whole trial."""
    EPOCH = "epoch"
    """The median seconds of an epoch, the first one left out."""
    MEMORY = "memory"
    """The most memory that it held."""

    @property
    def exceeded(self) -> str:
        """What a trial does that is above a limit of it; this is also how such failures are told apart."""
        noun = {Measure.SECONDS: "time", Measure.EPOCH: "time an epoch", Measure.MEMORY: "memory"}[self]
        return f"takes more {noun} than it may"


@dataclass(frozen=True, kw_only=True, slots=True)
class CostLimit:
    """What a trial may cost: less than `factor` times what the baseline's trials do."""

    measure: Measure
    factor: float
    bands: tuple[tuple[str, float, float], ...] | None = None
    """Where the limit lies on each kind of machine, in seconds or bytes, as far as the noise of the baseline lets it be
    known; None: nobody has looked yet."""

    def __str__(self) -> str:
        """The text that `parse` reads back to the same limit, but for the bands."""
        return f"{self.measure} < {repr(self.factor).removesuffix('.0')}x baseline"


class CriterionError(UsageError):
    """A criterion does not parse; `column` counts from 1 within its text."""

    def __init__(self, message: str, column: int) -> None:
        self.column = column
        super().__init__(message)


_GRAMMAR = r"""
?start: level | limit
level: METRIC OPERATOR NUMBER [_WITHIN EPOCHS _UNIT]
limit: METRIC OPERATOR NUMBER _TIMES
METRIC: /[A-Za-z_][A-Za-z0-9_.\/]*/
OPERATOR: "<=" | ">=" | "<" | ">"
NUMBER: /[+-]?([0-9]+(\.[0-9]*)?|\.[0-9]+)([eE][+-]?[0-9]+)?/
_TIMES: /x\s+baseline(?!\w)/
_WITHIN: "within"
EPOCHS: /[1-9][0-9]{0,8}(?![0-9])/
_UNIT: /epochs?/
%ignore /\s+/
"""

_EXPECTED = {
    "METRIC": "the name of a metric",
    "OPERATOR": "<, <=, > or >=",
    "NUMBER": "a number",
    "_WITHIN": "the end or 'within N epochs'",
    "EPOCHS": "a whole number of epochs from 1 on",
    "_UNIT": "the word 'epochs'",
}

_ONE_LINE = str.maketrans("\n\r", "  ")
"""So that a column is an offset."""

EXAMPLE = "write it like 'loss < 1e-4' or 'val_accuracy >= 0.9 within 5 epochs'"


@cache
def _parser() -> Lark:
    from lark import Lark  # noqa: PLC0415 - a matrix without a criterion needs no parser

    return Lark(_GRAMMAR, parser="lalr")


def parse(text: str) -> Comparison | CostLimit:
    """Read one criterion.

    Raises CriterionError, which says what was expected at which column.
    """
    from lark import UnexpectedCharacters, UnexpectedToken  # noqa: PLC0415 - as above

    text = text.translate(_ONE_LINE)
    try:
        tree = _parser().parse(text)
    except UnexpectedCharacters as error:
        raise _unexpected(text, error.column - 1, error.allowed) from None
    except UnexpectedToken as error:
        at_end = error.token.type == "$END"
        raise _unexpected(text, len(text) if at_end else error.column - 1, error.expected) from None
    if tree.data == "limit":
        return _limit(*cast("tuple[Token, Token, Token]", tree.children))
    metric, operator, number, epochs = cast("tuple[Token, Token, Token, Token | None]", tree.children)
    return Comparison(
        metric=str(metric),
        operator=Operator(str(operator)),
        target=_finite(number),
        within=int(epochs) if epochs is not None else None,
    )


def _limit(measure: Token, operator: Token, number: Token) -> CostLimit:
    if measure not in set(Measure):
        message = f"only {', '.join(Measure)} are held against the baseline's, and not {str(measure)!r}"
        raise CriterionError(message, (measure.start_pos or 0) + 1)
    if operator != Operator.LESS.value:
        raise CriterionError("a limit that the baseline sets is written with <", (operator.start_pos or 0) + 1)
    factor = _finite(number)
    if factor <= 1:
        message = f"the limit is what the baseline takes times a number above 1, and not {number!s}"
        raise CriterionError(message, (number.start_pos or 0) + 1)
    return CostLimit(measure=Measure(str(measure)), factor=factor)


def _finite(number: Token) -> float:
    target = float(number)
    if not math.isfinite(target):
        raise CriterionError(f"{str(number)!r} is too large for a number", (number.start_pos or 0) + 1)
    return target


def _unexpected(text: str, offset: int, expected: set[str]) -> CriterionError:
    wanted = next((words for name, words in _EXPECTED.items() if name in expected), "something else")
    rest = text[offset:].split()
    found = repr(rest[0][:20]) if rest else "the end"
    return CriterionError(f"the criterion {text[:60]!r} does not parse: expected {wanted}, found {found}", offset + 1)
