"""The epochs of a trial, kept as they come in a memory that is bounded whatever the trial says.

Takes epochs one by one. Where there are too many, every second one goes, again and again; the first and the last one
stay, and for each metric the first, the last, the smallest and the largest value and the first that is not finite.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from runner.trials.record import Epoch

EPOCHS: Final = 25_000
VALUES: Final = 400_000
"""So many of a trial are kept at most, of all metrics together."""
NAMES: Final = 500
"""So many metrics of a trial are kept: those that were named first."""


class EpochSeries:
    """Epochs in the order in which they came, thinned where they are too many."""

    def __init__(self, most: int = EPOCHS, most_values: int = VALUES, *, before: EpochSeries | None = None) -> None:
        """Keep at most so many epochs, and so many values in them, but for those that always stay.

        `before` is a series whose epochs are taken anew: what it left out counts here.
        """
        self._most, self._most_values = most, most_values
        self._full = 2 * most_values
        self._left_out = before.left_out if before else 0
        self._kept: list[tuple[int, Epoch]] = []
        self._seen = 0
        self._values = 0
        self._stride = 1
        self._names: dict[str, str] = {}
        self.strangers: int = before.strangers if before else 0

    def add(self, epoch: Epoch) -> None:
        """Take an epoch."""
        logs = self.known(epoch.logs)
        self._kept.append((self._seen, epoch.model_copy(update={"logs": logs})))
        self._seen += 1
        self._values += len(logs)
        if len(self._kept) > 2 * self._most or self._values > self._full:
            self._thin()

    def epochs(self) -> tuple[Epoch, ...]:
        """The epochs that are kept."""
        if len(self._kept) > self._most or self._values > self._most_values:
            self._thin()
        return tuple(epoch for _, epoch in self._kept)

    @property
    def left_out(self) -> int:
        """The number of epochs that are not kept."""
        return self._left_out + self._seen - len(self.epochs())

    def rule(self) -> str:
        """What was left out, and by which rule, in a sentence; empty where nothing was."""
        kept = len(self.epochs())
        parts = []
        if self.left_out:
            parts.append(
                f"{kept:,} of {kept + self.left_out:,} epochs are kept: every second one went, again and again, but the"
                " first and the last one, and of each metric the first, last, smallest and largest value and the first"
                " that is not finite"
            )
        if self.strangers:
            parts.append(f"{NAMES} metrics are kept; {self.strangers:,} values of others are not")
        return ". ".join(parts)

    def known(self, logs: Mapping[str, float]) -> dict[str, float]:
        """The values under names that are kept, each name in memory once."""
        known: dict[str, float] = {}
        for name, value in logs.items():
            if name not in self._names:
                if len(self._names) >= NAMES:
                    self.strangers += 1
                    continue
                self._names[name] = name
            known[self._names[name]] = value
        return known

    def _thin(self) -> None:
        staying = set(_staying([epoch for _, epoch in self._kept]))
        kept = self._kept
        places = list(range(len(kept)))
        while True:
            places = [place for place in places if kept[place][0] % self._stride == 0 or place in staying]
            values = sum(len(kept[place][1].logs) for place in places)
            if (len(places) <= self._most and values <= self._most_values) or len(places) <= len(staying) + 1:
                break
            self._stride *= 2
        self._kept, self._values = [kept[place] for place in places], values
        self._full = 2 * max(self._most_values, values)  # those that always stay may be more than `most_values`


def _staying(epochs: Sequence[Epoch]) -> Iterator[int]:
    """The places of the epochs that always stay."""
    yield from (0, len(epochs) - 1)
    ends: dict[str, list[int]] = {}
    wild: dict[str, int] = {}
    for place, epoch in enumerate(epochs):
        for name, value in epoch.logs.items():
            if not math.isfinite(value):
                wild.setdefault(name, place)
                continue
            first_last_low_high = ends.setdefault(name, [place] * 4)
            first_last_low_high[1] = place
            if value < epochs[first_last_low_high[2]].logs[name]:
                first_last_low_high[2] = place
            if value > epochs[first_last_low_high[3]].logs[name]:
                first_last_low_high[3] = place
    for places in ends.values():
        yield from places
    yield from wild.values()
