"""A matrix in parts for several machines: balanced by what trials are expected to take, and joined again by `merge`.

A part that ran has records, by which it would be balanced otherwise: so what was divided once is kept in `.runner`
beside the matrix. Machines that share no folder divide alike where none has records, or all have the same.
"""

from __future__ import annotations

import hashlib
import heapq
import json
import re
import shutil
import tempfile
from collections import defaultdict
from dataclasses import dataclass, field
from itertools import accumulate
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING, Any, TypeGuard

from runner.errors import MachineError, UsageError
from runner.laboratory.equipment import Claim
from runner.laboratory.setup import Setup, groups_of
from runner.matrix.cell_id import CellId
from runner.plurals import counted
from runner.trials.job_files import Workplace, collect, remove
from runner.trials.store import Store

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from runner.laboratory.setup import Group
    from runner.matrix.matrix_file import Matrix
    from runner.matrix.model import Cell
    from runner.session.options import Shard
    from runner.trials.record import Record

    Piece = tuple[int, ...]
    """Cells of one environment, by their positions in the matrix."""

MAKING_S = 60.0
"""About how long an environment takes to make, in seconds; every part that has a cell of it makes it."""
MOST_JOBS = 256
"""GitHub runs so many of one matrix."""
_WORTH_IT = 0.9
"""An environment is divided only where all parts are done in this share of the time."""


@dataclass(frozen=True, kw_only=True)
class Division:
    """The parts of one matrix; `kept` is the file that remembers what was divided before."""

    matrix: Matrix
    store: Store
    kept: Path

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
        self._write({**kept, key: found})
        return found

    def _read(self) -> dict[str, Any]:
        try:
            kept = json.loads(self.kept.read_text("utf-8"))
        except (OSError, ValueError):
            return {}
        return kept if isinstance(kept, dict) else {}

    def _write(self, parts: Mapping[str, object]) -> None:
        try:
            self.kept.parent.mkdir(parents=True, exist_ok=True)
            fresh = self.kept.with_suffix(".new")
            fresh.write_text(json.dumps(parts), "utf-8")
            fresh.replace(self.kept)
        except OSError as error:
            raise MachineError(
                f"{self.kept} can't be written ({error.strerror}). It keeps which cells are in which part."
            ) from error

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


_KEY = re.compile(r"[0-9a-z-]{1,128}", re.ASCII)
_FILE = "records.sqlite"


@dataclass(kw_only=True, slots=True)
class Merged:
    """The outcome of a merge."""

    added: int = 0
    same: int = 0
    conflicts: list[str] = field(default_factory=list)
    """The differing records that both have, and which was kept."""
    unreadable: int = 0
    """Records that are of another version, or no records."""


def merge(workplace: Workplace, stores: Iterable[Path]) -> Merged:
    """Take into a matrix's folder what the folders of other parts have; of two records for one key the newer is kept.

    Raises UsageError where a folder has no store, or another run holds the matrix's own.
    """
    parts = [_part(path) for path in stores]
    merged = Merged()
    with Claim(workplace.root).held(), Store(workplace.root / _FILE) as store:
        for part in parts:
            if part.root.resolve() != workplace.root.resolve():
                _take(part, workplace, store, merged)
    return merged


def _part(path: Path) -> Workplace:
    """The workplace that a path means: a `.runner` folder, or a folder that has one."""
    for root in (path, path / ".runner"):
        if (root / _FILE).is_file():
            return Workplace(root=root)
    raise UsageError(f"{path} has no records: it is neither the `.runner` folder of a run nor contains one.")


def _take(part: Workplace, workplace: Workplace, store: Store, merged: Merged) -> None:
    try:
        records, unreadable = _records(part)
        merged.unreadable += unreadable
        own = store.get(record.key for record in records)
        for record in records:
            ours = own.get(record.key)
            if ours and _told(ours) == _told(record):
                merged.same += 1
                _copy(record, part, workplace, replacing=False)
                continue
            newer = ours is None or record.started_at > ours.started_at
            if ours is None:
                merged.added += 1
            else:
                merged.conflicts.append(_conflict(ours, record, part.root, newer=newer))
            if newer:
                _copy(record, part, workplace, replacing=True)
                store.put(record)  # last: what has a record has its log
    except OSError as error:
        raise MachineError(
            f"{part.root} could not be taken in: {error}. The same command goes on from there."
        ) from error


def _records(part: Workplace) -> tuple[list[Record], int]:
    """Every record of a part that can be read, and how many can't; its files are copied first and stay as they are."""
    with tempfile.TemporaryDirectory(prefix="runner-merge-") as folder:
        for name in (_FILE, f"{_FILE}-wal"):
            if (part.root / name).is_file():
                shutil.copyfile(part.root / name, Path(folder, name))
        with Store(Path(folder, _FILE)) as store:
            keys = store.keys()
            found = store.get(key for key in keys if _KEY.fullmatch(key))
    sound = [record for key, record in found.items() if record.key == key]
    return sound, len(keys) - len(sound)


def _told(record: Record) -> str:
    """A record as text: NaN is not itself. What patterns found in its log is no part of it: that is read again."""
    return record.model_dump_json(exclude={"printed"})


def _copy(record: Record, part: Workplace, workplace: Workplace, *, replacing: bool) -> None:
    """Log and artifacts of a record: what is not there yet, or (`replacing`) those of another record's place."""
    log, own_log = part.log(record.key), workplace.log(record.key)
    artifacts, own_artifacts = part.artifacts(record.key), workplace.artifacts(record.key)
    if replacing:
        own_log.unlink(missing_ok=True)
        remove(own_artifacts)
    if log.is_file() and not log.is_symlink() and not own_log.exists():
        own_log.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(log, own_log)
    if artifacts.is_dir() and not artifacts.is_symlink() and not own_artifacts.exists():
        collect(artifacts, ["*"], own_artifacts)


def _conflict(ours: Record, theirs: Record, source: Path, *, newer: bool) -> str:
    cell = CellId.of(theirs.cell)
    kept = f"that of {source}, of {theirs.started_at}" if newer else f"our own, of {ours.started_at}"
    return f"{cell} seed {theirs.seed}: two records of the same trial differ; kept is {kept}"
