"""What the trials of one combination have shown: the answer to a question, as counts that a search can weigh.

Made from a cell's outcome by `evidence_of`; success and the fault of each failure are all that searches see.
"""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from runner.outcomes.fingerprint import fingerprint
from runner.outcomes.tally import seeds_wanted, tally
from runner.outcomes.verdict import Label, Standing, standing

if TYPE_CHECKING:
    from collections.abc import Sequence

    from runner.matrix.model import Seeds
    from runner.outcomes.tally import Trial

_ENVIRONMENT = frozenset({Label.UNRESOLVABLE, Label.IMAGE_BUILD_FAILED, Label.INSTALL_FAILED, Label.DOWNLOAD_FAILED})
"""Labels of trials whose script was never put to the test."""
_GONE_TYPES = frozenset({"AttributeError", "ImportError", "ModuleNotFoundError"})
_GONE = re.compile(r".*? has no attribute '\w+'|cannot import name '\w+'|No module named '[\w.]+'")
_NO_LIMIT = 1_000_000
"""How many seeds a combination may get is for the search to say."""
_SAYS_NOTHING = frozenset({Label.UNKNOWN, Label.TOO_SHORT, Label.NO_METRICS})


@dataclass(frozen=True, kw_only=True)
class Evidence:
    """The trials of one combination, all that are known; every count is of distinct observations."""

    good: int = 0
    """How many succeeded."""
    faults: tuple[tuple[str, int], ...] = ()
    """(fault, how many failed by it), the most frequent first. Trials with the same fault failed for the same
    reason."""
    trials: int = 0
    """How many trials ran, whether they count or not."""
    certain: bool = False
    """Whether chance plays no part: the trials are copies of each other, or crashed alike before training."""
    exhausted: bool = False
    """Whether further trials would tell, or be, nothing more."""
    blocked: str = ""
    """Why the script can't be put to the test here at all: no lock, no image; empty where it can."""
    contents: tuple[tuple[str, str], ...] = ()
    """(component, version) of all that the environment really holds, CPython as `python`; empty where not known."""

    @property
    def fault(self) -> str | None:
        """The most frequent fault."""
        return self.faults[0][0] if self.faults else None

    def bad(self, fault: str | None) -> int:
        """How many failed by this fault; None: by any."""
        return sum(number for name, number in self.faults if fault is None or name == fault)

    def other(self, fault: str | None) -> int:
        """How many failed by another fault."""
        return self.bad(None) - self.bad(fault)

    def testable(self, fault: str | None) -> bool:
        """Whether the trials can tell good from bad: not where most fail by another fault, or nothing counts."""
        if self.blocked or (self.exhausted and not self.good + self.bad(fault)):
            return False
        return self.other(fault) < 2 or self.other(fault) <= self.good + self.bad(fault)

    def closed(self) -> Evidence:
        """The same, with no more to be had."""
        return replace(self, exhausted=True)


def evidence_of(trials: Sequence[Trial], seeds: Seeds, *, contents: tuple[tuple[str, str], ...] = ()) -> Evidence:
    """The evidence in a cell's trials with their verdicts; `contents` is what the lock holds.

    Unlike an outcome it keeps apart why trials failed, and counts what blocks a cell or ends by a limit: where the bad
    cell hangs, or crashes before it trains, that is the fault to look for.
    """
    counts = tally(trials)
    told = [*counts.failures, *(trial for trial in (*counts.blocked, *counts.not_counted) if _tells(trial))]
    faults = Counter(fault_of(trial) for trial in told)
    environment = [verdict for _, verdict in counts.blocked if verdict.label in _ENVIRONMENT]
    endless = seeds if seeds.fixed else replace(seeds, lead=_NO_LIMIT, cap=_NO_LIMIT)
    alike = bool(counts.blocking(seeds)) or (len(told) > 1 and not counts.counted_trials and len(faults) == 1)
    return Evidence(
        good=len(counts.successes),
        faults=tuple(sorted(faults.items(), key=lambda item: (-item[1], item[0]))),
        trials=sum(record.ran for record, _ in counts.trials),
        certain=counts.seed_insensitive or alike,
        exhausted=bool(trials) and seeds_wanted(trials, endless) == 0,
        blocked=environment[0].reason if environment and not counts.counted_trials else "",
        contents=contents,
    )


def fault_of(trial: Trial) -> str:
    """Why a trial failed, such that trials that failed for the same reason have the same text.

    The fingerprint where there was an exception or an abnormal end; else `nan`, or `does not converge` for all other
    shapes of a loss, which differ from seed to seed. Where something is not there the advice that follows is left out:
    releases word it differently.
    """
    record, verdict = trial
    if (found := fingerprint(record)) is not None:
        gone = _GONE.match(found.message) if found.type in _GONE_TYPES else None
        return str(replace(found, message=gone.group()) if gone else found)
    return str(verdict.label) if verdict.label is Label.NAN else "does not converge"


def _tells(trial: Trial) -> bool:
    _, verdict = trial
    if standing(verdict.label) is Standing.BLOCKED:
        return verdict.label not in _ENVIRONMENT
    return verdict.label not in _SAYS_NOTHING
