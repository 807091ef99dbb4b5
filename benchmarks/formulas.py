"""The formulas of the conformance cases as functions: any length, any seed; what is stretched is the shape.

Trends are stretched to the length that is asked for; what repeats (an oscillation, a report every 5 epochs) keeps its
period in epochs, because rule R5 counts turns an epoch. Spikes stay single values, tails keep their share.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable
    from random import Random

Values = list[float | None]
NAN, INF = math.nan, math.inf
PI2 = 2 * math.pi


@dataclass(frozen=True, kw_only=True)
class Formula:
    """A case; `lengths` None: its length is part of the case. `base` is the length that its times are written for."""

    make: Callable[[Shape], Values]
    base: int = 50
    lengths: tuple[int, int] | None = (25, 200)
    steps: Callable[[Shape], list[float]] | None = None


@dataclass(frozen=True, kw_only=True)
class Shape:
    """Where a series is evaluated: `n` epochs that cover the `base` epochs of the formula."""

    n: int
    base: int
    random: Random = field(repr=False)

    def of(self, function: Callable[[float], float]) -> Values:
        """The values of a function of the stretched epoch."""
        return [function(self.at(epoch)) for epoch in range(self.n)]

    def at(self, epoch: int) -> float:
        """The epoch of the formula that an epoch stands for."""
        return epoch * (self.base - 1) / (self.n - 1) if self.n > 1 else 0.0

    def put(self, values: Values, *points: tuple[int, float]) -> Values:
        """Put single values at epochs of the formula."""
        for epoch, value in points:
            values[round(epoch * (self.n - 1) / (self.base - 1))] = value
        return values

    def tail(self, length: int) -> int:
        """How many epochs a tail of `length` epochs of the formula has."""
        return max(1, round(length * self.n / self.base))

    def noise(self, spread: float) -> float:
        return self.random.gauss(0, spread)


def decay(tau: float, floor: float = 0.0, height: float = 1.0) -> Callable[[float], float]:
    return lambda t: floor + height * math.exp(-t / tau)


def rising(tau: float, start: float, height: float) -> Callable[[float], float]:
    return lambda t: start + height * (1 - math.exp(-t / tau))


def smooth(function: Callable[[float], float], spread: float = 0.0, **known: Any) -> Formula:
    def make(s: Shape) -> Values:
        return s.of(lambda t: function(t) + (s.noise(spread) if spread else 0.0))

    return Formula(make=make, **known)


def spiked(function: Callable[[float], float], *points: tuple[int, float], **known: Any) -> Formula:
    return Formula(make=lambda s: s.put(s.of(function), *points), **known)


def with_tail(head: Callable[[float], float], tail: Callable[[float], float], length: int, **known: Any) -> Formula:
    """A head, then a tail of `length` epochs of the formula; the tail's function runs from 0 to 1."""

    def make(s: Shape) -> Values:
        m = s.tail(length)
        return s.of(head)[: s.n - m] + [tail(k / max(1, m - 1)) for k in range(m)]

    return Formula(make=make, **known)


def fixed(*values: float | None) -> Formula:
    return Formula(make=lambda _: list(values), base=max(2, len(values)), lengths=None)


