"""A matrix in parts for several machines: balanced by what trials are expected to take, and joined again by `merge`.

A part that ran has records, by which it would be balanced otherwise: so what was divided once is kept in `.runner`
beside the matrix. Machines that share no folder divide alike where none has records, or all have the same.
"""

from __future__ import annotations

import hashlib
import heapq
import json
import os
from collections import defaultdict
from dataclasses import dataclass, field
from itertools import accumulate
from statistics import median
from typing import TYPE_CHECKING, Any, TypeGuard

from runner import foreign_json
from runner.errors import MachineError, UsageError
from runner.laboratory.equipment import Claim, at_rest
from runner.laboratory.setup import Setup, groups_of
from runner.matrix.cell_id import CellId
from runner.own_folder import OwnFolder
from runner.plurals import counted
from runner.trials.job_files import KEPT_BYTES, STORE_FILE, Kept, Workplace, collect, opened, opened_folder
from runner.trials.script_metrics import LOG_BYTES
from runner.trials.store import Store
from runner.trials.store_file import StoreReader

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from pathlib import Path

    from runner.laboratory.setup import Group
    from runner.matrix.matrix_file import Matrix
    from runner.matrix.model import Cell
    from runner.session.options import Shard
    from runner.trials.record import Record

    Piece = tuple[int, ...]
    """Cells of one environment, by their positions in the matrix."""

_DIVIDED = "shards.json"
MAKING_S = 60.0
"""About how long an environment takes to make, in seconds; every part that has a cell of it makes it."""
MOST_JOBS = 256
"""GitHub runs so many of one matrix."""
_WORTH_IT = 0.9
"""An environment is divided only where all parts are done in this share of the time."""


@dataclass(frozen=True, kw_only=True)
class Division:
    """The parts of one matrix; a file of `files` remembers what was divided before."""

    matrix: Matrix
    store: Store
    files: OwnFolder

    def cells_of(self, shard: Shard, cells: Sequence[Cell]) -> tuple[Cell, ...]:
        """The cells of one part. Raises UsageError for a part that has none."""
        parts = self.parts(shard.of, cells)
        chosen = tuple(cell for cell, part in zip(cells, parts, strict=True) if part == shard.index)
        if not chosen:
            raise UsageError(
                f"--shard {shard} has no cell: {counted(len(cells), 'cell')} can be divided into at most"
                f" {counted(max(parts), 'part')} here."
            )
        return chosen

    def parts(self, of: int, cells: Sequence[Cell], *, anew: bool = False) -> list[int]:
        """The part of each cell, counted from 1: as it was divided before, or (`anew`) by what is known now."""
        key = hashlib.sha256(json.dumps([of, *(str(cell.id) for cell in cells)]).encode()).hexdigest()[:16]
        kept = self._read()
        before = kept.get(key)
        if not anew and _fits(before, of, len(cells)):
            return [int(part) for part in before]
        found = divide(self._environments(cells), self._costs(cells), of)
        self.files.write(_DIVIDED, json.dumps({**kept, key: found}).encode())
        return found

    def _read(self) -> dict[str, Any]:
        try:
            kept = foreign_json.loads(self.files.read(_DIVIDED) or b"{}")
        except ValueError:
            return {}
        return kept if isinstance(kept, dict) else {}

    def _environments(self, cells: Sequence[Cell]) -> list[Piece]:
        positions = {cell.id: position for position, cell in enumerate(cells)}
        groups = groups_of(Setup.of(self.matrix), cells)
        return [tuple(positions[cell.id] for cell in group.cells) for group in groups]

    def _costs(self, cells: Sequence[Cell]) -> list[float]:
        """The expected seconds of each cell: what its trials took before, else what others took."""
        seconds = self.store.seconds()
        known = [seconds.get(cell.id) for cell in cells]
        usual = median([mean for mean in known if mean is not None] or [MAKING_S / self.matrix.seeds.lead])
        return [self.matrix.seeds.lead * (usual if mean is None else mean) for mean in known]


def _fits(parts: object, of: int, cells: int) -> TypeGuard[list[int]]:
    """True where what was kept is a division of so many cells into so many parts."""
    return (
        isinstance(parts, list)
        and len(parts) == cells
        and all(isinstance(part, int) and 1 <= part <= of for part in parts)
    )


def jobs_by_shard(division: Division, cells: Sequence[Cell], of: int, only: str) -> list[dict[str, str]]:
    """One job of a GitHub workflow for each part of the cells that `only` selects."""
    parts = set(division.parts(of, cells, anew=True))
    return [{"name": f"{part} of {of}", "only": only, "shard": f"{part}/{of}"} for part in sorted(parts)]


