"""The values that trials of several cells share (`Setup`), and the settings of one cell's trials.

A setup says nothing of which cells there are: whoever asks a question makes its cells and hands them in with it.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from runner.environments.cuda_libraries import FOR_GPUS
from runner.environments.local_wheels import keep_wheels
from runner.environments.lock import Environment
from runner.errors import UsageError
from runner.matrix.cells import base_image_of, requirements_of
from runner.matrix.model import Requirement
from runner.matrix.requirement_files import axis_of
from runner.preludes.prelude import Prelude, catalogue
from runner.scripts.patching import UNPATCHED, Patch, patched
from runner.scripts.script import read_script
from runner.trials.trial import Setting, data_digest_of, mounts_of

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable
    from pathlib import Path

    from runner.engines.protocol import EngineKind, Mount
    from runner.environments.lock import Lock, OwnPackage
    from runner.matrix.matrix_file import Matrix
    from runner.matrix.model import Cell, DataMapping, Experiment, Install, NamedBase, Resources
    from runner.scripts.script import Script
    from runner.trials.store import Store


if TYPE_CHECKING:
    Origin = tuple[EngineKind, str]
    """The origin of trials: the engine's kind, and the identity of the image's base."""


@dataclass(frozen=True, kw_only=True)
class Setup:
    """The experiment, its limits, and how environments are resolved; scripts and data are relative to one folder."""

    name: str
    """The name of the matrix file, for the labels of images."""
    experiment: Experiment
    resources: Resources
    seeded: bool = True
    """False where the script's own seeds are left as they are."""
    packages: tuple[Requirement, ...] = ()
    flavour: str = "auto"
    as_of: str = "release"
    dates: tuple[tuple[str, str], ...] = ()
    indexes: tuple[str, ...] = ()
    base_images: tuple[NamedBase, ...] = ()
    """What environments stand on, where the engine has images: of a cell, the first that is for it."""
    platform: str = ""
    """The platform that environments are for; empty: that of what runs them."""
    own: OwnPackage | None = None
    """The user's own project, where it is installed into every environment."""
    notes: tuple[str, ...] = ()
    """What a user should know of what is installed: what was left to an axis."""
    patch: Patch = UNPATCHED
    """What the scripts run with in place of some of their files; part of a trial's key, as their digest is."""

    @classmethod
    def of(cls, matrix: Matrix) -> Setup:
        """The setup of a matrix's own cells. Raises UsageError where its project can't be built or locked."""
        install = matrix.experiment.install
        own = _own(install) if install else None
        needed, notes = _needed(own, {axis.name for axis in matrix.axes}) if own else ((), ())
        keep_wheels((one.text for one in matrix.packages), matrix.folder)
        return cls(
            name=matrix.path.name,
            experiment=matrix.experiment,
            resources=matrix.resources,
            seeded=not matrix.seeds.as_written,
            packages=(*matrix.packages, *needed),
            flavour=matrix.flavour,
            as_of=matrix.as_of,
            dates=matrix.dates,
            indexes=matrix.indexes,
            base_images=matrix.base_images,
            platform=matrix.platform,
            own=own,
            notes=(*matrix.notes, *notes),
        )

    def keeping(self, artifacts: Iterable[str]) -> Setup:
        """The same setup whose trials keep further files."""
        kept = (*self.experiment.artifacts, *artifacts)
        return replace(self, experiment=replace(self.experiment, artifacts=kept))

    def editing(self, patch: Patch, requirements: Iterable[str] = ()) -> Setup:
        """The same setup with other texts of some scripts, and with further requirements (PEP 508)."""
        further = tuple(Requirement(text=text) for text in requirements)
        return replace(self, patch=patch.after(self.patch), packages=(*self.packages, *further))

    def environment(self, cell: Cell) -> Environment:
        """The environment that a cell needs."""
        return Environment(
            pins=cell.pins,
            packages=requirements_of(self.packages, cell),
            python=cell.python,
            backend=cell.backend,
            flavour=FOR_GPUS if self.resources.gpus else self.flavour,
            as_of=self.as_of,
            dates=self.dates,
            indexes=self.indexes,
            platform=self.platform,
            base_image=base_image_of(self.base_images, cell),
            own=self.own,
        )


def _own(install: Install) -> OwnPackage:
    from runner.environments.own_project import own_package  # noqa: PLC0415 - most matrices install no project

    return own_package(install.folder, install.extras)


