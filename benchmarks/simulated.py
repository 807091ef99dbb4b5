"""Cells with a known rate of success, as the runner sees them: real records, verdicts, stopping rule and outcomes."""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING

from runner.matrix.cell_id import CellId
from runner.matrix.model import Seeds
from runner.outcomes.judged_cell import JudgedCell, judge_cell
from runner.outcomes.tally import seeds_wanted
from runner.outcomes.verdict import Basis, Label, Verdict
from runner.trials.record import Phase, Record

if TYPE_CHECKING:
    from random import Random

    Trial = tuple[Record, Verdict]
    Counts = tuple[int, int]
    """How many trials succeeded and how many failed."""

SEEDS = Seeds()


@cache
def record(seed: int) -> Record:
    """A trial that ran to its end, with weights of its own."""
    phase = Phase(name="fit-1", initial_weights=f"i{seed}", final_weights=f"f{seed}")
    return Record(
        key=str(seed),
        cell={},
        seed=seed,
        engine="venv",
        started_at="2026-01-01T00:00:00+00:00",
        duration_s=1.0,
        stage="after-training",
        exit_code=0,
        probe_started=True,
        phases=(phase,),
    )


def trial(seed: int, final: float | None) -> Trial:
    """A trial that converged at a level, or (None) failed."""
    if final is None:
        return record(seed), Verdict(label=Label.NAN, basis=Basis.NON_FINITE, reason="simulated")
    verdict = Verdict(label=Label.CONVERGED, basis=Basis.TARGET, reason="simulated", final=final, y0=1.0, scale=1.0)
    return record(seed), verdict


@cache
def wanted(succeeded: int, failed: int) -> int:
    """How many more trials the sequential rule asks for; the order of trials does not matter to it."""
    return seeds_wanted(
        [*(trial(s, 1.0) for s in range(succeeded)), *(trial(99 + s, None) for s in range(failed))], SEEDS
    )


def play(random: Random, rate: float, counts: Counts = (0, 0), more: int = 0) -> Counts:
    """The counts of a cell when the sequential rule is done, after `more` trials that a comparison asked for."""
    succeeded, failed = counts
    while more or wanted(succeeded, failed):
        more = max(0, more - 1)
        if random.random() < rate:
            succeeded += 1
        else:
            failed += 1
    return succeeded, failed


@cache
def exactly(rate: float) -> dict[Counts, float]:
    """The probability of all counts that the sequential rule ends with."""
    ends: dict[Counts, float] = {}
    open_ = {(0, 0): 1.0}
    while open_:
        further: dict[Counts, float] = {}
        for (c, f), weight in open_.items():
            if not wanted(c, f):
                ends[c, f] = ends.get((c, f), 0.0) + weight
                continue
            further[c + 1, f] = further.get((c + 1, f), 0.0) + weight * rate
            further[c, f + 1] = further.get((c, f + 1), 0.0) + weight * (1 - rate)
        open_ = further
    return ends


@cache
def outcome(counts: Counts) -> JudgedCell:
    """The outcome of a cell without levels: only how often it succeeds is compared."""
    succeeded, failed = counts
    verdicts = [*[trial(0, 1.0)[1]] * succeeded, *[trial(0, None)[1]] * failed]
    bare = [
        (record(seed), Verdict(label=verdict.label, basis=verdict.basis, reason="simulated"))
        for seed, verdict in enumerate(verdicts)
    ]
    return judge_cell(CellId(()), bare, SEEDS)
