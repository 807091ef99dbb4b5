"""A process on a system that is not POSIX, as far as that can be had here: run by `test_other_hosts.py`.

What only POSIX has is taken away from `runner` alone: the libraries that it uses have their own ways on each system.
"""

from __future__ import annotations

import importlib
import importlib.abc
import json
import os
import pkgutil
import signal
import socket
import sys
import types
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable

MODULES = {"fcntl", "resource", "pwd", "grp", "termios", "tty", "pty", "syslog", "crypt", "posix"}
OF_OS = [
    "O_NOFOLLOW",
    "O_DIRECTORY",
    "O_NONBLOCK",
    "O_CLOEXEC",
    "O_PATH",
    "O_SYNC",
    "sched_getaffinity",
    "sched_setaffinity",
    "geteuid",
    "getuid",
    "getegid",
    "getgid",
    "getgroups",
    "setuid",
    "setgid",
    "chown",
    "lchown",
    "fchown",
    "fchmod",
    "fork",
    "forkpty",
    "killpg",
    "setsid",
    "getpgid",
    "getpgrp",
    "getsid",
    "statvfs",
    "fstatvfs",
    "mkfifo",
    "mknod",
    "uname",
    "nice",
    "getpriority",
    "getloadavg",
    "sysconf",
    "wait3",
    "wait4",
    "waitid",
    "WNOHANG",
    "pread",
    "pwrite",
    "posix_fallocate",
    "set_blocking",
]
SIGNALS = [
    "SIGHUP",
    "SIGKILL",
    "SIGCHLD",
    "SIGPIPE",
    "SIGCONT",
    "SIGXFSZ",
    "SIGUSR1",
    "SIGALRM",
    "pthread_sigmask",
    "set_wakeup_fd",
]
LACKED = {"os": OF_OS, "signal": SIGNALS, "socket": ["AF_UNIX", "SO_PEERCRED"]}


def asks(depth: int) -> bool:
    """True where the code that wants something is `runner`'s."""
    frame: Any = sys._getframe(depth)
    while frame is not None and "importlib" in frame.f_globals.get("__name__", ""):
        frame = frame.f_back
    return frame is not None and frame.f_globals.get("__name__", "").startswith("runner")


class Missing(importlib.abc.MetaPathFinder):
    """Refuses modules to `runner`."""

    def find_spec(self, name: str, *_: object) -> None:
        if name in MODULES and asks(2):
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)


class Lacking(types.ModuleType):
    """A module that has less for `runner`, and some of it in another form."""

    def __getattribute__(self, name: str) -> Any:
        if asks(2):
            module = super().__getattribute__("__name__")
            if name in LACKED.get(module, ()):
                raise AttributeError(f"module {module!r} has no attribute {name!r}")
            if module == "os" and name in OTHERWISE:
                return OTHERWISE[name]
        return super().__getattribute__(name)


def take_away() -> None:
    """Make this process one on another system."""
    for name in MODULES:
        sys.modules.pop(name, None)
    sys.meta_path.insert(0, Missing())
    for module in (os, signal, socket):
        module.__class__ = Lacking


def _by_path_alone(act: Callable[..., Any]) -> Callable[..., Any]:
    def acted(place: Any = ".", *more: Any, **named: Any) -> Any:
        if any(named.pop(name, None) is not None for name in ("dir_fd", "src_dir_fd", "dst_dir_fd")):
            raise NotImplementedError(f"{act.__name__}: unavailable on this platform")
        if act.__name__ in {"scandir", "listdir"} and isinstance(place, int):
            raise TypeError(f"{act.__name__}: an int is no path on this platform")
        if act.__name__ == "open" and Path(place).is_dir():
            raise PermissionError(13, "Permission denied", str(place))
        return act(place, *more, **named)

    return acted


BY_PATH = ("open", "stat", "unlink", "mkdir", "rmdir", "rename", "replace", "chmod", "scandir", "listdir")
OTHERWISE: dict[str, Any] = {name: _by_path_alone(getattr(os, name)) for name in BY_PATH}
OTHERWISE |= {"supports_dir_fd": set(), "supports_fd": set(), "supports_follow_symlinks": set()}


def imported() -> list[str]:
    """The modules of `runner`, each imported; the probe's run in the trial, and stand apart."""
    runner = importlib.import_module("runner")
    names = [found.name for found in pkgutil.walk_packages(runner.__path__, "runner.")]
    names = [name for name in names if not name.startswith(("runner.probe.", "runner.history.looking."))]
    for name in names:
        if name not in {"runner.__main__", "runner.tox_plugin"}:
            importlib.import_module(name)
    return names


def main(folder: Path) -> None:
    """Import everything, then go through the commands; what they came to is printed as one line of JSON."""
    take_away()
    names = imported()
    from fake_engine import FakeEngine, world_of, write_matrix

    from runner.cli.app import run_command_line
    from runner.open_folder import BY_DESCRIPTOR

    write_matrix(folder)
    (folder / "train.py").write_text("from keras.optimizers import Adam\n\nAdam(lr=0.1)\n", "utf-8")
    os.chdir(folder)
    world = world_of(FakeEngine())
    lines = (
        "matrix.yaml",
        "matrix.yaml --again",
        "plan",
        "table",
        "show six=1.15.0,script=a.py",
        "publish --to site",
        "publish --from site/results.json --to again",
        "check train.py --to keras==3.3.3",
        "clean --older-than 0",
    )
    codes = {line: run_command_line(line.split(), world) for line in lines}
    write_matrix(folder.with_name("linked"))
    (folder.with_name("linked") / ".runner").symlink_to(folder)
    codes["linked"] = run_command_line([str(folder.with_name("linked") / "matrix.yaml")], world)
    print(json.dumps({"modules": len(names), "by_descriptor": BY_DESCRIPTOR, "codes": codes}))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
