"""Verified files on disk: every file of a lock, its hash checked, source distributions already built to wheels."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

    from runner.environments.model import Layer


@dataclass(frozen=True, kw_only=True, slots=True)
class WheelFile:
    """One wheel on disk with its own SHA-256 (hex), checked."""

    path: Path
    sha256: str
    layer: Layer


@dataclass(frozen=True, kw_only=True, slots=True)
class Wheelhouse:
    """All wheels that one lock installs."""

    wheels: tuple[WheelFile, ...]
