"""The record channel as the probe writes it, one JSON line with one `write`, and where the script is by now.

The script may close every descriptor, change directory or fill the disk: what can't be written is lost, and the script
never notices. It may fork and start further processes, which write into the same file: a line is appended whole.
"""

import functools
import json
import os
import sys
import time

from . import ranks

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

BUDGET_BYTES = 32 * 1024**2
"""Where the channel holds this much, only what a record can't do without is written still: the engine ends a job whose
channel grows past its limit (64 MiB), and that must not be the probe's doing."""

BUDGETS = dict.fromkeys(["start", "seeding", "exception", "packages", "exit"], float("inf"))
BUDGETS["stage"] = 48 * 1024**2
JOINING = frozenset(["phase", "evaluation", "exception"])
"""With one of these events a process that the script started joins; most never do, and nothing is written of them."""
WAITING = frozenset(["start", "seeding", "prelude", "stage", "probe-error"])
"""What such a process tells once it has joined, of the time before."""
MARKERS = 100
"""The number of changes of phase that are told that are neither a change of stage nor a fit: two models that are
trained in turn, or a loop around `predict`, would fill the channel."""
FAILURES = 20
"""The number of failures of its own the probe reports; one that repeats in every epoch would fill the channel."""
_ENCODED = json.JSONEncoder(allow_nan=False, separators=(",", ":")).encode


def open_channel(path: str, version: str, first: "str | None") -> "Emitter":
    """The channel in the file at `path`, with the start told; `first` names the process that the trial began with.

    In that process the file must be there: raises OSError. A process that replaced itself has told its start before.
    """
    own = str(os.getpid())
    channel = Emitter(os.path.abspath(path), version, child=first not in (None, own))
    if first != own:
        channel.tell_start()
    return channel


def message_of(error: "BaseException") -> str:
    """What an exception says; it may be of the script's own making, and raise anything while it is asked."""
    try:
        return "".join([str(error)])  # of the type `str` itself
    except BaseException:
        return "(its message can't be told)"


def plain(value: "Any") -> "Any":
    """`value` as JSON can hold it: numbers that are not finite as "nan", "inf" or "-inf", the unknown as its text."""
    if value is None or isinstance(value, (bool, int, str)):
        return value
    if isinstance(value, float):
        return float(value) if value - value == 0 else str(float(value))
    if isinstance(value, dict):
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple, set, frozenset)):
        return [plain(item) for item in value]
    if callable(getattr(value, "tolist", None)):
        return plain(value.tolist())
    return str(value)


class Emitter:
    """The open file, the process that it belongs to, and the clock of that process."""

    def __init__(self, path: str, version: str, child: bool) -> None:
        self._path = path
        self._version = version
        self._child = child
        self._descriptor: Any = None
        self._identity: Any = None
        self._forked: list[Callable[[], object]] = []
        self._handing: list[Callable[[bool], object]] = []
        self._waiting: list[dict[str, Any]] | None = None
        self._begin()
        self._tells_forks = hasattr(os, "register_at_fork")
        """CPython 3.6 does not: the number of the process is asked for there."""
        self._is_fork = not self._tells_forks
        if self._tells_forks:
            os.register_at_fork(after_in_child=self._in_fork)
        if not child:
            self._open()

    def _in_fork(self) -> None:
        self._is_fork = True

    def settle(self) -> None:
        """Where this process is a fork of the one that was: go on as a child of it."""
        if self._is_fork and os.getpid() != self._pid:
            self._is_fork = not self._tells_forks
            self._child = True
            self._begin()
            self.tell_start()
            for act in self._forked:
                act()

    def after_fork(self, act: "Callable[[], object]") -> None:
        """Have `act` called in each process that is a fork of this one."""
        self._forked.append(act)

    def before_handing_over(self, act: "Callable[[bool], object]") -> None:
        """Have `act` called before a result leaves this process; with True where the process ends without a word."""
        self._handing.append(act)

    def hand_over(self, at_end: bool = False) -> None:
        """A result leaves this process, or all of it is over."""
        self.settle()
        for act in self._handing:
            act(at_end)

    def is_child(self) -> bool:
        """True in a process that the script started."""
        return self._child

    def is_silent(self) -> bool:
        """True where this process has not joined."""
        return self._waiting is not None

    def emit(self, event: str, **fields: "Any") -> None:
        """Append one event; never raises, never blocks on anything but the disk."""
        try:
            self.settle()
            fields = self._dated(event, fields)
            if self._waiting is not None and event not in JOINING:
                self._waiting = _waiting_with(self._waiting, fields)
                return
            waiting, self._waiting = self._waiting or [], None
            for one in [*waiting, fields]:
                if one["event"] == "start":
                    one["rank"] = ranks.rank()
                self._write([one])
        except Exception:
            pass

    def emit_all(self, event: str, rows: "list[dict[str, Any]]") -> None:
        """Append several events of one kind at once, in a process that has joined; never raises."""
        try:
            self.settle()
            if rows and self._waiting is None:
                self._write([self._dated(event, fields) for fields in rows])
        except Exception:
            pass

    def _dated(self, event: str, fields: "dict[str, Any]") -> "dict[str, Any]":
        fields["event"] = event
        fields["t"] = round(time.time() - self._begun, 4)
        if self._child:
            fields["process"] = self._pid
        return fields

    def _begin(self) -> None:
        self._pid = os.getpid()
        self._begun = time.time()
        self._failures = 0
        self._waiting = [] if self._child else None

    def tell_start(self) -> None:
        """The first event of a process."""
        self.emit(
            "start",
            probe=self._version,
            python="%d.%d.%d" % sys.version_info[:3],
            implementation=sys.implementation.name,
            executable=sys.executable or "",
            argv=command_line(),
            pid=self._pid,
            time=self._begun,
        )

    def failed(self, place: str, error: "BaseException") -> None:
        """Report a failure inside of the probe."""
        self._failures += 1
        if self._failures <= FAILURES:
            message = "%s: %s" % (type(error).__name__, message_of(error))
            self.emit("probe-error", place=place, message=message[:2000])

    def shielded(self, function: "Callable[..., Any]") -> "Callable[..., Any]":
        """`function`, whose failures are the probe's and not the script's: reported, and None returned."""

        @functools.wraps(function)
        def call(*args: "Any", **kwargs: "Any") -> "Any":
            try:
                return function(*args, **kwargs)
            except Exception as error:
                self.failed(getattr(function, "func", function).__name__, error)
                return None

        return call

    def _open(self) -> None:
        flags = os.O_WRONLY | os.O_APPEND | os.O_NONBLOCK | getattr(os, "O_CLOEXEC", 0)
        self._descriptor = _moved_up(os.open(self._path, flags))
        self._identity = _identity(os.fstat(self._descriptor))

    def _write(self, events: "list[dict[str, Any]]") -> None:
        lines = [_line(fields) for fields in events]
        # The script may have closed the descriptor, and its number may be a file of the script's by now.
        try:
            status: Any = os.fstat(self._descriptor)
        except (OSError, TypeError):
            status = None
        if status is None or _identity(status) != self._identity:
            self._open()
            status = os.fstat(self._descriptor)
        if status.st_size <= BUDGETS.get(events[0]["event"], BUDGET_BYTES):
            os.write(self._descriptor, "".join(lines).encode("ascii"))