def jobs_by_environment(groups: Sequence[Group], cells: Sequence[Cell], only: str) -> list[dict[str, str]]:
    """One job for each environment; what an `--only` can't tell from another environment is one job with it.

    `cells` are all of the matrix, `only` is what selected the groups. Raises UsageError where it divides one of them.
    """
    own = {cell.id for group in groups for cell in group.cells}
    selected = _by_asked(cells, [_asked(group.cells[0]) for group in groups])
    jobs: list[tuple[str, str, frozenset[CellId]]] = []
    for group in groups:
        asked = _asked(group.cells[0])
        found = selected[asked]
        if not found <= own:  # the caller's own --only takes some of an environment's cells
            raise UsageError(
                f"--only {only} divides the environment {group.environment.name}: use --shards, or an --only that names"
                " package versions alone."
            )
        jobs.append((group.environment.name, str(asked), found))
    having = defaultdict[CellId, list[int]](list)
    for number, (_, _, found) in enumerate(jobs):
        for cell in found:
            having[cell].append(number)
    return [
        {"name": name, "only": chosen, "shard": ""}
        for number, (name, chosen, found) in enumerate(jobs)
        if not any(found < jobs[at][2] or (found == jobs[at][2] and at < number) for at in having[next(iter(found))])
    ]


def _asked(cell: Cell) -> CellId:
    """What `--only` names an environment by: the values that say what is installed."""
    further = {"python": cell.python, "backend": cell.backend}
    return CellId((*cell.pins, *((axis, value) for axis, value in further.items() if value)))


def _by_asked(cells: Sequence[Cell], wanted: Iterable[CellId]) -> dict[CellId, frozenset[CellId]]:
    """The cells that `--only` takes for each of the wanted ids: those that have all its values, or that very cell."""
    names = {frozenset(asked.values) for asked in wanted}
    having = defaultdict[CellId, set[CellId]](set)
    for cell in cells:
        asked = _asked(cell)
        for axes in names:
            if axes <= asked.values.keys():
                having[CellId(tuple(pair for pair in asked if pair[0] in axes))].add(cell.id)
    whole = {str(cell.id): cell.id for cell in cells}
    return {asked: frozenset([whole[text]] if (text := str(asked)) in whole else having[asked]) for asked in wanted}


def divide(environments: Sequence[Piece], costs: Sequence[float], of: int) -> list[int]:
    """The part of each cell, counted from 1; the same input always gives the same parts.

    `environments` has the cells of each environment, `costs` the expected seconds of each cell. The longest piece goes
    to the part that has least; environments stay whole but where dividing one makes all of it done sooner.
    """
    pieces = [1] * len(environments)
    best, parts = _packed(environments, pieces, costs, of)
    while True:
        busiest = max(range(of), key=lambda part: (best[part], -part))
        number = _largest(parts[busiest], costs)
        if number is None:
            break
        choices = range(pieces[number] + 1, min(of, len(environments[number])) + 1)
        tried = [[*pieces[:number], count, *pieces[number + 1 :]] for count in choices]
        packed = [
            (max(loads), choice, loads, found)
            for choice in tried
            for loads, found in [_packed(environments, choice, costs, of)]
        ]
        if not packed or min(packed)[0] > _WORTH_IT * max(best):
            break
        _, pieces, best, parts = min(packed)
    return [
        part
        for _, part in sorted((cell, part) for part, held in enumerate(parts, 1) for _, cells in held for cell in cells)
    ]


def _packed(
    environments: Sequence[Piece], pieces: Sequence[int], costs: Sequence[float], of: int
) -> tuple[list[float], list[list[tuple[int, Piece]]]]:
    """The time that each part takes, and its pieces, each with the number of its environment."""
    cut = [
        (number, piece)
        for number, (cells, count) in enumerate(zip(environments, pieces, strict=True))
        for piece in _cut(cells, costs, count)
    ]
    cut.sort(key=lambda one: (-_cost(one[1], costs), one[1]))
    heap = [(0.0, part) for part in range(of)]
    parts: list[list[tuple[int, Piece]]] = [[] for _ in range(of)]
    for number, piece in cut:
        load, part = heapq.heappop(heap)
        parts[part].append((number, piece))
        heapq.heappush(heap, (load + _cost(piece, costs), part))
    return [load for load, _ in sorted(heap, key=lambda one: one[1])], parts


def _cost(piece: Piece, costs: Sequence[float]) -> float:
    return MAKING_S + sum(costs[cell] for cell in piece)


def _cut(cells: Piece, costs: Sequence[float], count: int) -> list[Piece]:
    """The cells in `count` runs of about the same cost; neighbours stay together, no run is empty."""
    sums = list(accumulate(costs[cell] for cell in cells))
    ends = [0]
    for number in range(1, count):
        wanted = sums[-1] * number / count
        end = next(i for i, total in enumerate(sums, 1) if total >= wanted or i == len(sums))
        ends.append(min(max(end, ends[-1] + 1), len(cells) - (count - number)))
    return [cells[start:end] for start, end in zip(ends, [*ends[1:], len(cells)], strict=True)]


