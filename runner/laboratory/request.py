"""The values of the laboratory's face: a `Request` goes in, an `Answer` comes out; a `Watcher` is told of its work."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol

from runner.engines.protocol import EngineKind

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from runner.engines.protocol import JobFolder
    from runner.environments.lock import Ground
    from runner.matrix.model import Cell
    from runner.trials.record import Record
    from runner.trials.trial import Setting, Trial


class Watcher(Protocol):
    """Hears of what is done for cells, as it happens; `environment` is called from several threads."""

    def note(self, text: str) -> None:
        """Take one line about the whole run."""

    def environment(self, name: str, text: str) -> None:
        """Take one line about a step in the making of an environment."""

    def trial_placed(self, trial: Trial, worker: str) -> None:
        """Take note of the worker of a cluster that a trial is about to begin on; not called on one machine."""

    def trial_started(self, trial: Trial, folder: JobFolder) -> None:
        """Take note that a trial began; its record channel grows in `folder`."""


class Silence:
    """A watcher that says nothing."""

    def note(self, text: str) -> None:
        """Ignore it."""

    def environment(self, name: str, text: str) -> None:
        """Ignore it."""

    def trial_placed(self, trial: Trial, worker: str) -> None:
        """Ignore it."""

    def trial_started(self, trial: Trial, folder: JobFolder) -> None:
        """Ignore it."""


if TYPE_CHECKING:
    More = Callable[["Answer"], Sequence[int]]
    """The further seeds of the same cell that an answer asks for; called on the thread that called `run`."""


@dataclass(frozen=True, kw_only=True)
class Request:
    """Trials of one cell with these seeds."""

    cell: Cell
    seeds: tuple[int, ...]
    before: int = 0
    """The number of trials that the cell has already: a first look at all cells comes before a second look at one."""
    further: bool = False
    """The environment was made for this cell before: where it can't be made now, that is no finding about the cell."""
    again: bool = False
    """Run although it is stored: what comes takes the place of what is there."""
    fresh: bool = False
    """Run in an image that is made anew, where the engine makes images."""
    pair: str = ""
    """Shared by requests whose trials run in turn, one of each cell after another; empty: in whatever order."""


@dataclass(frozen=True, kw_only=True)
class Answer:
    """One record of a requested cell: of a trial that ran now, of one that is stored, or why none can run."""

    cell: Cell
    seed: int
    record: Record
    stored: bool = False
    """It was there before, and nothing ran for it."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Stored:
    """Which stored records are looked at without asking an engine: those of any, or of one with its base images."""

    engine: EngineKind | None = None
    """None: of whatever engine and base images ran last."""
    identities: tuple[tuple[str, str], ...] = ()
    """The identity of all that a lock does not pin, by what the lock stands on (see `ground_under`)."""


def ground_under(engine: EngineKind, ground: Ground) -> str:
    """What a lock stands on under an engine, as what is kept of runs names it: only a container has a base image."""
    return str(ground) if engine is EngineKind.DOCKER else ground.python


@dataclass(frozen=True, kw_only=True)
class Known:
    """The stored records of a cell under the settings that hold now."""

    cell: Cell
    setting: Setting | None = None
    """None while the cell's environment is not known to be runnable."""
    records: Mapping[int, Record] = field(default_factory=dict)
    """The finished trials by seed; under seed 0 also the record that says why none can run."""
    put_off: bool = False
    """True where a run could not make the environment, for a reason that may be over by now."""
