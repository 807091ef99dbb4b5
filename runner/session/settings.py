"""What the trials of a cell are told: the script as it runs, the data, the limits; each is read once a session."""

from __future__ import annotations

import re
from functools import cached_property
from typing import TYPE_CHECKING

from runner.errors import UsageError
from runner.preludes import catalogue
from runner.preludes.prelude import Prelude
from runner.scripts.rewriting import rewritten
from runner.scripts.script import read_script
from runner.trials.trial import Setting, data_digest_of, mounts_of

if TYPE_CHECKING:
    from runner.engines.protocol import EngineKind, Mount
    from runner.environments.model import Lock
    from runner.matrix.matrix_file import Matrix
    from runner.matrix.model import Cell
    from runner.scripts.script import Script
    from runner.trials.store import Store


class Settings:
    """The settings of one matrix's trials."""

    def __init__(self, *, matrix: Matrix, store: Store) -> None:
        """Nothing is read yet."""
        self._matrix = matrix
        self._store = store
        self._sources: dict[str, Script] = {}
        self._scripts: dict[tuple[str, str], Script] = {}
        self._preludes: dict[str, Prelude] = {}

    def of(self, cell: Cell, lock: Lock, engine: EngineKind, base_identity: str) -> Setting:
        """All that the trials of a cell share."""
        return Setting(
            cell=cell,
            lock=lock,
            script=self.script(cell),
            experiment=self._matrix.experiment,
            resources=self._matrix.resources,
            mounts=self._mounts,
            data_digest=self._data_digest,
            engine=engine,
            base_identity=base_identity,
            seeded=not self._matrix.seeds.as_written,
            preludes=tuple(map(self._prelude, cell.preludes)),
        )

    def script(self, cell: Cell) -> Script:
        """The script of a cell with the imports of its flavour; the file is read once: what runs is what its key says.

        Raises UsageError where it can't be read, or its imports can't be rewritten.
        """
        key = cell.script, cell.import_flavour
        if key not in self._scripts:
            if cell.script not in self._sources:
                self._sources[cell.script] = read_script(self._matrix.folder, cell.script)
            self._scripts[key] = rewritten(self._sources[cell.script], cell.import_flavour)
        return self._scripts[key]

    def _prelude(self, name: str) -> Prelude:
        """A switch of the catalogue, or a source of the user's; raises UsageError where that can't be read."""
        if name in catalogue():
            return Prelude(name=name, source=catalogue()[name].source)
        if name not in self._preludes:
            try:
                source = (self._matrix.folder / name).read_text("utf-8")
            except (OSError, UnicodeDecodeError) as error:
                raise UsageError(f"The prelude {name} can't be read: {error}.") from error
            stem = re.sub(r"[^a-z0-9]+", "-", name.removesuffix(".py").lower()).strip("-")
            self._preludes[name] = Prelude(name=stem, source=source)
        return self._preludes[name]

    @cached_property
    def _mounts(self) -> tuple[Mount, ...]:
        return mounts_of(self._matrix.experiment.data, self._matrix.folder)

    @cached_property
    def _data_digest(self) -> str:
        return data_digest_of(self._mounts, self._store)
