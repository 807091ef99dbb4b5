"""64 MiB of each kind of thing that a trial may say: read, stored and read back in less than 300 MB."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]

FLOOD = Path(__file__).with_name("flood.py")
MOST_MB = 300


@pytest.mark.parametrize(
    "kind",
    [
        "epochs",
        "wide",
        "loops",
        "phases",
        "packages",
        "warnings",
        "evaluations",
        "steps",
        "configs",
        "blank",
        "metrics",
    ],
)
def test_a_flood_of_one_kind_is_read_and_stored_in_little_memory(tmp_path: Path, kind: str) -> None:
    words = [sys.executable, str(FLOOD), kind, str(tmp_path)]
    done = subprocess.run(words, capture_output=True, text=True, check=False, env=os.environ, timeout=540)
    assert done.returncode == 0, done.stderr
    peak, epochs, kept = done.stdout.split()
    print(f"{kind}: {peak} MB, {epochs} epochs kept, {kept} bytes stored")
    assert float(peak) < MOST_MB
    assert int(kept) < 64 * 1024**2
