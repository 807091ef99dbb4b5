"""What two trials gave their trainings and got from them, as the prelude `calls` wrote it: the first that differs.

The file is read as data that someone may have made up. What differs between two runs of one cell is no difference.
"""

from __future__ import annotations

import enum
import math
import re
from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING, Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from runner import foreign_json
from runner.errors import RunnerError
from runner.outcomes.series import canonical

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

MAX_BYTES = 16 * 1024**2
MAX_LINES = 5000
_CLOSE = 1e-3
"""What callbacks and calls return is alike within this share: the training before them agrees up to rounding only."""

_RETURNED = re.compile(r"returned\[(\w+)\]")
_Text = Annotated[str, Field(max_length=600)]


class CallsError(RunnerError):
    """A file has no observations that could be read."""


class Stage(enum.StrEnum):
    """When something was seen."""

    GIVEN = "given"
    TOLD = "told"
    DID = "did"
    RETURNED = "returned"
    TOOK = "took"


class SeenValue(BaseModel):
    """One thing that was seen: an array, a number or a text, at a place that is the same in both trials."""

    model_config = ConfigDict(frozen=True, extra="ignore", allow_inf_nan=True)

    kind: Stage
    place: _Text
    text: _Text | None = None
    number: float | None = None
    of: _Text = ""
    shape: Annotated[tuple[int, ...], Field(max_length=16)] = ()
    dtype: _Text = ""
    digest: _Text = ""
    parts: Annotated[tuple[_Text, ...], Field(max_length=100)] = ()
    head: Annotated[tuple[float | bool | _Text, ...], Field(max_length=1000)] = ()
    not_finite: int = 0
    note: _Text = ""

    @property
    def is_array(self) -> bool:
        """True where it is an array."""
        return bool(self.dtype)

    def __str__(self) -> str:
        """In words: `float32 of shape (200, 7)`."""
        if self.is_array:
            return f"{self.dtype} of shape ({', '.join(map(str, self.shape))})"
        return f"{self.number:g}" if self.number is not None else str(self.text)


@dataclass(frozen=True, kw_only=True)
class CallDifference:
    """The first place where two trials were given, did or got something else."""

    stage: Stage
    place: str
    says: str
    """What differs, in words, without the place."""

    def sentence(self) -> str:
        """In a sentence."""
        call, _, what = self.place.partition(": ")
        match self.stage:
            case Stage.GIVEN:
                return f"Before the model: what {call} is given as {what} {self.says}."
            case Stage.TOLD:
                return f"What callbacks are told in {call} ({what}) {self.says}."
            case Stage.DID:
                return f"In {call}, {what} {self.says}."
            case _:
                return f"What {call} returned ({what}) {self.says}."


def parse_calls(text: str) -> tuple[SeenValue, ...]:
    """The observations in a file's text; raises CallsError where they can't be read."""
    lines = text.split("\n")[:-1]
    if len(text) > MAX_BYTES or len(lines) > MAX_LINES:
        raise CallsError("What calls were given can't be used: the file is larger than what the runner writes.")
    try:
        return tuple(SeenValue.model_validate(_object(foreign_json.loads(line))) for line in lines if line)
    except (ValueError, TypeError, RecursionError, ValidationError) as error:
        first = str(error).splitlines()[0][:200]
        raise CallsError(f"What calls were given can't be used: {first}.") from error


def _object(value: Any) -> Any:
    if not isinstance(value, dict):
        raise TypeError("a line is not an object")
    return value


def first_given_difference(
    good: Sequence[Sequence[SeenValue]], bad: Sequence[Sequence[SeenValue]]
) -> CallDifference | None:
    """The first difference in what calls were given; each side is the trials of one cell."""
    return next(_differences(good, bad, Stage.GIVEN), None)


def first_later_difference(
    good: Sequence[Sequence[SeenValue]], bad: Sequence[Sequence[SeenValue]]
) -> CallDifference | None:
    """The first difference in what callbacks did; else in what calls returned; else in what callbacks were told."""
    stages = (Stage.DID, Stage.RETURNED, Stage.TOLD)
    return next((one for stage in stages for one in _differences(good, bad, stage)), None)


