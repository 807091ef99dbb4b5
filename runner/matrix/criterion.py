"""The criterion's grammar: `loss < 1e-4`, `val_accuracy >= 0.9`, `loss < 1e-4 within 5 epochs`; never eval."""

from __future__ import annotations

import enum
import math
import re
from dataclasses import dataclass

from runner.errors import UsageError
from runner.plurals import counted


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


class CriterionError(UsageError):
    """A criterion does not parse; `column` counts from 1 within its text."""

    def __init__(self, message: str, column: int) -> None:
        self.column = column
        super().__init__(message)


_TOKENS = (
    (re.compile(r"[A-Za-z_][A-Za-z0-9_./]*"), "the name of a metric"),
    (re.compile(r"<=|>=|<|>"), "<, <=, > or >="),
    (re.compile(r"[+-]?(?:[0-9]+(?:\.[0-9]*)?|\.[0-9]+)(?:[eE][+-]?[0-9]+)?"), "a number"),
    (re.compile(r"within"), "the end or 'within N epochs'"),
    (re.compile(r"[1-9][0-9]{0,8}(?![0-9])"), "a whole number of epochs from 1 on"),
    (re.compile(r"epochs?"), "the word 'epochs'"),
)
"""What a criterion consists of, in its order, and what to call it; it may end before `within`."""
_BEFORE_WITHIN = 3
_BLANK = re.compile(r"\s*")

_ONE_LINE = str.maketrans("\n\r", "  ")
"""So that a column is an offset."""

EXAMPLE = "write it like 'loss < 1e-4' or 'val_accuracy >= 0.9 within 5 epochs'"


def parse(text: str) -> Comparison:
    """Read one criterion.

    Raises CriterionError, which says what was expected at which column.
    """
    text = text.translate(_ONE_LINE)
    found = _tokens(text)
    metric, operator, number = found[:_BEFORE_WITHIN]
    return Comparison(
        metric=metric[0],
        operator=Operator(operator[0]),
        target=_finite(number),
        within=int(found[_BEFORE_WITHIN + 1][0]) if found[_BEFORE_WITHIN:] else None,
    )


def _tokens(text: str) -> list[re.Match[str]]:
    """The tokens of a criterion: all of them, or those before `within`."""
    found: list[re.Match[str]] = []
    offset = _after_blanks(text, 0)
    for pattern, expected in _TOKENS:
        if len(found) == _BEFORE_WITHIN and offset == len(text):
            return found
        token = pattern.match(text, offset)
        if token is None:
            raise _unexpected(text, offset, expected)
        found.append(token)
        offset = _after_blanks(text, token.end())
    if offset < len(text):
        raise _unexpected(text, offset, "the end")
    return found


def _after_blanks(text: str, offset: int) -> int:
    blank = _BLANK.match(text, offset)
    return blank.end() if blank else offset


def _finite(number: re.Match[str]) -> float:
    target = float(number[0])
    if not math.isfinite(target):
        raise CriterionError(f"{number[0]!r} is too large for a number", number.start() + 1)
    return target


def _unexpected(text: str, offset: int, expected: str) -> CriterionError:
    rest = text[offset:].split()
    found = repr(rest[0][:20]) if rest else "the end"
    return CriterionError(f"the criterion {text[:60]!r} does not parse: expected {expected}, found {found}", offset + 1)
