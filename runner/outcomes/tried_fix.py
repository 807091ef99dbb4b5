"""What may mend a bad cell, as frozen models: a candidate with what was seen of it, where it was run.

A fix is said to work only of cells in which it ran; sentences are made here, from those cells alone.
"""

from __future__ import annotations

import enum
from typing import TYPE_CHECKING, Literal

from pydantic import BaseModel, ConfigDict

from runner.outcomes.outcome import Leaning, Outcome, OutcomeKind
from runner.outcomes.verdict import Label
from runner.plurals import counted
from runner.trials.record import Count  # noqa: TC001 - pydantic reads it

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

_MOST_NAMED = 6


class StoredModel(BaseModel):
    """A frozen part of an account: what it does not know it refuses."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


class FixKind(enum.StrEnum):
    """What is changed, the narrowest first."""

    EDIT = "edit"
    """The script says what it relied on, or calls things by their present names."""
    SWITCH = "switch"
    """The script sets what was found to be the cause."""
    REQUIREMENT = "requirement"
    """A line for the requirements."""
    RELEASE = "release"
    """Another release of what the matrix varies."""


class FixStanding(enum.StrEnum):
    """What the trials of a candidate show, the best first."""

    WORKS = "works"
    """The bad cell is good with it, and the good one stays good."""
    BREAKS_GOOD = "breaks the good cell"
    """The bad cell is good with it, and the good one no longer is."""
    BREAKS_OTHER = "breaks another cell"
    """As before of a further cell, where one source for all was asked for."""
    NO_EFFECT = "does not mend it"
    UNTESTABLE = "can't be tested"
    UNTRIED = "not tried"
    """An earlier one works, or the budget ended first."""


class FixCell(StoredModel):
    """One cell that a candidate ran in, or that its files are not part of."""

    values: dict[str, str]
    role: Literal["bad", "good", "other"]
    before: str
    """Its outcome without the change; empty where it has none."""
    after: str
    """Its outcome with it; empty where it was not run: the budget ended first."""
    converged: Count = 0
    counted: Count = 0
    touched: bool = True
    """False where the change is in files that this cell does not run: it stays as it is."""
    raised: str = ""
    """The type of the exception that ends it."""

    @property
    def kinds(self) -> tuple[OutcomeKind | None, OutcomeKind | None]:
        """The kinds of its outcomes without and with the change."""
        before, after = (Outcome.parse(text).kind if text else None for text in (self.before, self.after))
        return before, after

    @property
    def works(self) -> bool:
        """True where it is good with the change."""
        return self.kinds[1] is OutcomeKind.GOOD


class Fix(StoredModel):
    """One candidate, and what was seen of it."""

    kind: FixKind
    says: str
    """What is changed, in a phrase."""
    because: str
    """What it follows from."""
    diff: str = ""
    """The change to the script and its modules, as `patch -p1` and `git apply` take it in the matrix's folder."""
    lines: Count = 0
    """The number of lines that it adds or changes."""
    requirements: tuple[str, ...] = ()
    """Lines for the requirements (PEP 508)."""
    release: dict[str, str] = {}
    """Axis values in place of the bad cell's."""
    standing: FixStanding
    cells: tuple[FixCell, ...] = ()
    """The bad cell first, then the good one, then the others of the matrix."""
    sentence: str = ""
    """What was seen of it."""
    tried_on: str = ""
    """The digest of what it was tried on: the script, what both cells have installed, the rule; "" of older ones."""

    @property
    def works(self) -> bool:
        """True where it was seen to work."""
        return self.standing is FixStanding.WORKS


def is_whole(fixes: Sequence[Fix]) -> bool:
    """True where one works, or all were tried: there is nothing left to run."""
    return any(one.works for one in fixes) or all(one.standing is not FixStanding.UNTRIED for one in fixes)


def change_in_words(fix: Fix) -> str:
    """`This 2-line change (…)`, `The requirement numpy<1.24`, `tensorflow 2.10.1`."""
    if fix.release:
        return " and ".join(f"{axis} {value}" for axis, value in fix.release.items())
    required = f"he requirement {' and '.join(fix.requirements)}"
    if not fix.diff:
        return f"T{required}"
    change = f"This {'one' if fix.lines == 1 else fix.lines}-line change ({fix.says})"
    return f"{change} and t{required}" if fix.requirements else change


def fix_sentence(fix: Fix) -> str:
    """What was seen of a candidate, cell by cell: no cell is named that it was not run in, but as not run."""
    if fix.standing is FixStanding.UNTRIED or not fix.cells:
        return f"Not run: {fix.says}."
    change, both = change_in_words(fix), bool(fix.diff and fix.requirements)
    bad, *others = fix.cells
    name = _namer(fix.cells)
    if fix.release:
        run = f"With {change} the script {_ends(bad)}"
        return f"{run} ({bad.converged} of {bad.counted})." if bad.works else f"{run}: that does not mend it."
    if fix.standing not in {FixStanding.WORKS, FixStanding.BREAKS_GOOD, FixStanding.BREAKS_OTHER}:
        return f"{change} {'do' if both else 'does'} not mend {name(bad)}: with it, it {_ends(bad)}."
    share = f" ({bad.converged} of {bad.counted})" if bad.works else ""
    text = f"{change} {'make' if both else 'makes'} {name(bad)} {_verb(bad)}{share}"
    parts = [part for part in _rest(others, name) if part]
    return f"{text}{''.join(f'; {part}' for part in parts)}."


