"""The build of PyTorch for processors only that tests run with: a wheel file in the folder RUNNER_WHEELS.

`pip download torch==2.13.0 --no-deps --python-version 3.11 --only-binary :all: -d FOLDER` fetches it where the index
has one.
"""

from __future__ import annotations

import os
from pathlib import Path

TORCH = "2.13.0"


def torch_wheel() -> Path | None:
    """The wheel file; None where there is none."""
    folder = os.environ.get("RUNNER_WHEELS")
    return next(Path(folder).glob(f"torch-{TORCH}*-cp311-*.whl"), None) if folder else None


def beside(folder: Path, wheel: Path) -> str:
    """Have a wheel file in the folder of a matrix, as a user has it; what `packages:` calls it there."""
    (folder / "wheels").mkdir()
    (folder / "wheels" / wheel.name).symlink_to(wheel)
    return f"./wheels/{wheel.name}"