def _differences(
    good: Sequence[Sequence[SeenValue]], bad: Sequence[Sequence[SeenValue]], stage: Stage
) -> Iterator[CallDifference]:
    loose = stage is not Stage.GIVEN
    sides = [[_by_place(one, stage) for one in side] for side in (good, bad)]
    unsteady = {place for side in sides for place in _unsteady(side, loose=loose)}
    ours, theirs = (side[0] for side in sides)
    for place in dict.fromkeys([*ours, *theirs]):
        one, other = ours.get(place), theirs.get(place)
        if one is not None and other is not None:
            says = _difference(one, other, loose=loose, values=place not in unsteady)
        elif place in unsteady:
            continue
        else:
            seen, where = (one, "good") if one is not None else (other, "bad")
            says = f"is only in the {where} cell ({seen})"
        if says:
            yield CallDifference(stage=stage, place=place, says=says)


def _by_place(seen: Iterable[SeenValue], stage: Stage) -> dict[str, SeenValue]:
    found: dict[str, SeenValue] = {}
    for one in seen:
        if one.kind is stage:
            found.setdefault(_RETURNED.sub(_by_one_name, one.place), one)
    return found


def _by_one_name(match: re.Match[str]) -> str:
    return f"returned[{'learning_rate' if match[1] == 'lr' else canonical(match[1])}]"


def _unsteady(trials: Sequence[Mapping[str, SeenValue]], *, loose: bool) -> Iterator[str]:
    """The places that one cell has differently from run to run."""
    for one, two in pairwise(trials):
        for place in one.keys() | two.keys():
            if place not in one or place not in two or _difference(one[place], two[place], loose=loose, values=True):
                yield place


def _difference(good: SeenValue, bad: SeenValue, *, loose: bool, values: bool) -> str:
    """What tells two observations apart, in words; empty where nothing does. Without `values` only kinds count."""
    if good.is_array is not bad.is_array:
        return f"is {good} in the good cell and {bad} in the bad one"
    if not good.is_array:
        return _of_plain(good, bad, loose=loose) if values else ""
    if good.dtype != bad.dtype:
        return f"is {good.dtype} in the good cell and {bad.dtype} in the bad one"
    if good.shape != bad.shape:
        return f"has the shape {good.shape} in the good cell and {bad.shape} in the bad one"
    if good.not_finite != bad.not_finite:
        return (
            f"has {good.not_finite} elements that are not finite in the good cell and {bad.not_finite} in the bad one"
        )
    return _of_elements(good, bad, loose=loose) if values and good.digest != bad.digest else ""


def _of_plain(good: SeenValue, bad: SeenValue, *, loose: bool) -> str:
    if good.number is not None and bad.number is not None:
        same = _close(good.number, bad.number) if loose else _same(good.number, bad.number)
    else:
        same = (good.text, good.number, "" if loose else good.note) == (bad.text, bad.number, "" if loose else bad.note)
    return "" if same else f"is {good} in the good cell and {bad} in the bad one"


def _of_elements(good: SeenValue, bad: SeenValue, *, loose: bool) -> str:
    alike = _close if loose else _same
    for place, (one, other) in enumerate(zip(good.head, bad.head, strict=False)):
        if not alike(one, other):
            where = ", ".join(map(str, _indices(place, good.shape)))
            return f"differs first in element [{where}]: {_shown(one)} in the good cell, {_shown(other)} in the bad one"
    if loose:
        return ""
    parts = zip(good.parts, bad.parts, strict=False)
    part = next((number for number, (one, other) in enumerate(parts) if one != other), 0)
    size = math.prod(good.shape)
    first = max(len(good.head), part * size // max(1, len(good.parts)))
    return f"differs from about element {first} of {size} on"


def _indices(place: int, shape: Sequence[int]) -> list[int]:
    found = []
    for length in reversed(shape):
        place, rest = divmod(place, max(1, length))
        found.append(rest)
    return found[::-1]


def _shown(one: float | bool | str) -> str:
    return f"{one:.6g}" if isinstance(one, float) else str(one)


def _same(one: float | bool | str, other: float | bool | str) -> bool:
    return one == other or (
        isinstance(one, float) and isinstance(other, float) and math.isnan(one) and math.isnan(other)
    )


def _close(one: float | bool | str, other: float | bool | str) -> bool:
    if isinstance(one, str) or isinstance(other, str):
        return one == other
    return math.isclose(one, other, rel_tol=_CLOSE, abs_tol=_CLOSE * _CLOSE) or _same(one, other)