def constant(value: float | None, base: int = 50) -> Formula:
    return Formula(make=lambda s: [value] * s.n, base=base, lengths=(base // 2, 4 * base))


def between(points: list[float]) -> Callable[[float], float]:
    """Straight lines through points that lie evenly from 0 to 1."""

    def at(x: float) -> float:
        position = x * (len(points) - 1)
        left = min(int(position), len(points) - 2)
        return points[left] + (position - left) * (points[left + 1] - points[left])

    return at


def each_epoch(function: Callable[[int, float], float], base: int = 50, shortest: int = 25) -> Formula:
    """What depends on the epoch itself and on the stretched one."""
    return Formula(make=lambda s: [function(t, s.at(t)) for t in range(s.n)], base=base, lengths=(shortest, 4 * base))


def every_fifth(s: Shape) -> Values:
    return [math.exp(-s.at(t) / 8) if t % 5 == 4 else None for t in range(s.n)]


def lognormal_floor(s: Shape) -> Values:
    return s.of(lambda t: max(2.3 * math.exp(-3 * t), 1e-3 * math.exp(s.noise(0.5))))


def steps_falling(s: Shape) -> list[float]:
    k = s.random.randint(250, 1000)
    return [2.3 - 1.5 * i / k for i in range(k)]


def steps_nan(s: Shape) -> list[float]:
    k = s.random.randint(250, 1000)
    own = [0.5 + 2 * math.exp(-5 * i / k) + s.noise(0.2) for i in range(k)]
    return [value if i < 0.6 * k else NAN for i, value in enumerate(own)]


def overfit(t: float) -> float:
    return 1 - 0.03 * t if t < 20 else 0.4 + 0.01 * (t - 20)


FORMULAS: dict[str, Formula] = {
    "exp-decay": smooth(decay(8)),
    "exp-decay-noise": smooth(decay(5, 0.1, 2.2), 0.02),
    "power-law": smooth(lambda t: 1 / (1 + t)),
    "linear-decline-noise": smooth(lambda t: 1 - 0.018 * t, 0.02),
    "slow-exp": smooth(decay(40)),
    "log-decline": smooth(lambda t: 5 - math.log(1 + t)),
    "stuck-ln2": smooth(lambda _: 0.6931, 0.002),
    "stuck-slow-drift": smooth(lambda t: 2.303 - 0.0005 * t),
    "stuck-noisy": smooth(lambda _: 2.303, 0.05),
    "grow-exp": smooth(lambda t: math.exp(t / 5), base=30, lengths=(15, 120)),
    "grow-slow": smooth(lambda t: 2.3 + 0.01 * t),
    "learn-then-blow-up": with_tail(decay(8), lambda x: 0.01 * 4 ** (7 * x), 8),
    "lost-half": smooth(lambda t: decay(4, 0.1, 2)(t) if t < 30 else 0.1 + 0.055 * (t - 29)),
    "overfit-val-loss": smooth(overfit),
    "sine-flat": each_epoch(lambda t, _: 1 + 0.5 * math.sin(PI2 * t / 7)),
    "white-noise": smooth(lambda _: 1.0, 0.3),
    "spike-recovers": spiked(decay(8), (25, 50)),
    "spike-late-recovers": spiked(decay(8), (47, 50)),
    "two-spikes": spiked(decay(4, 0.05), (30, 5), (40, 5)),
    "spike-last-epoch-small": spiked(decay(8), (49, 0.5)),
    "nan-last-epoch-only": spiked(decay(8), (49, NAN)),
    "nan-from-middle": smooth(lambda t: decay(8)(t) if t < 20 else NAN),
    "nan-first-epoch-all": constant(NAN, base=10),
    "inf-first-then-finite": spiked(decay(8), (0, INF)),
    "nan-middle-epoch-recovers": spiked(decay(8), (25, NAN)),
    "exactly-zero": constant(0.0, base=20),
    "constant": constant(0.6931, base=20),
    "decays-to-exact-zero": smooth(lambda t: max(0.0, 1 - t / 10)),
    "periodic-decreasing-small": each_epoch(lambda t, u: 1 - 0.018 * u + 0.02 * math.sin(PI2 * t / 6)),
    "periodic-decreasing-large": each_epoch(lambda t, u: 1 - 0.01 * u + 0.25 * math.sin(PI2 * t / 8)),
    "loglik-to-negative": smooth(rising(6, 2, -12)),
    "elbo-negative-diverges": smooth(lambda t: rising(3, -100, -20)(t) if t < 35 else -120 + 8 * (t - 34)),
    "huge-scale": smooth(decay(8, 0.05e12, 1e12)),
    "tiny-scale": smooth(decay(8, 0.05e-12, 1e-12)),
    "huge-scale-linear": smooth(lambda t: 1e12 * (1 - 0.018 * t)),
    "huge-first-epoch-skipped": spiked(lambda t: 300 - 250 * (t - 1) / 48, (0, 5e4)),
    "drop-in-one-epoch": Formula(make=lambda s: [2.3, *(0.1 + s.noise(0.005) for _ in range(s.n - 1))]),
    "noisy-floor-lognormal": Formula(make=lognormal_floor),
    "late-drop-grokking": with_tail(lambda _: 2.3, between([1.5, 1, 0.7, 0.5, 0.4]), 5),
    "growing-oscillation": each_epoch(lambda t, u: 1 + 0.02 * 1.12**u * math.cos(math.pi * t), base=40, shortest=20),
    "three-spikes-in-100": spiked(decay(8, 0.05), (50, 5), (65, 5), (80, 5), base=100, lengths=(50, 400)),
    "spike-in-20-epochs": spiked(decay(2, 0.05), (14, 5), base=20, lengths=(15, 80)),
    "two-spikes-in-20": spiked(decay(2, 0.05), (12, 5), (16, 5), base=20, lengths=(15, 80)),
    "crosses-zero": smooth(rising(6, 10, -20)),
    "noise-around-zero": smooth(lambda _: 0.0, 0.01),
    "long-noisy-flat": smooth(decay(10, 0.3, 0.7), 0.03, base=300, lengths=(150, 1200)),
    "noisy-flat-tail": smooth(decay(3, 0.5, 1.5), 0.04, base=20, lengths=(15, 80)),
    "lucky-dip": spiked(decay(5, 0.5, 0.5), (30, 0.05)),
    "late-rise": with_tail(decay(8), lambda _: 0.4, 4),
    "loglik-starts-at-zero": smooth(rising(6, 0.01, -20), 0.1),
    "large-offset": smooth(rising(6, -1000500, -400)),
    "one-point-nan": fixed(NAN),
    "one-point-target": fixed(5e-5),
    "two-points-down": fixed(2.3, 0.5),
    "two-points-flat": fixed(2.3, 2.29),
    "three-points-down": fixed(2.3, 1.1, 0.7),
    "five-linear": fixed(1, 0.8, 0.6, 0.4, 0.2),
    "five-flattening": fixed(2.3, 0.3, 0.15, 0.14, 0.139),
    "ten-alternating": each_epoch(lambda t, _: 1 - 0.5 * (t % 2), base=10, shortest=10),
    "one-epoch-steps-falling": Formula(make=lambda _: [1.6], base=1, lengths=None, steps=steps_falling),
    "one-epoch-steps-nan": Formula(make=lambda _: [NAN], base=1, lengths=None, steps=steps_nan),
    "empty": fixed(),
    "never-reported": constant(None, base=10),
    "target-missed-falling": smooth(decay(40)),
    "target-hit-last-epoch": smooth(lambda t: 10 ** (-t / 5), base=22, lengths=(11, 88)),
    "target-met-then-nan": spiked(lambda _: 1e-5, (49, NAN)),
    "target-met-then-nan-best": spiked(lambda _: 1e-5, (49, NAN)),
    "target-met-then-exploded": spiked(decay(4), (49, 50)),
    "target-met-though-grew": smooth(lambda t: 1 + 0.06 * t),
    "target-beats-oscillation": each_epoch(lambda t, _: 1e-5 * (1 + 0.5 * math.sin(t))),
    "accuracy-rises": smooth(rising(6, 0.1, 0.85)),
    "accuracy-target": smooth(rising(6, 0.1, 0.85)),
    "accuracy-collapses": with_tail(rising(6, 0.1, 0.8), lambda _: 0.1, 10),
    "late-metric": Formula(make=lambda s: [*[None] * s.tail(5), *s.of(decay(8))[: s.n - s.tail(5)]], base=55),
    "val-every-5": Formula(make=every_fifth, base=100, lengths=(75, 400)),
    "late-drop-stopped-early": with_tail(lambda _: 2.3, between([1, 0.7, 0.5, 0.4]), 4),
    "overfit-checkpointed": smooth(overfit),
    "ref-wrong-basin": smooth(decay(2, 2.303, 0.7)),
    "ref-huge-start": spiked(lambda _: 300, (0, 5e4)),
    "no-ref-wrong-basin": smooth(decay(2, 2.303, 0.7)),
}