def _line(fields: "dict[str, Any]") -> str:
    """An event as it is written; most hold nothing but what JSON has itself."""
    try:
        return _ENCODED(fields) + "\n"
    except (TypeError, ValueError):
        return _ENCODED(plain(fields)) + "\n"


def _waiting_with(waiting: "list[dict[str, Any]]", fields: "dict[str, Any]") -> "list[dict[str, Any]]":
    """What waits to be told, with one event more; of stages the last one holds."""
    event = fields["event"]
    kept = [one for one in waiting if event != "stage" or one["event"] != event]
    return [*kept, fields] if event in WAITING and len(kept) < MARKERS else kept


def _identity(status: "os.stat_result") -> "tuple[int, int]":
    return status.st_dev, status.st_ino


def _moved_up(descriptor: int) -> int:
    """The same file under a high number, out of the way of scripts that close or count on low ones."""
    try:
        import fcntl
        import resource

        top = resource.getrlimit(resource.RLIMIT_NOFILE)[0]
        top = 1024 if top == resource.RLIM_INFINITY else min(top, 1024)
        high = fcntl.fcntl(descriptor, fcntl.F_DUPFD_CLOEXEC, top - 24)
    except (ImportError, OSError, ValueError):
        return descriptor
    os.close(descriptor)
    return high


def command_line() -> "list[str]":
    """The words that this process was started with; none where the system does not tell."""
    try:
        with open("/proc/self/cmdline", "rb") as file:
            words = file.read(65536).split(b"\0")[:-1]
    except OSError:
        return []
    return [word.decode("utf-8", "replace")[:1000] for word in words[:100]]


class ScriptProgress:
    """Stage and phase as they are now; `blame` remembers them for an exception that is on its way out."""

    def __init__(self, channel: "Emitter") -> None:
        self._channel = channel
        self._markers = 0
        self._blamed: Any = None
        self._begin_process()
        channel.after_fork(self._begin_process)

    def _begin_process(self) -> None:
        self.stage = "import"
        self.phase = ""

    def move(self, stage: str, phase: str = "") -> None:
        """Go to a stage; going on from `training` to another fit is a move from training to training."""
        if (stage, phase) == (self.stage, self.phase):
            return
        told = stage != self.stage or phase.startswith("fit-") or self._markers < MARKERS
        self._markers += stage == self.stage
        self.stage, self.phase = stage, phase
        if told:
            self._channel.emit("stage", stage=stage, phase=phase)

    def building(self, phase: str = "") -> None:
        """The first model or layer is being made."""
        if self.stage == "import":
            self.move("build-model", phase)

    def blame(self, error: "BaseException") -> None:
        """An exception leaves the present stage and phase: where it is not caught, that is where it belongs."""
        self._blamed = (id(error), type(error), self.stage, self.phase)

    def place_of(self, error: "BaseException") -> "tuple[str, str]":
        """Stage and phase that an exception came from."""
        if self._blamed is not None and self._blamed[:2] == (id(error), type(error)):
            _, _, stage, phase = self._blamed
            return stage, phase
        return self.stage, self.phase
