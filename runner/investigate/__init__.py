"""Why do outcomes differ? Pure searches that yield questions and are sent answers; they know no engine and no store."""

from runner.investigate.bisect import BisectRules, bisect
from runner.investigate.bisected import Bisection, Ending, Flip, Place, Told
from runner.investigate.evidence import Evidence, evidence_of, fault_of
from runner.investigate.question import Answers, Combination, Question, Questions, Search, answered

__all__ = [
    "Answers",
    "BisectRules",
    "Bisection",
    "Combination",
    "Ending",
    "Evidence",
    "Flip",
    "Place",
    "Question",
    "Questions",
    "Search",
    "Told",
    "answered",
    "bisect",
    "evidence_of",
    "fault_of",
]
