"""Records become verdicts, the verdicts of a cell its outcome, outcomes a table: pure functions, no I/O."""

from runner.outcomes.cell import Outcome, OutcomeKind, matches_expectation, outcome_of
from runner.outcomes.fingerprint import Fingerprint, fingerprint
from runner.outcomes.judge import judge
from runner.outcomes.label import label_trial, verdict_of
from runner.outcomes.labels import Label, Standing, standing
from runner.outcomes.table import Row, row_of, rows, table
from runner.outcomes.tally import most_trials, seeds_wanted, wants_more
from runner.outcomes.verdict import Basis, Verdict

__all__ = [
    "Basis",
    "Fingerprint",
    "Label",
    "Outcome",
    "OutcomeKind",
    "Row",
    "Standing",
    "Verdict",
    "fingerprint",
    "judge",
    "label_trial",
    "matches_expectation",
    "most_trials",
    "outcome_of",
    "row_of",
    "rows",
    "seeds_wanted",
    "standing",
    "table",
    "verdict_of",
    "wants_more",
]