def _largest(held: Sequence[tuple[int, Piece]], costs: Sequence[float]) -> int | None:
    """The environment with the longest piece of a part that can be divided at all."""
    found = [(_cost(piece, costs), -number) for number, piece in held if len(piece) > 1]
    return -max(found)[1] if found else None


@dataclass(kw_only=True, slots=True)
class Merged:
    """The outcome of a merge."""

    added: int = 0
    same: int = 0
    conflicts: list[str] = field(default_factory=list)
    """The differing records that both have, and which was kept."""
    unreadable: int = 0
    """Records that are of another version, or no records."""
    remarks: list[str] = field(default_factory=list)
    """What of a part could not be taken, and why."""


def merge(workplace: Workplace, stores: Iterable[Path], *, replace: bool = False) -> Merged:
    """Take into a matrix's folder what the folders of other parts have, as one reads what a stranger wrote.

    Of two records for one key our own is kept, or (`replace`) theirs: what a part says of its time proves nothing.
    Raises UsageError where a folder has no store that can be read, or a run is at work in it or in the matrix's own.
    """
    parts = [_part(path) for path in stores]
    merged = Merged()
    with Claim(workplace).held(), Store(workplace.store) as store:
        for part in parts:
            if part.root.resolve() != workplace.root.resolve():
                with at_rest(part.root):
                    _take(part, workplace, store, merged, replace=replace)
    return merged


def _part(path: Path) -> Workplace:
    """The workplace that a path means: a `.runner` folder, or a folder that has one."""
    for root in (path, path / ".runner"):
        if (root / STORE_FILE).is_file():
            return Workplace(root=root)
    raise UsageError(f"{path} has no records: it is neither the `.runner` folder of a run nor contains one.")


def _take(part: Workplace, workplace: Workplace, store: Store, merged: Merged, *, replace: bool) -> None:
    try:
        with StoreReader(part.root / STORE_FILE) as theirs:
            for key in theirs.listed():
                record = theirs.record(key)
                if record is None:
                    merged.unreadable += 1
                else:
                    _take_one(record, store.get([key]).get(key), (part, workplace), store, merged, replace=replace)
            if theirs.damage:
                merged.remarks.append(
                    f"{part.root / STORE_FILE} is damaged ({theirs.damage}): what can be read was taken"
                )
    except OSError as error:
        raise MachineError(
            f"{part.root} could not be taken in: {error}. The same command goes on from there."
        ) from error


def _take_one(
    record: Record,
    ours: Record | None,
    places: tuple[Workplace, Workplace],
    store: Store,
    merged: Merged,
    *,
    replace: bool,
) -> None:
    """Take one record with its files, where it is new or replaces our own; `places` are theirs and ours."""
    if ours and _told(ours) == _told(record):
        merged.same += 1
        _copy(record, *places, merged, replacing=False)
        return
    if ours is None:
        merged.added += 1
    else:
        kept = f"that of {places[0].root}" if replace else "our own"
        merged.conflicts.append(
            f"{CellId.of(record.cell)} seed {record.seed}: two records of the same trial differ; kept is {kept}"
        )
    if ours is None or replace:
        _copy(record, *places, merged, replacing=True)
        store.put(record)  # last: what has a record has its log


def _told(record: Record) -> str:
    """A record as text: NaN is not itself. What patterns found in its log is no part of it: that is read again."""
    return record.model_dump_json(exclude={"printed"})


def _copy(record: Record, part: Workplace, workplace: Workplace, merged: Merged, *, replacing: bool) -> None:
    """Log and artifacts of a record: what is not there yet, or (`replacing`) those of another record's place.

    What a link of theirs leads to is not taken.
    """
    if replacing:
        workplace.forget(record.key)
    for path, take in ((f"logs/{record.key}.log", _take_log), (f"artifacts/{record.key}", _take_artifacts)):
        if not workplace.files.checked(path).exists():
            try:
                why = take(OwnFolder(above=part.root).checked(path), workplace.files, path)
            except UsageError:
                why = "a link is on the way to it"
            if why:
                merged.remarks.append(f"{part.root / path} was left out: {why}")


def _take_log(log: Path, files: OwnFolder, path: str) -> str:
    """Copy a log that is there; why it can't be taken, else nothing."""
    if not log.exists():
        return ""
    with opened_folder(log.parent) as folder:
        stream = opened(folder, log.name) if folder is not None else None
    if stream is not None:
        with stream:
            if os.fstat(stream.fileno()).st_size <= LOG_BYTES:
                files.write(path, stream.read(LOG_BYTES))
                return ""
    return "it is larger than any log of this tool, or no plain file"


def _take_artifacts(folder: Path, files: OwnFolder, path: str) -> str:
    """Copy artifacts that are there; why some were left out, else nothing."""
    kept = collect(folder, ["*"], files, path, KEPT_BYTES) if folder.is_dir() else Kept()
    return (
        f"{counted(kept.left_out, 'file')} of it are more than is kept of a trial, or no plain ones"
        if kept.left_out
        else ""
    )
