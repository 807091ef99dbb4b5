"""A figure that was asked for: what we took, what a named rival took, and whether that is enough.

A benchmark tells its figures by `tell`; where `python -m benchmarks` started it, they go into its results too.
"""

from __future__ import annotations

import json
import os
from pathlib import Path

KEPT = "BENCHMARKS_KEPT"
"""The variable that names the file into which figures are written, a line each."""


def tell(name: str, ours: float, rival: float, unit: str = "s") -> None:
    """Tell a figure by its name in `benchmarks.__main__.ASKED`: both sides, in the same unit, of one run."""
    print(f"{name}: {ours:.4g} {unit} against {rival:.4g} {unit}, {ours / rival:.3g} times", flush=True)
    if kept := os.environ.get(KEPT):
        with Path(kept).open("a", encoding="utf-8") as file:
            print(json.dumps({"name": name, "ours": ours, "rival": rival, "unit": unit}), file=file)
