"""Starts the probe in a trial, then hands over to the sitecustomize that would have run without it.

The engine puts this folder first on PYTHONPATH and names the record channel in RUNNER_CHANNEL. Both are gone again
before the script's first line runs: the script, and every process that it starts, see the world as it would be
without the probe.
"""

import os
import sys

_FOLDER = os.path.dirname(os.path.abspath(__file__))
_SETTINGS = ("RUNNER_PROBE", "RUNNER_CHANNEL", "RUNNER_SEED", "RUNNER_SEEDING", "RUNNER_STEPS", "RUNNER_PRELUDES")


def _is_own(entry: str) -> bool:
    return bool(entry) and os.path.abspath(entry) == _FOLDER


def _start(settings: "dict[str, str]") -> None:
    try:
        import _runner_probe

        _runner_probe.start(settings)
    except Exception:
        # Without a channel there is nobody to tell: a trial whose probe never said that it started is `unknown`.
        pass


def _leave_no_trace() -> None:
    """Take this folder out of sys.path and PYTHONPATH, for the script and for its children."""
    sys.path[:] = [entry for entry in sys.path if not _is_own(entry)]
    entries = os.environ.get("PYTHONPATH", "").split(os.pathsep)
    others = [entry for entry in entries if not _is_own(entry)]
    if any(others):
        os.environ["PYTHONPATH"] = os.pathsep.join(others)
    else:
        os.environ.pop("PYTHONPATH", None)


def _chain() -> None:
    """Run the next sitecustomize on sys.path in this one's place; what it raises is reported by `site`, as ever."""
    from importlib.machinery import PathFinder
    from importlib.util import module_from_spec

    spec = PathFinder.find_spec("sitecustomize", sys.path)
    if spec is not None and spec.loader is not None:
        module = module_from_spec(spec)
        sys.modules["sitecustomize"] = module
        spec.loader.exec_module(module)


_given = {name: os.environ.pop(name) for name in _SETTINGS if name in os.environ}
if _given.get("RUNNER_CHANNEL"):
    _start(_given)
_leave_no_trace()
_chain()