def advice_of(fixes: Sequence[Fix], *, ended: bool = False, unwritten: Sequence[str] = ()) -> Iterator[str]:
    """What to do, by all candidates: that which works, or what was tried; `unwritten` are switches without a way."""
    working = [one for one in fixes if one.works]
    yield from (one.sentence for one in working)
    tried = [one for one in fixes if one.cells and not one.works]
    untried = [one.says for one in fixes if one.standing is FixStanding.UNTRIED]
    if not working and (tried or not untried):
        far = ", as far as the budget went" if ended else ""
        yield f"Nothing {'that was tried mends it' if tried else 'was found to try that may mend it'}{far}."
    for one in tried[:_MOST_NAMED]:
        yield one.sentence
    if len(tried) > _MOST_NAMED:
        yield f"Nor do {counted(len(tried) - _MOST_NAMED, 'further candidate')}."
    if untried:
        why = "the budget ended first" if ended else "the first that works is narrower"
        yield f"Not run, since {why}: {'; '.join(untried[:_MOST_NAMED])}{' …' if len(untried) > _MOST_NAMED else ''}."
    yield from unwritten


def _rest(others: Sequence[FixCell], name: Namer) -> Iterator[str]:
    """The other cells in words: those that stay, those that are mended too, those that break, those not run."""
    run = [one for one in others if one.after]
    stay = [one for one in run if one.touched and one.kinds[0] is one.kinds[1]]
    better = [one for one in run if one.touched and one.works and one not in stay]
    worse = [one for one in run if one.touched and one not in stay and one not in better]
    yield f"it leaves {_listed(stay, name)} as {'it was' if len(stay) == 1 else 'they were'}" if stay else ""
    known = [one for one in better if one.before]
    yield f"it mends {_listed(known, name)} too" if known else ""
    new = [one for one in better if not one.before]
    yield f"with it {_listed(new, name)} {'is' if len(new) == 1 else 'are'} good" if new else ""
    for one in worse[:_MOST_NAMED]:
        yield f"in {name(one)} it {_ends(one)}"
    yield f"so it does in {counted(len(worse) - _MOST_NAMED, 'further cell')}" if len(worse) > _MOST_NAMED else ""
    untouched = [one for one in others if not one.touched]
    yield f"{_listed(untouched, name)} run{'s' if len(untouched) == 1 else ''} other files" if untouched else ""
    missing = [one for one in others if one.touched and not one.after]
    yield f"it was not run in {_listed(missing, name)}" if missing else ""


if TYPE_CHECKING:
    from collections.abc import Callable

    Namer = Callable[[FixCell], str]


def _namer(cells: Sequence[FixCell]) -> Namer:
    """Names cells by the values in which they differ."""
    axes = dict.fromkeys(axis for one in cells for axis in one.values)
    varying = [axis for axis in axes if len({one.values.get(axis) for one in cells}) > 1]

    def name(cell: FixCell) -> str:
        return values_in_words({axis: cell.values[axis] for axis in varying or axes if axis in cell.values})

    return name


def values_in_words(values: Mapping[str, str]) -> str:
    """Axis values as text: `keras 3.3.3`; of several `tensorflow 2.16.1 with keras 3.3.3`."""
    parts = [
        text if axis in {"script", "env", "args", "prelude"} else f"{axis} {text}" for axis, text in values.items()
    ]
    return " with ".join(parts)


def _listed(cells: Iterable[FixCell], name: Namer) -> str:
    names = list(dict.fromkeys(map(name, cells)))
    shown = names[:_MOST_NAMED]
    if len(names) > _MOST_NAMED:
        shown = [*shown[:-1], f"{len(names) - _MOST_NAMED + 1} further cells"]
    return ", ".join(shown[:-1]) + f" and {shown[-1]}" if len(shown) > 1 else shown[0]


def _verb(cell: FixCell) -> str:
    """What it is made to do; what the matrix's rule calls bad in the good cell too is told as its outcome."""
    return {"settles": "settle", "converges": "converge"}.get(cell.after, f"end as the good cell does, {cell.after}")


def _ends(cell: FixCell) -> str:
    """How a cell ends that is not good: `raises ImportError`, `fails (nan)`, `is blocked (unresolvable)`."""
    if cell.raised:
        return f"raises {cell.raised.rpartition('.')[2]}"
    found = Outcome.parse(cell.after) if cell.after else None
    match found:
        case None:
            return "was not run"
        case Outcome(kind=OutcomeKind.UNTESTABLE, reason=Label.UNRESOLVABLE):
            return "has no environment"
        case Outcome(kind=OutcomeKind.UNTESTABLE) | Outcome(reason=Leaning()):
            return f"is {cell.after}"
        case Outcome(kind=OutcomeKind.UNDECIDED):
            return "is undecided"
        case _:
            return str(cell.after)
