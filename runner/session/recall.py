"""The ledger of a matrix as its store has it: which records are of which cell, under the settings that hold now."""

from __future__ import annotations

import contextlib
from dataclasses import replace
from typing import TYPE_CHECKING

from runner.engines.protocol import EngineKind
from runner.errors import UsageError
from runner.outcomes.tally import most_trials
from runner.session.earlier import lacking_for
from runner.session.group import groups_of
from runner.session.ledger import Ledger
from runner.session.progress import Progress
from runner.trials.trial import stored_trials

if TYPE_CHECKING:
    from collections.abc import Sequence

    from runner.environments.model import Lock
    from runner.matrix.model import Cell
    from runner.session.group import Group
    from runner.session.session import Session
    from runner.trials.record import Record
    from runner.trials.trial import Setting


FIRST_CONTROL_SEED = 1_000_000
"""Where the seeds of the baseline's copy begin: no cell comes so far."""


def ledger_of(session: Session, *, recorded: bool = False) -> Ledger:
    """What the store knows of every cell of the matrix.

    Of what ran on the session's engine; with `recorded` on whatever engine ran it last, and no engine is asked.
    """
    selected = {cell.name for cell in session.cells}
    known = {one.cell.name: one for group in session.groups for one in progress_of(session, group, recorded=recorded)}
    others = [cell for cell in session.all_cells if cell.name not in selected]
    known |= {cell.name: Progress(cell=cell, matrix=session.matrix, setting=None) for cell in others}
    for group in groups_of(session.matrix, others) if not session.store.is_empty() else ():
        with contextlib.suppress(UsageError):  # a lock or script that nobody asks for now may be broken
            known |= {one.cell.name: one for one in progress_of(session, group, recorded=recorded)}

    def copy_of(progress: Progress) -> Progress:
        setting = progress.setting
        stored = _trials(session, setting, FIRST_CONTROL_SEED) if setting else {}
        return replace(progress, stored=stored, first_seed=FIRST_CONTROL_SEED, trials={}, under_way=0)

    return Ledger(
        session.matrix,
        (known[cell.name] for cell in session.all_cells),
        selected,
        copy_of=copy_of,
        lacking=lacking_for(session, session.options.earlier) if session.options.earlier else None,
    )


def progress_of(session: Session, group: Group, *, recorded: bool = False) -> list[Progress]:
    """What the store has of a group's cells, in the group's order; none of it is taken yet."""
    lock = session.environments.locked(group.environment)
    origins = _origins(session, lock, recorded=recorded) if lock else []
    nothing_stored = session.store.is_empty()
    found = []
    for cell in group.cells:
        settings = [session.settings.of(cell, lock, *origin) for origin in origins] if lock else []
        setting: Setting | None = next(iter(settings), None)
        stored: dict[int, Record] = {}
        if not nothing_stored:
            setting, stored = _stored(session, group, cell, settings, recorded=recorded)
        found.append(Progress(cell=cell, matrix=session.matrix, setting=setting, stored=stored))
    return found


def _origins(session: Session, lock: Lock, *, recorded: bool) -> list[tuple[EngineKind, str]]:
    """On what engine, and on what base, the trials of a lock run or ran."""
    if recorded:
        return [(EngineKind(kind), identity) for kind, identity in session.store.origins(lock.digest)]
    identity = session.engine.known_identity(lock.python)
    return [(session.engine.kind, identity)] if identity else []


def _stored(
    session: Session, group: Group, cell: Cell, settings: Sequence[Setting], *, recorded: bool
) -> tuple[Setting | None, dict[int, Record]]:
    """The finished trials of a cell by seed and their setting, else the record that says why none can run."""
    for setting in settings:
        if found := _trials(session, setting, 0):
            return setting, found
    if recorded:
        record = session.store.blocked(group.environment.name, cell.values)
    else:
        key = session.environments.blocked_key(group.environment, cell)
        record = session.store.get([key]).get(key)
    return next(iter(settings), None), {} if record is None else {0: record}


def _trials(session: Session, setting: Setting, first_seed: int) -> dict[int, Record]:
    seeds = range(first_seed, first_seed + most_trials(session.matrix.seeds))
    return stored_trials(session.store, setting, seeds)
