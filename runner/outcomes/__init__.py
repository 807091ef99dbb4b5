"""Records become verdicts, the verdicts of a cell its outcome, outcomes a table and comparisons: pure, no I/O."""

from runner.outcomes.baseline import Baseline, baseline_of
from runner.outcomes.cell import Outcome, OutcomeKind, matches_expectation, outcome_of
from runner.outcomes.changes import Change, changes
from runner.outcomes.compared import Compared, compared
from runner.outcomes.comparing import all_pairs, compare, comparisons
from runner.outcomes.comparison import CellComparison, RateDifference
from runner.outcomes.control import Control, control
from runner.outcomes.fingerprint import Fingerprint, fingerprint
from runner.outcomes.footing import ComparisonLabel
from runner.outcomes.groups import FailureGroup, groups
from runner.outcomes.judge import judge
from runner.outcomes.judged import Judged, outcomes_of
from runner.outcomes.label import label_trial, verdict_of
from runner.outcomes.labels import Label, Standing, standing
from runner.outcomes.pairs import top_up
from runner.outcomes.ranges import sentences
from runner.outcomes.samples import Difference, DifferenceLabel, difference_of
from runner.outcomes.table import Row, row_of, table
from runner.outcomes.tally import most_trials, seeds_wanted, wants_more
from runner.outcomes.verdict import Basis, Reference, Verdict
from runner.outcomes.wording import figure_in_words

__all__ = [
    "Baseline",
    "Basis",
    "CellComparison",
    "Change",
    "Compared",
    "ComparisonLabel",
    "Control",
    "Difference",
    "DifferenceLabel",
    "FailureGroup",
    "Fingerprint",
    "Judged",
    "Label",
    "Outcome",
    "OutcomeKind",
    "RateDifference",
    "Reference",
    "Row",
    "Standing",
    "Verdict",
    "all_pairs",
    "baseline_of",
    "changes",
    "compare",
    "compared",
    "comparisons",
    "control",
    "difference_of",
    "figure_in_words",
    "fingerprint",
    "groups",
    "judge",
    "label_trial",
    "matches_expectation",
    "most_trials",
    "outcome_of",
    "outcomes_of",
    "row_of",
    "seeds_wanted",
    "sentences",
    "standing",
    "table",
    "top_up",
    "verdict_of",
    "wants_more",
]
