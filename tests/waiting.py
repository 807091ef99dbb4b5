"""Waiting for a fact: a file, a row of the store, a process that is gone. No test waits for a length of time."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

PATIENCE_S = 300.0
"""Longer than anything here takes beside whatever load: only what never comes takes as long."""
_LOOK_EVERY_S = 0.02


def until(fact: Callable[[], object], what: str) -> None:
    """Wait for what is true sooner or later; `what` names it where it does not come."""
    deadline = time.monotonic() + PATIENCE_S
    while not fact():
        assert time.monotonic() < deadline, f"{what} did not come within {PATIENCE_S:.0f} s"
        time.sleep(_LOOK_EVERY_S)
