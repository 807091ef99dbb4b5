"""`matrix.yaml` → `Matrix` → cells. These are the values; `load`, `settle`, `expand`, … are the stages."""

from runner.matrix.criterion import Comparison, Operator
from runner.matrix.model import (
    Axis,
    AxisKind,
    AxisValue,
    Became,
    Cell,
    Condition,
    DataMapping,
    Expectation,
    Experiment,
    Matrix,
    Partial,
    Position,
    Requirement,
    Resources,
    Seeds,
)

__all__ = [
    "Axis",
    "AxisKind",
    "AxisValue",
    "Became",
    "Cell",
    "Comparison",
    "Condition",
    "DataMapping",
    "Expectation",
    "Experiment",
    "Matrix",
    "Operator",
    "Partial",
    "Position",
    "Requirement",
    "Resources",
    "Seeds",
]
