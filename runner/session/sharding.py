"""The parts of a session's matrix: by what trials took before, and kept, so that a part stays the same while it runs.

A part that ran has records, by which it would be balanced otherwise: so what was divided once is kept in `.runner`
beside the matrix. Machines that share no folder divide alike where none has records, or all have the same.
"""

from __future__ import annotations

import hashlib
import json
from statistics import median
from typing import TYPE_CHECKING

from runner.errors import MachineError, UsageError
from runner.session.group import groups_of
from runner.session.shards import MAKING_S, divide

if TYPE_CHECKING:
    from collections.abc import Sequence

    from runner.matrix.model import Cell
    from runner.session.session import Session
    from runner.session.shards import Shard


def cells_of(session: Session, shard: Shard, cells: Sequence[Cell]) -> tuple[Cell, ...]:
    """The cells of one part. Raises UsageError for a part that has none."""
    parts = divided(session, shard.of, cells)
    chosen = tuple(cell for cell, part in zip(cells, parts, strict=True) if part == shard.index)
    if not chosen:
        raise UsageError(f"--shard {shard} has no cell: {len(cells)} cells make at most {max(parts)} parts here.")
    return chosen


def divided(session: Session, of: int, cells: Sequence[Cell], *, anew: bool = False) -> list[int]:
    """The part of each cell, counted from 1: as it was divided before, or (`anew`) by what is known now."""
    key = hashlib.sha256(json.dumps([of, *(cell.name for cell in cells)]).encode()).hexdigest()[:16]
    path = session.workplace.root / "shards.json"
    try:
        kept = json.loads(path.read_text("utf-8"))
        parts = kept[key]
        if not anew and len(parts) == len(cells) and all(1 <= int(part) <= of for part in parts):
            return [int(part) for part in parts]
    except (OSError, ValueError, KeyError, TypeError):
        kept = {}
    found = divide(_environments(session, cells), _costs(session, cells), of)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        fresh = path.with_suffix(".new")
        fresh.write_text(json.dumps({**kept, key: found}), "utf-8")
        fresh.replace(path)
    except OSError as error:
        raise MachineError(
            f"{path} can't be written ({error.strerror}). Which cells are in which part is kept there."
        ) from error
    return found


def _environments(session: Session, cells: Sequence[Cell]) -> list[tuple[int, ...]]:
    positions = {cell.name: position for position, cell in enumerate(cells)}
    groups = groups_of(session.matrix, cells)
    return [tuple(positions[cell.name] for cell in group.cells) for group in groups]


def _costs(session: Session, cells: Sequence[Cell]) -> list[float]:
    """The expected seconds of each cell: what its trials took before, else what others took."""
    seconds = session.store.seconds()
    known = [seconds.get(cell.id) for cell in cells]
    usual = median([mean for mean in known if mean is not None] or [MAKING_S / session.matrix.seeds.lead])
    return [session.matrix.seeds.lead * (usual if mean is None else mean) for mean in known]
