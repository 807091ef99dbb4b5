"""The judged trials of a large matrix, in a file: what a run holds in memory does not grow with their number.

What was used last is held as it is, so that a small matrix makes no file. The file has no name, lies beside the store
and is gone with the process. Of the values that many trials share one copy is held, and a number stands in the file.
"""

from __future__ import annotations

import marshal
from collections import OrderedDict
from collections.abc import Sequence
from operator import attrgetter
from tempfile import TemporaryFile
from threading import Lock
from typing import TYPE_CHECKING, Any, NamedTuple, overload
from weakref import finalize

from runner.outcomes.fingerprint import Fingerprint
from runner.outcomes.observation import Observation
from runner.outcomes.verdict import Verdict
from runner.trials.record import Record

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from io import FileIO
    from pathlib import Path

    from runner.outcomes.tally import Trial

MOST_HELD = 8_000
"""So many trials are held in memory, those that were used last: about 8 MB."""

SEEN = ("key", "seed", "started_at", "duration_s", "identity", "epoch_s", "peak_memory_bytes", "pair", "told")
"""What an observation does not share with others, but for its fingerprint."""
SEEN_OFTEN = ("stage", "exit_code", "ran", "processor", "device", "circumstances", "raised", "source")
FOUND = (
    *("reason", "y0", "end", "final", "best", "scale", "n"),
    *("first_non_finite_epoch", "first_non_finite_step", "first_met_epoch"),
)
"""What a verdict does not share with others."""
FOUND_OFTEN = ("label", "basis", "flags", "metric", "mode", "shape", "exceeds")
MARK = ("type", "message", "stage", "frame")

_seen, _seen_often, _mark = attrgetter(*SEEN), attrgetter(*SEEN_OFTEN), attrgetter(*MARK)
_found, _found_often = attrgetter(*FOUND), attrgetter(*FOUND_OFTEN)


class _Often(NamedTuple):
    """What trials share, as it is given to what makes them."""

    seen: Mapping[str, Any]
    found: Mapping[str, Any]


class KeptTrials(Sequence["Trial"]):
    """The trials of one cell, in their order: in memory while they were used of late, else in a file."""

    __slots__ = ("_file", "begin", "held", "number")

    def __init__(self, file: TrialFile, trials: tuple[Trial, ...]) -> None:
        self._file = file
        self.number = len(trials)
        self.held: tuple[Trial, ...] | None = trials
        self.begin: int | None = None
        """Where they begin in the file; None while they are not there."""

    def __len__(self) -> int:
        return self.number

    def __iter__(self) -> Iterator[Trial]:
        return iter(self._file.trials(self))

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Sequence) and tuple(self) == tuple(other)

    def __hash__(self) -> int:
        return hash(tuple(self))

    @overload
    def __getitem__(self, index: int) -> Trial: ...

    @overload
    def __getitem__(self, index: slice) -> Sequence[Trial]: ...

    def __getitem__(self, index: int | slice) -> Trial | Sequence[Trial]:
        return self._file.trials(self)[index]


class TrialFile:
    """Trials in memory and, beyond `most`, in a file without a name in `folder`; several threads may use it.

    Where the disk takes no more, what comes from then on stays in memory.
    """

    def __init__(self, folder: Path, most: int = MOST_HELD) -> None:
        """Nothing is made yet."""
        self._folder = folder
        self._most = most
        self._file: FileIO | None = None
        self._end = 0
        self._refused = False
        self._lock = Lock()
        self._numbers: dict[tuple[Any, ...], int] = {}
        self._often: list[_Often] = []
        self._held: OrderedDict[int, KeptTrials] = OrderedDict()
        """By their identity, those that were used last at the end."""
        self._number_held = 0

    def keep(self, trials: Sequence[Trial]) -> Sequence[Trial]:
        """The same trials; where one holds its record they stay as they are, as nothing could read that again."""
        if isinstance(trials, KeptTrials):
            return trials
        kept = tuple(trials)
        if not kept or any(isinstance(one.source, Record) for one, _ in kept):
            return kept
        with self._lock:
            made = KeptTrials(self, kept)
            self._hold(made)
        return made

    def trials(self, kept: KeptTrials) -> tuple[Trial, ...]:
        """The trials that are kept, as they are now in memory."""
        with self._lock:
            found = kept.held
            if found is None:
                found = kept.held = self._read(kept)
                self._hold(kept)
            else:
                self._held.move_to_end(id(kept))
            return found

    def _hold(self, kept: KeptTrials) -> None:
        self._held[id(kept)] = kept
        self._number_held += kept.number
        while self._number_held > self._most and len(self._held) > 1 and not self._refused:
            _, oldest = self._held.popitem(last=False)
            self._write(oldest)
            self._number_held -= oldest.number

    def _write(self, kept: KeptTrials) -> None:
        """Take trials out of memory; where the disk refuses, they stay."""
        if kept.begin is None:
            packed = marshal.dumps(list(map(self._packed, kept.held or ())))
            block = len(packed).to_bytes(4, "little") + packed
            try:
                if self._file is None:
                    self._file = TemporaryFile(dir=self._folder, buffering=0)  # noqa: SIM115 - open as long as this is
                    finalize(self, self._file.close)
                self._file.seek(self._end)
                self._refused = self._file.write(block) != len(block)
            except OSError:
                self._refused = True
            if self._refused:
                self._held[id(kept)] = kept
                return
            kept.begin = self._end
            self._end += len(block)
        kept.held = None

    def _read(self, kept: KeptTrials) -> tuple[Trial, ...]:
        assert self._file is not None and kept.begin is not None  # noqa: S101, PT018 - else they are held
        self._file.seek(kept.begin)
        length = int.from_bytes(self._file.read(4), "little")
        return tuple(map(self._unpacked, marshal.loads(self._file.read(length))))  # noqa: S302 - nobody else has the file

    def _packed(self, trial: Trial) -> tuple[Any, ...]:
        one, verdict = trial
        often = (*_seen_often(one), *_found_often(verdict))
        number = self._numbers.setdefault(often, len(self._often))
        if number == len(self._often):
            cut = len(SEEN_OFTEN)
            self._often.append(
                _Often(
                    seen=dict(zip(SEEN_OFTEN, often[:cut], strict=True)),
                    found=dict(zip(FOUND_OFTEN, often[cut:], strict=True)),
                )
            )
        mark = one.fingerprint
        return number, _seen(one), None if mark is None else _mark(mark), _found(verdict)

    def _unpacked(self, packed: tuple[Any, ...]) -> Trial:
        number, seen, mark, found = packed
        often = self._often[number]
        return (
            Observation(
                fingerprint=None if mark is None else Fingerprint(**dict(zip(MARK, mark, strict=True))),
                **dict(zip(SEEN, seen, strict=True)),
                **often.seen,
            ),
            Verdict(**dict(zip(FOUND, found, strict=True)), **often.found),
        )
