"""The end of the process: the exception that ended the script, the packages it had imported, whether it was orderly.

A process that `os._exit`, a signal or an abort ends writes no `exit` event: that it is missing tells them from the
rest.
"""

import atexit
import functools
import linecache
import os
import re
import sys
import traceback

from .emitter import message_of
from .enclosing_importlib_bootstrap import enclosed
from .own_imports import is_standard
from .wrapping import nothing, put_around

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from .emitter import Emitter, ScriptProgress
    from .watched_imports import Hook

MESSAGE_CHARACTERS = 8000
TRACEBACK_CHARACTERS = 32000
KNOWN_AS = {
    "sklearn": "scikit-learn",
    "PIL": "pillow",
    "cv2": "opencv-python",
    "yaml": "pyyaml",
    "skimage": "scikit-image",
    "google": "protobuf",
    "dateutil": "python-dateutil",
    "absl": "absl-py",
    "attr": "attrs",
    "tensorflow_core": "tensorflow",
}
"""Modules whose distribution has another name."""

NESTED = ("tensorflow.python.keras", "tensorflow_core.python.keras", "tensorflow.keras")
"""Modules below the top that have a version of their own: the Keras inside of TensorFlow."""

_PROBE = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))


def install(channel: "Emitter", where: "ScriptProgress") -> "list[Hook]":
    """See uncaught exceptions and the interpreter's orderly end; (module name, hook) for ends of another kind."""
    ending = _Ending(channel, where)
    ending.install()
    return [("multiprocessing.process", ending.watch_processes)]


class _Ending:
    def __init__(self, channel: "Emitter", where: "ScriptProgress") -> None:
        self._channel = channel
        self._where = where
        self._folder = os.path.realpath(os.getcwd())
        self._raised = False
        self._next_hook: Any = None

    def install(self) -> None:
        self._next_hook = sys.excepthook
        sys.excepthook = self._excepthook
        atexit.register(_safely, self._at_exit)

    def watch_processes(self, module: "Any") -> None:
        """The module of multiprocessing's processes, which print an exception themselves and end with exit code 1."""

        def enter(args: "Any", kwargs: "Any") -> None:
            args[0].run = enclosed(args[0].run, nothing, functools.partial(_safely, self._leave_run))

        put_around(module.BaseProcess, "_bootstrap", self._channel.shielded(enter), nothing)

    def _leave_run(self, token: "Any", result: "Any", error: "Any") -> None:
        if error is None:
            return
        trace = error.__traceback__ = error.__traceback__.tb_next  # without the frame that leaves for here
        if issubclass(type(error), SystemExit):  # PyTorch's workers catch what is raised, and exit
            error = error.__context__ if error.code else None
            trace = getattr(error, "__traceback__", None)
        if issubclass(type(error), Exception):
            _safely(self._tell, error, trace)

    def _excepthook(self, kind: "type[BaseException]", error: "BaseException", trace: "Any") -> None:
        _safely(self._tell, error, trace)
        self._next_hook(kind, error, trace)  # which prints it, without the probe's frames

    def _at_exit(self) -> None:
        self._channel.settle()
        if sys.excepthook != self._excepthook and not self._raised:
            self._look_back()
        if self._channel.is_silent():
            return
        self._channel.emit("packages", packages=_safely(imported_packages) or {})
        self._channel.emit("exit", kind="exception" if self._raised else "normal")

    def _look_back(self) -> None:
        """The script has replaced the hook: the interpreter noted the exception all the same, before it called it."""
        error: Any = getattr(sys, "last_exc", None) or getattr(sys, "last_value", None)
        if issubclass(type(error), BaseException):
            _safely(self._tell, error, error.__traceback__)

    def _tell(self, error: "BaseException", trace: "Any") -> None:
        """Report an exception: what can be told of it, for its class may do anything while it is looked at."""
        self._channel.settle()
        self._raised = True
        _safely(_hide_probe, error)
        stage, phase = self._where.place_of(error)
        file, line, source = _safely(self._place, error, trace) or (None, None, None)
        self._channel.emit(
            "exception",
            type=_type_name(type(error)),
            message=message_of(error)[:MESSAGE_CHARACTERS],
            traceback=_safely(_traceback, error, trace) or _frames(error, trace),
            file=file,
            line=line,
            source=source,
            stage=stage,
            phase=phase,
        )

    def _place(self, error: "BaseException", trace: "Any") -> "tuple[str | None, int | None, str | None]":
        """File (relative to the working directory), line and text of the innermost frame that is the script's own."""
        places = []
        while trace is not None:
            places.append((trace.tb_frame.f_code.co_filename, trace.tb_lineno))
            trace = trace.tb_next
        if issubclass(type(error), SyntaxError):
            wrong: Any = error
            places += [(wrong.filename, wrong.lineno or 1)] if isinstance(wrong.filename, str) else []
        for name, line in reversed(places):
            file = self._own(name)
            if file is not None:
                source = linecache.getline(os.path.join(self._folder, file), line).strip()
                return file[:1000], line, source[:1000] or None
        return None, None, None

    def _own(self, name: str) -> "str | None":
        if name.startswith("<"):
            return None
        path = os.path.realpath(os.path.join(self._folder, name))
        inside = path.startswith(os.path.join(self._folder, ""))
        installed = "site-packages" in path or "dist-packages" in path or path.startswith(_PROBE)
        return os.path.relpath(path, self._folder) if inside and not installed else None


