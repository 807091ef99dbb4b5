"""The runner dies, or a call of it fails, where it touches the world; `crashes.py` does so at many more places."""

from __future__ import annotations

import os
import random
from typing import TYPE_CHECKING

import pytest
from crashes import WORKS, Stage, places

if TYPE_CHECKING:
    from pathlib import Path

FAULTS = int(os.environ.get("RUNNER_FAULTS", "6"))
"""So many a kind of work."""


@pytest.mark.slow
@pytest.mark.network
@pytest.mark.usefixtures("cpython_3_7")
@pytest.mark.parametrize(
    "name", [pytest.param(name, marks=pytest.mark.docker if "docker" in name else ()) for name in WORKS]
)
def test_after_a_fault_the_next_run_comes_to_the_same_table_and_nothing_is_left(name: str, tmp_path: Path) -> None:
    stage = Stage.made(WORKS[name], tmp_path / "stage")
    faults = places(stage, FAULTS, random.Random(name))
    found = {
        f"{fault} at {stage.touches[number - 1]}": trouble
        for fault, number in faults
        if (trouble := stage.trouble(fault, number))
    }
    assert found == {}
