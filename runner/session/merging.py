"""Joins the `.runner` folders of parts into the matrix's own: records, logs, artifacts; again, it changes nothing.

A part may come from a machine that is not trusted: its records are checked as they are read, names of files are
never taken from it unchecked, and links are not followed.
"""

from __future__ import annotations

import re
import shutil
import tempfile
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from runner.errors import MachineError, UsageError
from runner.laboratory.workplace import Claim
from runner.trials.execution import Workplace, collect, remove
from runner.trials.store import Store

if TYPE_CHECKING:
    from collections.abc import Iterable

    from runner.trials.record import Record


_KEY = re.compile(r"[0-9a-z-]{1,128}", re.ASCII)
_FILE = "records.sqlite"


@dataclass(kw_only=True, slots=True)
class Merged:
    """What merging came to."""

    added: int = 0
    same: int = 0
    conflicts: list[str] = field(default_factory=list)
    """What each record said that both have and that differs, and which was kept."""
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
    raise UsageError(f"{path} has no records: it is no `.runner` folder of a run, and has none in it.")


def _take(part: Workplace, workplace: Workplace, store: Store, merged: Merged) -> None:
    try:
        records, unreadable = _records(part)
        merged.unreadable += unreadable
        own = store.get(record.key for record in records)
        for record in records:
            ours = own.get(record.key)
            if ours == record or (ours and ours.model_dump_json() == record.model_dump_json()):  # NaN is not itself
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
    cell = ",".join(f"{axis}={value}" for axis, value in theirs.cell.items())
    kept = f"that of {source}, of {theirs.started_at}" if newer else f"our own, of {ours.started_at}"
    return f"{cell} seed {theirs.seed}: two records of the same trial differ; kept is {kept}"
