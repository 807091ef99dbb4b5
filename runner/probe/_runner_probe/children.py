"""Processes that the script starts: they find the probe where they inherit the environment, or are given one.

What `os.environ` hides is inherited all the same (see `entrance`), also where the script changes PYTHONPATH. An
environment that the script hands on is a copy of what it sees, and gets what is hidden from it. A worker that hands on
a result tells of its loops first: it may be ended at any moment after that.
"""

import os
import re
import sys

from .emitter import command_line
from .enclosing_importlib_bootstrap import enclosed
from .wrapping import nothing, put_around

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from .emitter import Emitter
    from .watched_imports import Hook

WORKERS = ("--multiprocessing-fork", "multiprocessing.forkserver", "popen_loky")
"""What the command lines of workers have in them: those of multiprocessing, and of joblib's loky."""
PATH = b"PYTHONPATH"
UNSEEN = 20
"""The number of processes that can't be seen that are told."""
OPTIONS = re.compile(r"-([bBdEhiIOPqRsSuvVx]*)([WX]?)(.*)", re.DOTALL)
"""Of Python itself: those without a value, then one that has a value, then what follows."""
TAKE_ENVIRONMENTS = ("execve", "posix_spawn", "posix_spawnp")


def looks_nowhere(words: "list[str]") -> bool:
    """True for the command line of a Python that ignores its variables or `site`: with `-I`, `-E` or `-S`."""
    rest = iter(words)
    if not os.path.basename(next(rest, "")).startswith("python"):
        return False
    for word in rest:
        options = OPTIONS.match(word)
        if options is None:
            return False
        flags, with_value, more = options.groups()
        if set(flags) & set("IES"):
            return True
        if more and not with_value:  # `-c`, `-m`
            return False
        if with_value and not more:
            next(rest, None)
    return False


def is_worker() -> bool:
    """True in a process that goes on with the script's work in a pool of some kind: its random state is its own."""
    return any(mark in word for word in command_line() for mark in WORKERS)


def install(settings: "dict[str, str]", folder: str, channel: "Emitter") -> "list[Hook]":
    """Follow the environments that go through `os`; (module name, hook) for what starts processes by itself."""
    environment = ChildEnvironment(settings, folder, channel)
    channel.shielded(environment.follow_path)()
    for name in TAKE_ENVIRONMENTS:
        if hasattr(os, name):
            setattr(os, name, environment.around(getattr(os, name), position=2, command=1))
    leave: Any = os._exit
    os._exit = enclosed(leave, channel.shielded(lambda *_: channel.hand_over(at_end=True)), nothing)
    return [
        ("subprocess", environment.watch_subprocess),
        ("multiprocessing.connection", lambda module: _watch_connections(module, channel)),
    ]


def _watch_connections(module: "Any", channel: "Emitter") -> None:
    """Every message of a worker goes through its connections."""

    def enter(*_: "Any") -> None:
        if channel.is_child():
            channel.hand_over()

    put_around(module.Connection, "_send_bytes", channel.shielded(enter), nothing)


class ChildEnvironment:
    """The settings of the probe, as they are put into environments of children."""

    def __init__(self, settings: "dict[str, str]", folder: str, channel: "Emitter") -> None:
        self._settings = settings
        self._folder = folder
        self._channel = channel
        self._unseen = 0

    def follow_path(self) -> None:
        """Keep the probe on the PYTHONPATH that children inherit, whatever the script makes of it."""
        put: Any = os.putenv

        def enter_put(args: "Any", kwargs: "Any") -> None:
            if os.fsencode(args[0]) == PATH:
                args[1] = os.fsencode(self._path(args[1]))

        def leave_unset(is_path: "Any", result: "Any", error: "Any") -> None:
            if is_path:
                put(PATH, os.fsencode(self._folder))

        shielded = self._channel.shielded
        os.putenv = enclosed(put, shielded(enter_put), nothing)
        is_path = shielded(lambda args, kwargs: os.fsencode(args[0]) == PATH)
        os.unsetenv = enclosed(os.unsetenv, is_path, shielded(leave_unset))
        for environ in (os.environ, getattr(os, "environb", None)):
            if hasattr(environ, "putenv"):  # CPython 3.8 and older
                environ.putenv, environ.unsetenv = os.putenv, os.unsetenv  # type: ignore[union-attr]

    def around(self, original: "Any", position: int, command: int) -> "Any":
        """A function that takes an environment (None: that of this process) at a position, or by the name `env`.

        The words of the `command` have a position too.
        """

        def enter(args: "Any", kwargs: "Any") -> None:
            self._tell_unseen([os.fsdecode(word) for word in args[command]])
            place: Any = args if len(args) > position else kwargs
            key: Any = position if len(args) > position else "env"
            given = place[key]
            if given is not None:
                place[key] = self._complete(given) if hasattr(given, "keys") else self._complete_list(given)

        return enclosed(original, self._channel.shielded(enter), nothing)

    def watch_subprocess(self, module: "Any") -> None:
        """The module `subprocess`, and the one in C behind it, which others use too."""
        behind = sys.modules.get("_posixsubprocess")
        for place, name in ((behind, "fork_exec"), (module, "_fork_exec")):
            original = getattr(place, name, None)
            if original is not None:
                setattr(place, name, self.around(original, position=5, command=0))

    def _tell_unseen(self, words: "list[str]") -> None:
        """Say that a Python is started which does not look where it would find the probe."""
        if looks_nowhere(words) and self._unseen < UNSEEN:
            self._unseen += 1
            self._channel.emit("unseen", argv=[word[:1000] for word in words[:100]])

    def _complete(self, given: "Any") -> "dict[Any, Any]":
        found = dict(given)
        path = found.pop(PATH, None) or found.pop("PYTHONPATH", None)
        return dict(found, PYTHONPATH=self._path(path), **self._settings)

    def _complete_list(self, given: "Any") -> "list[bytes]":
        pairs = (os.fsencode(entry).partition(b"=") for entry in given)
        complete = self._complete({name: value for name, _, value in pairs})
        return [os.fsencode(name) + b"=" + os.fsencode(value) for name, value in complete.items()]

    def _path(self, path: "Any") -> str:
        return os.pathsep.join([self._folder] + ([os.fsdecode(path)] if path else []))
