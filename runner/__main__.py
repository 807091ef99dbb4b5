"""`python -m runner`, and the console script `convergence-matrix`."""

from __future__ import annotations

import sys


def main() -> None:
    """Run the command line and exit with its code."""
    from runner.cli.app import run_command_line  # noqa: PLC0415 - importing this module alone stays free

    sys.exit(run_command_line(sys.argv[1:]))


if __name__ == "__main__":
    main()