def _hide_probe(error: "BaseException") -> None:
    """Take the probe's own frames out of the tracebacks of an exception and of those behind it (not on CPython 3.6)."""
    seen: set[int] = set()
    waiting: list[BaseException | None] = [error]
    while waiting:
        one = waiting.pop()
        if one is None or id(one) in seen or sys.version_info < (3, 7):
            continue
        seen.add(id(one))
        waiting += [one.__cause__, one.__context__]
        trace = one.__traceback__
        while trace is not None:
            while trace.tb_next is not None and trace.tb_next.tb_frame.f_code.co_filename.startswith(_PROBE):
                trace.tb_next = trace.tb_next.tb_next
            trace = trace.tb_next


def _safely(function: "Callable[..., Any]", *args: "Any") -> "Any":
    """What a function gives; None where it raises anything, SystemExit too: how the script ends is the script's."""
    try:
        return function(*args)
    except BaseException:
        return None


def _type_name(kind: "type[BaseException]") -> str:
    """The name of a class, whatever its metaclass says."""
    module, name = (type.__dict__[one].__get__(kind) for one in ("__module__", "__qualname__"))
    parts = [name] if type(module) is not str or module == "builtins" else [module, ".", name]
    return "".join(parts)[:500]


def _traceback(error: "BaseException", trace: "Any") -> str:
    return _shortened(traceback.format_exception(type(error), error, trace))


def _frames(error: "BaseException", trace: "Any") -> str:
    """A traceback of the interpreter's own facts alone: no source, nothing that the script made."""
    lines = ["Traceback (most recent call last):\n"]
    while trace is not None:
        code = trace.tb_frame.f_code
        lines.append('  File "%s", line %d, in %s\n' % (code.co_filename, trace.tb_lineno, code.co_name))
        trace = trace.tb_next
    return _shortened([*lines, _type_name(type(error)) + "\n"])


def _shortened(lines: "list[str]") -> str:
    text = "".join(lines)
    if len(text) <= TRACEBACK_CHARACTERS:
        return text
    half = TRACEBACK_CHARACTERS // 2
    return text[:half] + "\n[...]\n" + text[-half:]


def imported_packages() -> "dict[str, dict[str, str]]":
    """{module: {"version": …, "file": …}} for every imported top-level module whose version can be told."""
    folders: dict[str, dict[str, str]] = {}
    found = {}
    for name in sorted(set(sys.modules) & _candidates()):
        names = _safely(vars, sys.modules[name]) or {}
        file = names.get("__file__")
        if not isinstance(file, str) or is_standard(file):
            continue
        version = _own_version(names) or _version_beside(name, file, folders)
        if version is not None:
            found[name] = {"version": version[:100], "file": file[:1000]}
    return found


def _candidates() -> "set[str]":
    return {name for name in sys.modules if "." not in name and not name.startswith("_")} | set(NESTED)


def _own_version(names: "dict[str, Any]") -> "str | None":
    # Not getattr: a module may import half a library for an attribute that it does not have.
    version = names.get("__version__")
    return version if isinstance(version, str) else None


def _version_beside(name: str, file: str, folders: "dict[str, dict[str, str]]") -> "str | None":
    """The version that the dist-info or egg-info folder beside a module has in its name."""
    folder = os.path.dirname(file)
    if os.path.basename(file).startswith("__init__."):
        folder = os.path.dirname(folder)
    if folder not in folders:
        folders[folder] = _distributions(folder)
    return folders[folder].get(_normal(KNOWN_AS.get(name, name)))


def _distributions(folder: str) -> "dict[str, str]":
    try:
        entries = os.listdir(folder)
    except OSError:
        return {}
    matches = (re.match(r"(.+?)-([0-9][^-]*)(?:-py[0-9.]+)?\.(?:dist|egg)-info$", entry) for entry in entries)
    return {_normal(match.group(1)): match.group(2) for match in matches if match}


def _normal(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()
