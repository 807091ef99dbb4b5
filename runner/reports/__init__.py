"""What a matrix came to, as files: a self-contained `results.json`, and every page and table made from it alone."""

from runner.reports.model import (
    SCHEMA_VERSION,
    Axis,
    Cell,
    Change,
    Commands,
    Comparison,
    Failure,
    Interval,
    Lock,
    Package,
    Report,
    Run,
    ScriptException,
    Seen,
    Trial,
    read_report,
)

__all__ = [
    "SCHEMA_VERSION",
    "Axis",
    "Cell",
    "Change",
    "Commands",
    "Comparison",
    "Failure",
    "Interval",
    "Lock",
    "Package",
    "Report",
    "Run",
    "ScriptException",
    "Seen",
    "Trial",
    "read_report",
]
