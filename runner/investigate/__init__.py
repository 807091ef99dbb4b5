"""Why do outcomes differ? Pure searches that yield questions and are sent answers; they know no engine and no store."""

from runner.investigate.attribute import attribute
from runner.investigate.attributed import Attribution, Cause, Factor, Tried
from runner.investigate.bisect import BisectRules, bisect
from runner.investigate.bisected import Bisection, Flip, Place
from runner.investigate.evidence import Evidence, evidence_of, fault_of
from runner.investigate.inquiry import AttributeRules
from runner.investigate.intervene import InterveneRules, intervene
from runner.investigate.intervened import Interventions, Standing, Switching, Tested
from runner.investigate.question import Answers, BudgetSpentError, Combination, Question, Questions, Search, answered
from runner.investigate.told import Ending, Told
from runner.investigate.trace import Trace, TraceError, parse_trace
from runner.investigate.trace_difference import first_difference
from runner.investigate.traced import Compared, Quantity, TraceDifference, Where

__all__ = [
    "Answers",
    "AttributeRules",
    "Attribution",
    "BisectRules",
    "Bisection",
    "BudgetSpentError",
    "Cause",
    "Combination",
    "Compared",
    "Ending",
    "Evidence",
    "Factor",
    "Flip",
    "InterveneRules",
    "Interventions",
    "Place",
    "Quantity",
    "Question",
    "Questions",
    "Search",
    "Standing",
    "Switching",
    "Tested",
    "Told",
    "Trace",
    "TraceDifference",
    "TraceError",
    "Tried",
    "Where",
    "answered",
    "attribute",
    "bisect",
    "evidence_of",
    "fault_of",
    "first_difference",
    "intervene",
    "parse_trace",
]
