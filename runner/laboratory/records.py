"""The records of cells: which of the store's are of which cell, under the settings that hold now."""

from __future__ import annotations

import hashlib
import json
from typing import TYPE_CHECKING

from runner.engines.gpu import VISIBLE
from runner.engines.protocol import EngineKind
from runner.errors import UsageError
from runner.laboratory.request import Known, Stored, ground_under
from runner.laboratory.setup import Settings, groups_of
from runner.trials.script_metrics import read_with, search_log
from runner.trials.trial import stored_trials

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from runner.environments.lock import Environment, Lock
    from runner.laboratory.equipment import Equipment
    from runner.laboratory.provision import Preparation
    from runner.laboratory.setup import Origin, Setup
    from runner.matrix.cell_id import CellId
    from runner.matrix.model import Cell, Metrics
    from runner.scripts.script import Script
    from runner.trials.record import Record
    from runner.trials.trial import Setting

FOR_NOW = "-now"
"""The end of the key of a record that says why a cell can't run for now: a run looks for the key without it."""


class Records:
    """Finds what is stored of cells, and forgets it when asked."""

    def __init__(self, equipment: Equipment, environments: Preparation) -> None:
        """Nothing is read yet."""
        self._equipment = equipment
        self._environments = environments
        self._settings = Settings(equipment.folder)
        self._told = False

    def script(self, cell: Cell, setup: Setup) -> Script:
        """The script of a cell as it runs. Raises UsageError where it can't be read or rewritten."""
        return self._settings.script(cell, setup)

    def setting(self, cell: Cell, setup: Setup, lock: Lock, origin: Origin) -> Setting:
        """All that the trials of a cell share."""
        return self._settings.of(cell, setup, lock, origin, self._equipment.store)

    def known(
        self, setup: Setup, cells: Sequence[Cell], seeds: Sequence[int], *, stored: Stored | None
    ) -> Iterator[Known]:
        """The stored records of cells, in their order, of these seeds; each is read when it is its turn."""
        environments: dict[CellId, Environment] = {}
        settings: dict[CellId, list[Setting]] = {}
        for group in groups_of(setup, cells):
            lock = self._environments.locked(group.environment)
            origins = self._origins(lock, stored) if lock else []
            for cell in group.cells:
                environments[cell.id] = group.environment
                settings[cell.id] = [self.setting(cell, setup, lock, origin) for origin in origins] if lock else []
        if self._equipment.store.is_empty():
            yield from (Known(cell=cell, setting=next(iter(settings[cell.id]), None)) for cell in cells)
            return
        every = [one for cell in cells for one in settings[cell.id]]
        trials = stored_trials(self._equipment.store, every, seeds, self._counts)
        for cell in cells:
            found = [(one, next(trials)) for one in settings[cell.id]]
            yield self._of(cell, environments[cell.id], found, stored)

    def stored(self, setting: Setting, seeds: Iterable[int]) -> dict[int, Record]:
        """The finished trials of a setting by seed."""
        found = next(stored_trials(self._equipment.store, [setting], seeds, self._counts))
        return {seed: self.read(record, setting.experiment.metrics) for seed, record in found.items()}

    def read(self, record: Record, metrics: Metrics) -> Record:
        """A record with the metrics that are looked for; a pattern that is new is looked for in the log that is kept.

        What it finds is kept in the record: the next time no log is read.
        """
        new = [pattern for _, pattern in metrics.patterns if pattern not in record.printed]
        if new and record.ran:
            found = search_log(self._equipment.workplace.log(record.key), new)
            if found:
                record = record.model_copy(update={"printed": {**record.printed, **found}})
                self._equipment.store.put(record)
        return read_with(record, metrics)

    def of_key(self, key: str, metrics: Metrics) -> Record:
        """A record that was there. Raises UsageError where it is no more."""
        with self._equipment.store_for_a_look() as store:
            found = store.get([key]).get(key)
        if found is None:
            raise UsageError(f"The trial {key} was removed while it was looked at. Do that once more.")
        return self.read(found, metrics)

    def blocked_key(self, environment: Environment, cell: Cell) -> str:
        """The key of the record that says why a cell can't run: another lock, or another CPython, is another key."""
        engine = self._equipment.engine
        lock = self._environments.locked(environment)
        found = [lock.digest, engine.known_identity(*lock.ground)] if lock else engine.pythons()
        parts = [engine.kind.value, environment.name, environment.packages, found, str(cell.id)]
        parts += [environment.platform] if environment.platform else []
        if (image := environment.base_image) and engine.kind is EngineKind.DOCKER:
            parts += [image, engine.known_identity("", image) or ""]
        return "blocked-" + hashlib.sha256(json.dumps(parts).encode()).hexdigest()[:32]

    def forget(self, keys: Sequence[str]) -> int:
        """Drop records with their logs and artifacts; how many there were."""
        for key in keys:
            self._equipment.workplace.forget(key)
        return self._equipment.store.drop(keys)

    def _counts(self, setting: Setting, record: Record) -> bool:
        """False for a trial that may have run on a GPU of this machine, which a trial with its key does not see."""
        if not record.may_have_had_gpus or not self._equipment.has_gpu:
            return True
        if VISIBLE in dict(setting.experiment.variables(setting.cell)):  # then it sees what it saw
            return True
        if not self._told:
            self._told = True
            self._equipment.observer.note(
                "Trials that an earlier version ran under venv could use the GPU of this machine, and nothing tells"
                " whether they did: they are not counted, and run anew (docs/gpus.md)."
            )
        return False

    def _origins(self, lock: Lock, stored: Stored | None) -> list[Origin]:
        """Where the trials of a lock run now, or where those that are `stored` ran; of any the latest first."""
        if stored and stored.engine:
            wanted = ground_under(stored.engine, lock.ground)
            return [(stored.engine, identity) for ground, identity in stored.identities if ground == wanted]
        if stored:
            return [(EngineKind(kind), identity) for kind, identity in self._equipment.store.origins(lock.digest)]
        engine = self._equipment.engine
        identity = engine.known_identity(*lock.ground)
        return [(engine.kind, identity)] if identity else []

    def _of(
        self,
        cell: Cell,
        environment: Environment,
        found: Sequence[tuple[Setting, dict[int, Record]]],
        stored: Stored | None,
    ) -> Known:
        """The finished trials of a cell under the first setting that has some, else why none can run."""
        for setting, records in found:
            if records:
                metrics = setting.experiment.metrics
                read = {seed: self.read(record, metrics) for seed, record in records.items()}
                return Known(cell=cell, setting=setting, records=read)
        put_off = False
        if stored:
            engine = stored.engine.value if stored.engine else None
            record = self._equipment.store.blocked(environment.name, cell.id.values, engine)
        else:
            key = self.blocked_key(environment, cell)
            record = self._equipment.store.get([key]).get(key)
            put_off = record is None and bool(self._equipment.store.get([f"{key}{FOR_NOW}"]))
        first = next((setting for setting, _ in found), None)
        return Known(cell=cell, setting=first, records={} if record is None else {0: record}, put_off=put_off)
