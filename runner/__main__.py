"""`python -m runner`, and the console script `convergence-matrix`."""

from __future__ import annotations

import gc
import sys

_COLLECTED_AFTER = (100_000, 50, 1000)
"""How many new objects are looked through for cycles at once: of the many values of a large matrix none is in one, and
looking through them took half of the time of its plan, and a sixth of that of the imports."""


def collect_rarely() -> None:
    """Have a process, which runs one command, look for cycles rarely; best before anything is imported."""
    gc.set_threshold(*_COLLECTED_AFTER)


def main() -> None:
    """Run the command line and exit with its code."""
    collect_rarely()
    from runner.cli.app import run_command_line  # noqa: PLC0415 - importing this module alone stays free

    sys.exit(run_command_line(sys.argv[1:]))


if __name__ == "__main__":
    main()
