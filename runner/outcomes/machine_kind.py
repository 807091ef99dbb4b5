"""The kind of machine that a trial ran on: times are compared only within one, or in pairs that ran side by side.

Records of before this was noted have no kind. They are compared among themselves, as they were until then: mostly one
machine made them. With those that have a kind they are not: nobody knows that it was the same.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING

from runner.plurals import counted

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from runner.matrix.cell_id import CellId
    from runner.outcomes.observation import Observation
    from runner.outcomes.result import ComparisonResult
    from runner.trials.record import Record

UNKNOWN = ""
"""The kind of machine of records that have none."""
_SHOWN = 4
_MOST_TOLD = 50
"""Cells whose times are told below the table."""
_LONGEST = 300
"""Of its name: a record of another store may say anything."""


def machine_kind(record: Record | Observation) -> str:
    """The processor of a trial, and its GPUs where it had some."""
    return " + ".join(filter(None, (record.processor, record.device)))[:_LONGEST] or UNKNOWN


def named(kind: str) -> str:
    """A kind as it is told."""
    return kind or "a processor that was not noted"


def usual(records: Iterable[Observation]) -> str:
    """The kind that most of the trials ran on; of several the first by name, of none the unknown one."""
    numbers = Counter(machine_kind(record) for record in records if record.ran)
    return min(numbers, key=lambda kind: (-numbers[kind], kind), default=UNKNOWN)


def on_kind(records: Iterable[Observation], kind: str) -> list[Observation]:
    """The trials that ran on machines of a kind."""
    return [record for record in records if machine_kind(record) == kind]


def comparable(
    ours: Sequence[Observation], theirs: Sequence[Observation]
) -> tuple[list[Observation], list[Observation]]:
    """Of both sides the trials on the kind that has the most of both; none where they share no kind.

    Times of what is emulated are the emulator's, and compare with nothing.
    """
    ours, theirs = ([record for record in side if not record.emulated] for side in (ours, theirs))
    numbers = [Counter(map(machine_kind, side)) for side in (ours, theirs)]
    shared = numbers[0].keys() & numbers[1].keys()
    best = min(shared, key=lambda kind: (-min(one[kind] for one in numbers), kind), default=None)
    return ([], []) if best is None else (on_kind(ours, best), on_kind(theirs, best))


def pairs(ours: Iterable[Observation], theirs: Iterable[Observation]) -> list[tuple[Observation, Observation]]:
    """The trials of two cells that ran in turn on the same processors, by their place in that run."""
    others = {record.pair: record for record in theirs if record.pair and not record.emulated}
    found = {record.pair: record for record in ours if record.pair in others and not record.emulated}
    return [(record, others[pair]) for pair, record in sorted(found.items())]


def paired_time(record: Observation) -> tuple[object, ...]:
    """What a comparison takes of a trial that ran side by side with others; empty of one that did not."""
    return (record.pair, record.epoch_s, record.duration_s) if record.pair else ()


@dataclass(frozen=True, slots=True)
class Machines:
    """What the trials of a cell ran on, each with the number of them."""

    kinds: tuple[tuple[str, int], ...] = ()
    emulated: tuple[tuple[str, int], ...] = ()
    """The platforms that were emulated."""

    @classmethod
    def of(cls, records: Sequence[Observation]) -> Machines:
        """Those of trials; cells that ran on the same ones share them."""
        kinds = Counter([machine_kind(record) for record in records if record.ran])
        emulated = Counter([record.emulated for record in records if record.emulated])
        return _shared(cls(tuple(kinds.items()), tuple(emulated.items())))


@lru_cache(maxsize=1024)
def _shared(machines: Machines) -> Machines:
    return machines


def times_told(cells: Mapping[CellId, Machines], compared: Mapping[CellId, ComparisonResult]) -> tuple[str, ...]:
    """What is to be said of the times of cells."""
    told = kinds_sentence(_sum(one.kinds for one in cells.values()))
    emulated = _emulated_sentence(_sum(one.emulated for one in cells.values()))
    paired = [f"{cell.brief}: {one.time}." for cell in cells if (one := compared.get(cell)) and one.time]
    more = len(paired) - _MOST_TOLD
    others = (
        f"{counted(more, 'more cell')} ran side by side; the page of each tells how they compare." if more > 0 else ""
    )
    return tuple(filter(None, [told, emulated, *paired[:_MOST_TOLD], others]))


def _sum(parts: Iterable[Iterable[tuple[str, int]]]) -> Counter[str]:
    numbers = Counter[str]()
    for part in parts:
        for name, number in part:
            numbers[name] += number
    return numbers


def _emulated_sentence(numbers: Mapping[str, int]) -> str:
    """What is to be said of trials on an emulated platform; empty where there are none."""
    shown = ", ".join(f"{counted(number, 'trial')} on {platform}" for platform, number in sorted(numbers.items()))
    return f"Emulated: {shown}. Outcomes count as any others, times are compared with none." if shown else ""


def kinds_sentence(numbers: Counter[str]) -> str:
    """Why times are not compared, in one sentence; empty where all trials ran on one kind of machine."""
    if len(numbers) < 2:
        return ""
    most = numbers.most_common()
    shown = ", ".join(f"{named(kind)}: {counted(number, 'trial')}" for kind, number in most[:_SHOWN])
    more = f", and {len(most) - _SHOWN} more" if len(most) > _SHOWN else ""
    return (
        f"Trials ran on {len(numbers)} kinds of machine ({shown}{more}): outcomes are compared, times only within a"
        " kind."
    )
