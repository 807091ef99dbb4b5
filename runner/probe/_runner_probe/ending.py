"""The end of the process: the exception that ended the script, the packages it had imported, and that the end was orderly.

A process that `os._exit`, a signal or an abort ends writes no `exit` event: that it is missing tells them from the rest.
"""

import atexit
import os
import sys

from . import packages

MESSAGE_CHARACTERS = 8000
TRACEBACK_CHARACTERS = 32000

_PROBE = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))


def install(channel, where):
    """See uncaught exceptions and the interpreter's orderly end."""
    _Ending(channel, where).install()


class _Ending(object):
    def __init__(self, channel, where):
        self._channel = channel
        self._where = where
        self._folder = os.path.realpath(os.getcwd())
        self._raised = False
        self._next_hook = None

    def install(self):
        self._tell = self._channel.shielded(self._tell)
        self._next_hook = sys.excepthook
        sys.excepthook = self._excepthook
        atexit.register(self._channel.shielded(self._at_exit))

    def _excepthook(self, kind, error, trace):
        if self._channel.mine():
            self._tell(error, trace)
        self._next_hook(kind, error, trace)  # which prints it, without the probe's frames

    def _at_exit(self):
        if not self._channel.mine():
            return
        if sys.excepthook != self._excepthook and not self._raised:
            self._look_back()
        self._channel.emit("packages", packages=packages.imported())
        self._channel.emit("exit", kind="exception" if self._raised else "normal")

    def _look_back(self):
        """The script has replaced the hook: the interpreter noted the exception all the same, before it called it."""
        error = getattr(sys, "last_exc", None) or getattr(sys, "last_value", None)
        if isinstance(error, BaseException):
            self._tell(error, error.__traceback__)

    def _tell(self, error, trace):
        self._raised = True
        _hide_probe(error)
        stage, phase = self._where.place_of(error)
        file, line, source = self._place(error, trace)
        self._channel.emit(
            "exception",
            type=_type_name(type(error)),
            message=_message(error),
            traceback=_traceback(error, trace),
            file=file,
            line=line,
            source=source,
            stage=stage,
            phase=phase,
        )

    def _place(self, error, trace):
        """File (relative to the working directory), line and text of the innermost frame that is the script's own."""
        import linecache

        places = []
        while trace is not None:
            places.append((trace.tb_frame.f_code.co_filename, trace.tb_lineno))
            trace = trace.tb_next
        if isinstance(error, SyntaxError) and isinstance(error.filename, str):
            places.append((error.filename, error.lineno or 1))
        for name, line in reversed(places):
            file = self._own(name)
            if file is not None:
                source = linecache.getline(os.path.join(self._folder, file), line).strip()
                return file[:1000], line, source[:1000] or None
        return None, None, None

    def _own(self, name):
        if name.startswith("<"):
            return None
        path = os.path.realpath(os.path.join(self._folder, name))
        inside = path.startswith(os.path.join(self._folder, ""))
        installed = "site-packages" in path or "dist-packages" in path or path.startswith(_PROBE)
        return os.path.relpath(path, self._folder) if inside and not installed else None


def _hide_probe(error):
    """Take the probe's own frames out of the tracebacks of an exception and of those behind it (CPython 3.7 and later)."""
    seen = set()
    waiting = [error]
    while waiting:
        error = waiting.pop()
        if error is None or id(error) in seen or sys.version_info < (3, 7):
            continue
        seen.add(id(error))
        waiting += [error.__cause__, error.__context__]
        trace = error.__traceback__
        while trace is not None:
            while trace.tb_next is not None and trace.tb_next.tb_frame.f_code.co_filename.startswith(_PROBE):
                trace.tb_next = trace.tb_next.tb_next
            trace = trace.tb_next


def _type_name(kind):
    module = getattr(kind, "__module__", None)
    name = getattr(kind, "__qualname__", kind.__name__)
    return (name if module in (None, "builtins") else "%s.%s" % (module, name))[:500]


def _message(error):
    try:
        return str(error)[:MESSAGE_CHARACTERS]
    except Exception:
        return "(its message can't be told)"


def _traceback(error, trace):
    import traceback

    text = "".join(traceback.format_exception(type(error), error, trace))
    if len(text) <= TRACEBACK_CHARACTERS:
        return text
    half = TRACEBACK_CHARACTERS // 2
    return text[:half] + "\n[...]\n" + text[-half:]
