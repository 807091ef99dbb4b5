"""The rules that label a trial, each in a sentence; docs/verdicts.md has them in full."""

from __future__ import annotations

RULES = {
    "process": "how the process ended decides, before any series is looked at",
    "no-value": "the judged metric was never reported",
    "non-finite": "the last value is NaN or infinite",
    "target": "the criterion holds at the end",
    "above-start": "it ended at more than twice its start",
    "few-epochs": "fewer than five values: is the last the lowest, 10 % of the start below it?",
    "reversals": "it zigzags by more than 10 % of its start, several times to the end",
    "above-own-best": "it ended more than 10 % of its start above its own best",
    "never-learned": "it never fell by 10 % of its start",
    "trend": "it was still falling over the last fifth",
    "target-missed": "there is a criterion, and it does not hold",
    "above-baseline": "it ended more than 10 % of the start above the baseline",
    "reference": "it came as low as the baseline",
    "shape": "it fell and flattened, and there is nothing to hold its level against",
}
"""By `Trial.basis`."""
