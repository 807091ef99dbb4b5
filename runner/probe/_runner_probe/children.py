"""Processes that the script starts: they find the probe where they inherit the environment, or are given one.

What `os.environ` hides is inherited all the same (see `entrance`). An environment that the script hands to
`subprocess` is a copy of what it sees, and gets what is hidden from it.
"""

import os

from .emitter import command_line
from .enclosing_importlib_bootstrap import enclosed

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from .emitter import Emitter


def is_worker() -> bool:
    """True in a process that multiprocessing made: it goes on with the script's work, its random state is its own."""
    return any(word == "--multiprocessing-fork" or "multiprocessing.forkserver" in word for word in command_line())


class ChildEnvironment:
    """The settings of the probe, as they are put into environments of children."""

    def __init__(self, settings: "dict[str, str]", folder: str, channel: "Emitter") -> None:
        self._settings = settings
        self._folder = folder
        self._seen_path = os.environ.get("PYTHONPATH")
        self._channel = channel

    def watch(self, module: "Any") -> None:
        """The module `subprocess`."""
        original = vars(module.Popen)["_execute_child"]
        names = original.__code__.co_varnames
        env, close_fds = names.index("env"), names.index("close_fds")

        def enter(args: "Any", kwargs: "Any") -> None:
            # `posix_spawn`, which is taken where descriptors are not closed, is handed os.environ.
            inherits = args[env] is None and args[close_fds] and os.environ.get("PYTHONPATH") == self._seen_path
            if not inherits:
                args[env] = self._complete(os.environ if args[env] is None else args[env])

        module.Popen._execute_child = enclosed(original, self._channel.shielded(enter), _nothing)

    def _complete(self, given: "Any") -> "dict[Any, Any]":
        found = dict(given)
        path = found.pop(b"PYTHONPATH", None) or found.pop("PYTHONPATH", None)
        entries = [self._folder] + ([os.fsdecode(path)] if path else [])
        return dict(found, PYTHONPATH=os.pathsep.join(entries), **self._settings)


def _nothing(*_: "Any") -> None:
    """For the end of the call."""
