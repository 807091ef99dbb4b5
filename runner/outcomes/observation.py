"""What is kept of a trial once it is judged: its key, and the few figures that cells, comparisons and reports ask for.

The records of a large matrix, with all their epochs, would fill the memory. Whoever needs more than this takes the
record itself, which is read again by its key, a trial at a time.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from functools import lru_cache
from typing import TYPE_CHECKING, TypeVar, cast

from runner.outcomes.fingerprint import Fingerprint, fingerprint, normalised, told_message
from runner.outcomes.verdict import Basis
from runner.trials.record import Record

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable, Iterable

    from runner.outcomes.verdict import Verdict
    from runner.trials.record import Stage

    Read = Callable[[str], Record]
    """Reads a record again by its key."""
    AnyTrial = tuple["Observation | Record", Verdict]
    """A trial with its verdict, as it is handed in."""


_Value = TypeVar("_Value", bound="Hashable")


@dataclass(frozen=True, kw_only=True, slots=True)
class Circumstances:
    """What a trial ran in, as most trials of an environment share it."""

    engine: str
    image: str | None
    base_identity: str | None
    runtime: str
    emulated: str
    python: str | None
    network: bool
    imported: tuple[tuple[str, str], ...]
    """The versions of packages as they were really imported, by module."""
    rewritten: str
    """The changes of the import flavour to the script."""

    @classmethod
    def of(cls, record: Record) -> Circumstances:
        """Those of a record."""
        return cls(
            engine=record.engine,
            image=record.image,
            base_identity=record.base_identity,
            runtime=record.runtime,
            emulated=record.emulated,
            python=record.python,
            network=record.network,
            imported=tuple((name, package.version) for name, package in record.packages.items()),
            rewritten=record.rewritten,
        )


@dataclass(frozen=True, kw_only=True, slots=True)
class Observation:
    """A finished trial, or why there was none, without what only its own page shows."""

    key: str
    seed: int
    started_at: str
    duration_s: float
    stage: Stage
    exit_code: int | None
    ran: bool
    """False of the record of an environment that could not be made."""
    identity: bytes | None
    """Shared by trials that are copies of each other; None where that is not known."""
    epoch_s: float | None
    peak_memory_bytes: int | None
    processor: str | None
    device: str | None
    pair: str
    circumstances: Circumstances
    raised: str
    """The type of the exception that ended it; empty where none did."""
    fingerprint: Fingerprint | None
    told: str
    """The message of what ended it, as people read it."""
    source: Record | Read = field(repr=False, compare=False)
    """Its record, or what reads that."""

    @classmethod
    def of(cls, record: Record, read: Read | None = None) -> Observation:
        """What is kept of a record; without `read` the record stays with it."""
        mark = fingerprint(record)
        return cls(
            key=record.key,
            seed=record.seed,
            started_at=record.started_at,
            duration_s=record.duration_s,
            stage=record.stage,
            exit_code=record.exit_code,
            ran=record.ran,
            identity=record.identity,
            epoch_s=record.epoch_s,
            peak_memory_bytes=record.peak_memory_bytes,
            processor=record.processor and _shared(record.processor),
            device=record.device and _shared(record.device),
            pair=record.pair,
            circumstances=_shared(Circumstances.of(record)),
            raised=_shared(record.exception.type) if record.exception is not None else "",
            fingerprint=mark and _shared(mark),
            told=_shared(told_message(record)),
            source=record if read is None else read,
        )

    @property
    def emulated(self) -> str:
        """The platform that it ran on, where that was emulated."""
        return self.circumstances.emulated

    @property
    def record(self) -> Record:
        """All that is known of it. Raises UsageError where it was removed meanwhile."""
        return self.source if isinstance(self.source, Record) else self.source(self.key)


def _shared(value: _Value) -> _Value:
    """An equal value, of which trials that came one after another keep the same one."""
    return cast("_Value", _first(value))


@lru_cache(maxsize=1024)
def _first(value: Hashable) -> Hashable:
    return value


def observed(trial: AnyTrial) -> tuple[Observation, Verdict]:
    """A trial as it is kept."""
    one, verdict = trial
    return (Observation.of(one) if isinstance(one, Record) else one), verdict


def fault(trial: AnyTrial) -> Fingerprint | None:
    """The fingerprint of what ended a trial, where that gave it its label; None where its series did."""
    one, verdict = trial
    if verdict.basis is not Basis.PROCESS:
        return None
    return fingerprint(one) if isinstance(one, Record) else one.fingerprint


class SharedFingerprint:
    """The fingerprint that trials share as people read it: what varies, by word, is left out of its message alone."""

    def __init__(self) -> None:
        """No trial is known yet."""
        self._found: Fingerprint | None = None
        self._words: list[str] | None = None
        """Those of the first trial; None where trials have different numbers of them."""
        self._varies: list[bool] = []
        self._begun = False

    def add(self, one: Observation) -> None:
        """Take in a further trial."""
        told = one.told.split()
        if not self._begun:
            self._found, self._words, self._varies, self._begun = one.fingerprint, told, [False] * len(told), True
        elif self._words is not None and len(told) == len(self._words):
            if told != self._words:
                pairs = zip(self._varies, told, self._words, strict=True)
                self._varies = [known or mine != other for known, mine, other in pairs]
        else:
            self._words = None

    @property
    def shown(self) -> Fingerprint | None:
        """What the trials so far share."""
        if self._found is None or self._words is None:
            return self._found
        both = zip(self._varies, self._words, strict=True)
        return replace(self._found, message=" ".join(normalised(word) if varies else word for varies, word in both))


def shown(observations: Iterable[Observation]) -> Fingerprint | None:
    """The fingerprint that trials share as people read it."""
    together = SharedFingerprint()
    for one in observations:
        together.add(one)
    return together.shown
