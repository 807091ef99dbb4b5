"""Why do two cells differ? Composes the searches of `investigate` with the trials of a session, into an account."""

from runner.explain.asking import Budget
from runner.explain.explaining import Explanation, explain

__all__ = ["Budget", "Explanation", "explain"]
