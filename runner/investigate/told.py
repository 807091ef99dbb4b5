"""The words of an account: what is said of a cell, and why a search ended."""

from __future__ import annotations

import enum


class Told(enum.StrEnum):
    """What is said of one cell."""

    GOOD = "good"
    BAD = "bad"
    AMBIGUOUS = "ambiguous"
    """Its seeds disagree, or are too few to tell, and there are no more to be had."""
    UNTESTABLE = "untestable"
    """It can't be put to the test, or fails by another fault."""
    UNTOLD = "untold"
    """Not tried, and too uncertain to be said: the budget ended first."""


class Ending(enum.StrEnum):
    """Why a search ended."""

    SURE = "sure"
    """It is as sure as was asked."""
    BUDGET = "budget"
    """No trials were left."""
    EXHAUSTED = "exhausted"
    """No further trial would tell more."""
