"""`matrix.yaml` → `Matrix` → cells. These are the values; `load`, `expand`, `releases`, … are the stages."""

from runner.matrix.criterion import Comparison, Operator
from runner.matrix.model import (
    Axis,
    AxisKind,
    AxisValue,
    Cell,
    DataMapping,
    Expectation,
    Experiment,
    Matrix,
    Partial,
    Position,
    Resources,
    Seeds,
)

__all__ = [
    "Axis",
    "AxisKind",
    "AxisValue",
    "Cell",
    "Comparison",
    "DataMapping",
    "Expectation",
    "Experiment",
    "Matrix",
    "Operator",
    "Partial",
    "Position",
    "Resources",
    "Seeds",
]
