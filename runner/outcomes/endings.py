"""How a trial ended, as its engine and its probe saw it, and the label of an ending that was not the script's own."""

from __future__ import annotations

import re
import signal as signals
from dataclasses import dataclass
from typing import TYPE_CHECKING, assert_never

from runner.outcomes.labels import Label

if TYPE_CHECKING:
    from runner.trials.record import Stage

_OUT_OF_MEMORY = re.compile(r"ResourceExhausted|OOM when allocating|CUDA_ERROR_OUT_OF_MEMORY|MemoryError|bad_alloc")
_DOWNLOAD = re.compile(
    r"gaierror|name resolution|Name or service not known|urlopen error|URL fetch failure|ConnectionError"
    r"|Max retries exceeded|Failed to establish a new connection|Network is unreachable"
)
_IMPORT_ERRORS = frozenset({"ImportError", "ModuleNotFoundError"})


@dataclass(frozen=True, kw_only=True)
class Process:
    """How a trial's process ended. `exception` is "type: message"; `text` is where other causes are looked for."""

    stage: Stage
    exit: int | None = None
    exception: str | None = None
    signal: int | str | None = None
    oom_killed: bool = False
    timed_out: bool = False
    disk_full: bool = False
    orderly: bool | None = None
    """Whether the interpreter shut down in order; None where that is not known."""
    message: str | None = None
    """What the engine says of the end."""
    text: str = ""

    @property
    def ended_well(self) -> bool:
        """Whether the script ran to its own end; one that was told to stop did not, whatever it then returned."""
        return self.exit == 0 and not self.timed_out

    @property
    def left_early(self) -> bool:
        """Whether it gave exit code 0 without a shutdown: `os._exit(0)`, from anywhere in the script."""
        return self.ended_well and self.orderly is False

    @property
    def in_words(self) -> str:
        """How it ended, in a few words."""
        if self.disk_full:
            return f"ran out of disk space{f' ({self.exception})' if self.exception else ''}"
        if self.message:
            return self.message
        if self.exception:
            return self.exception
        if self.signal is not None:
            return f"ended by {signal_name(self.signal)}"
        if self.exit is None:
            return "ended, nobody knows how"
        return f"ended with exit code {self.exit}{', with no shutdown (os._exit)' if self.orderly is False else ''}"


def signal_name(signal: int | str) -> str:
    """`SIGSEGV` for 11; a number that has no name here stays one."""
    if isinstance(signal, str):
        return signal
    try:
        return signals.Signals(signal).name
    except ValueError:
        return f"signal {signal}"


def failure(process: Process) -> tuple[Label, str]:
    """The label and reason of a process that did not end well (VERDICTS.md, 2: the first row that matches)."""
    where = f"in stage {process.stage}"
    text = f"{process.exception or ''}\n{process.text}"
    if process.oom_killed:
        return Label.OUT_OF_MEMORY, f"killed {where}: it needed more memory than it may have"
    if found := _OUT_OF_MEMORY.search(text):
        return Label.OUT_OF_MEMORY, f"out of memory {where} ({found.group()}): {process.in_words}"
    if found := _DOWNLOAD.search(text):
        return Label.DOWNLOAD_FAILED, f"wanted something from outside {where} ({found.group()}): {process.in_words}"
    if process.timed_out:
        return Label.TIMEOUT, f"the time was up {where}"
    if _exception_name(process.exception) in _IMPORT_ERRORS:
        return Label.CRASHED_IMPORT, f"{process.in_words} {where}"
    return _crash(process.stage), f"{process.in_words} {where}"


def _exception_name(exception: str | None) -> str:
    """`ImportError` of "builtins.ImportError: No module named …"."""
    return (exception or "").partition(":")[0].strip().rpartition(".")[2]


def _crash(stage: Stage) -> Label:
    match stage:
        case "image-build":
            return Label.IMAGE_BUILD_FAILED
        case "install":
            return Label.INSTALL_FAILED
        case "import":
            return Label.CRASHED_IMPORT
        case "build-model":
            return Label.CRASHED_BUILD_MODEL
        case "training":
            return Label.CRASHED_TRAINING
        case "after-training":  # what the training did was not reported: a crash after it says nothing of it
            return Label.NO_METRICS
        case _:
            assert_never(stage)
