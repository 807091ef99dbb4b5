"""Starts the probe in a trial's process, then hands over to the sitecustomize that would have run without it.

An interpreter that is older than what the probe is for, started by a script, finds this file too: it does nothing
there.
"""

import os
import sys

if sys.version_info >= (3, 6):  # noqa: UP036 - a script may start any interpreter
    from _runner_probe import entrance

    entrance.enter(os.path.dirname(os.path.abspath(__file__)))
