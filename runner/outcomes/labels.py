"""The labels of one trial (VERDICTS.md, 2) and how each counts for its cell (VERDICTS.md, 3)."""

from __future__ import annotations

import enum
from typing import assert_never


class Label(enum.StrEnum):
    """What one trial did. The order breaks ties: of two labels seen equally often a cell is named after the first."""

    UNRESOLVABLE = "unresolvable"
    IMAGE_BUILD_FAILED = "image-build-failed"
    INSTALL_FAILED = "install-failed"
    UNKNOWN = "unknown"
    OUT_OF_MEMORY = "out-of-memory"
    DOWNLOAD_FAILED = "download-failed"
    TIMEOUT = "timeout"
    CRASHED_IMPORT = "crashed-import"
    CRASHED_BUILD_MODEL = "crashed-build-model"
    CRASHED_TRAINING = "crashed-training"
    NO_METRICS = "no-metrics"
    NAN = "nan"
    CONVERGED = "converged"
    DIVERGED = "diverged"
    TOO_SHORT = "too-short"
    OSCILLATING = "oscillating"
    PLATEAUED = "plateaued"
    IMPROVING = "improving"
    SETTLED = "settled"


class Standing(enum.Enum):
    """How a label counts for its cell."""

    SUCCESS = "success"
    FAILURE = "failure"
    NOT_COUNTED = "not counted"
    BLOCKED = "blocked"


def standing(label: Label) -> Standing:
    """How `label` counts for its cell; a new label must be given its standing here."""
    match label:
        case Label.CONVERGED | Label.SETTLED:
            return Standing.SUCCESS
        case (
            Label.IMPROVING | Label.PLATEAUED | Label.DIVERGED | Label.NAN | Label.OSCILLATING | Label.CRASHED_TRAINING
        ):
            return Standing.FAILURE
        case Label.TIMEOUT | Label.OUT_OF_MEMORY | Label.TOO_SHORT | Label.NO_METRICS | Label.UNKNOWN:
            return Standing.NOT_COUNTED
        case (
            Label.UNRESOLVABLE
            | Label.IMAGE_BUILD_FAILED
            | Label.INSTALL_FAILED
            | Label.DOWNLOAD_FAILED
            | Label.CRASHED_IMPORT
            | Label.CRASHED_BUILD_MODEL
        ):
            return Standing.BLOCKED
        case _:
            assert_never(label)


def runs_that_block(label: Label) -> int:
    """How many trials with this blocked label, failing alike, decide a cell: what never ran the script needs one."""
    return 1 if label in {Label.UNRESOLVABLE, Label.IMAGE_BUILD_FAILED, Label.INSTALL_FAILED} else 2