def _needed(own: OwnPackage, axes: Collection[str]) -> tuple[tuple[Requirement, ...], tuple[str, ...]]:
    """The requirements of a project that join those of the matrix, and notes on those that are left to an axis."""
    from packaging.requirements import Requirement as Parsed  # noqa: PLC0415 - as above
    from packaging.utils import canonicalize_name  # noqa: PLC0415

    if own.name in axes:
        raise UsageError(f"install: the project is {own.name}, which is an axis too. Leave one of them out.")
    needed, notes = [], []
    for text in own.requires:
        parsed = Parsed(text)
        parsed.name = str(canonicalize_name(parsed.name))
        axis = axis_of(parsed.name, axes)
        if axis is not None:
            notes.append(f"install: {own.name} requires {text}, which is left to the axis {axis}")
        elif parsed.url:
            raise UsageError(
                f"install: {own.name} requires {parsed.name} by an address, and only releases of the package index can"
                " be locked as of a date. Name a release of it."
            )
        elif parsed.name != own.name:
            needed.append(Requirement(text=str(parsed)))
    return tuple(needed), tuple(notes)


@dataclass(frozen=True, kw_only=True)
class Group:
    """The cells of one environment, in the order in which they were given."""

    environment: Environment
    cells: tuple[Cell, ...]


def groups_of(setup: Setup, cells: Iterable[Cell]) -> tuple[Group, ...]:
    """The cells by environment, in the order in which their first cells come."""
    found: dict[tuple[object, ...], list[Cell]] = {}
    for cell in cells:
        found.setdefault(cell.surroundings, []).append(cell)
    return tuple(Group(environment=setup.environment(own[0]), cells=tuple(own)) for own in found.values())


class Settings:
    """The settings of trials in one folder; each file is read once, so that what runs is what its key says."""

    def __init__(self, folder: Path) -> None:
        """Nothing is read yet."""
        self._folder = folder
        self._sources: dict[tuple[str, ...], Script] = {}
        self._scripts: dict[tuple[tuple[str, ...], str, str | None, Patch], Script] = {}
        self._preludes: dict[str, Prelude] = {}
        self._data: dict[tuple[DataMapping, ...], tuple[tuple[Mount, ...], str]] = {}

    def of(self, cell: Cell, setup: Setup, lock: Lock, origin: Origin, store: Store) -> Setting:
        """All that the trials of a cell share."""
        mounts, digest = self._mounts(setup.experiment.data, store)
        return Setting(
            cell=cell,
            lock=lock,
            script=self.script(cell, setup),
            experiment=setup.experiment,
            resources=setup.resources,
            mounts=mounts,
            data_digest=digest,
            engine=origin[0],
            base_identity=origin[1],
            seeded=setup.seeded,
            preludes=tuple(map(self._prelude, cell.preludes)),
        )

    def script(self, cell: Cell, setup: Setup) -> Script:
        """The script of a cell, and what goes with it, with the imports of its flavour.

        The modules of an installed project come from the environment; only what runs as a module is the project's.

        Raises UsageError where it can't be read, or its imports can't be rewritten.
        """
        experiment = setup.experiment
        installed = frozenset(setup.own.modules if setup.own else ())
        if not experiment.runs_installed:
            installed -= {experiment.own_module.partition(".")[0]}
        pythonpath = dict(experiment.variables(cell)).get("PYTHONPATH", "")
        source = cell.script, experiment.own_module, pythonpath, *experiment.files
        key = source, cell.import_flavour, cell.backend, setup.patch
        if key not in self._scripts:
            if source not in self._sources:
                self._sources[source] = read_script(
                    self._folder,
                    cell.script,
                    module=experiment.own_module,
                    files=experiment.files,
                    pythonpath=pythonpath,
                    installed=installed,
                )
            read = patched(self._sources[source], setup.patch)
            rewritable = not experiment.runs_installed
            self._scripts[key] = _in_flavour(read, cell.import_flavour, cell.backend) if rewritable else read
        return self._scripts[key]

    def _prelude(self, name: str) -> Prelude:
        """A switch of the catalogue, or a source of the user's; raises UsageError where that can't be read."""
        if name in catalogue():
            return Prelude(name=name, source=catalogue()[name].source)
        if name not in self._preludes:
            try:
                source = (self._folder / name).read_text("utf-8")
            except (OSError, UnicodeDecodeError) as error:
                raise UsageError(f"The prelude {name} can't be read: {error}.") from error
            stem = re.sub(r"[^a-z0-9]+", "-", name.removesuffix(".py").lower()).strip("-")
            self._preludes[name] = Prelude(name=stem, source=source)
        return self._preludes[name]

    def _mounts(self, data: tuple[DataMapping, ...], store: Store) -> tuple[tuple[Mount, ...], str]:
        if data not in self._data:
            mounts = mounts_of(data, self._folder)
            self._data[data] = mounts, data_digest_of(mounts, store)
        return self._data[data]


def _in_flavour(script: Script, flavour: str, backend: str | None) -> Script:
    if flavour == "as-written" and backend is None:
        return script
    from runner.scripts.rewriting import rewritten  # noqa: PLC0415 - most runs rewrite nothing

    return rewritten(script, flavour, backend)
