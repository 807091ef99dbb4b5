"""The fingerprint of a failure: trials with the same one failed for the same reason."""

from __future__ import annotations

import re
import signal as signals
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from runner.trials.record import Record

_LONGEST_MESSAGE = 2000
_FRAME = re.compile(r'^\s*File "(?P<file>[^"\n]+)", line \d+, in (?P<function>.+)$', re.MULTILINE)
_LIBRARY = re.compile(r"^(?:.*/(?:site-packages|dist-packages|lib/python3\.\d+)/|(?=<frozen ))")
_VARYING = (
    (re.compile(r"\b0x[0-9a-fA-F]+"), "<address>"),
    (re.compile(r"(?<![\w.])(?:~?/[\w.+@-]+){2,}/?|\b[A-Za-z]:\\[^\s'\":]+"), "<path>"),
    (re.compile(r"(?<![\w/])[\w.-]+(?:/[\w.-]+)*:\d+\b(?=[\"',)\]])"), "<tensor>"),
    (re.compile(r"(?<![A-Za-z0-9])\d+(?:\.\d+)*(?:[eE][+-]?\d+)?"), "#"),
    (re.compile(r"\s+"), " "),
)


@dataclass(frozen=True, kw_only=True, order=True)
class Fingerprint:
    """The cause of a failure and its place, without what differs from run to run."""

    type: str
    """The exception's type; else the signal, or the exit code."""
    message: str
    stage: str
    frame: str = ""
    """The innermost frame that is not the script's: `keras/engine/training.py in fit`."""

    @property
    def cause(self) -> tuple[str, str]:
        """The part that two trials must have in common to be blocked alike."""
        return self.type, self.message

    def __str__(self) -> str:
        what = f"{self.type}: {self.message}" if self.message else self.type
        return f"{what} ({self.stage}{f', {self.frame}' if self.frame else ''})"


def fingerprint(record: Record) -> Fingerprint | None:
    """The fingerprint of a record's failure; None where it has no exception and ended with exit code 0."""
    exception = record.exception
    if exception is not None:
        return Fingerprint(
            type=exception.type.rpartition(".")[2],
            message=normalised(exception.message),
            stage=exception.stage,
            frame=_library_frame(exception.traceback),
        )
    ending = _ending(record)
    if not ending:
        return None
    return Fingerprint(type=ending, message=normalised(record.message or ""), stage=record.stage)


def normalised(message: str) -> str:
    """A message without what differs from run to run: addresses, paths, temporary tensors' names, numbers.

    Digits that belong to a word stay (`float32`), those that count it do not (`dense_1`).
    """
    text = message[:_LONGEST_MESSAGE]
    for pattern, placeholder in _VARYING:
        text = pattern.sub(placeholder, text)
    return text.strip()


def signal_name(signal: int | str) -> str:
    """`SIGSEGV` for 11; a number that has no name here stays one."""
    if isinstance(signal, str):
        return signal
    try:
        return signals.Signals(signal).name
    except ValueError:
        return f"signal {signal}"


def _ending(record: Record) -> str:
    """The way a record ended without an exception, in one word; empty where it ended well."""
    cuts = {"out of memory": record.oom_killed, "timeout": record.timed_out, "disk full": record.disk_full}
    for word, was_cut in cuts.items():
        if was_cut:
            return word
    if record.signal is not None:
        return signal_name(record.signal)
    return f"exit code {record.exit_code}" if record.exit_code else ""


def _library_frame(traceback: str) -> str:
    frames = [(m["file"].replace("\\", "/"), m["function"]) for m in _FRAME.finditer(traceback)]
    library = [(_LIBRARY.sub("", file), function) for file, function in frames if _LIBRARY.match(file)]
    return f"{library[-1][0]} in {library[-1][1]}" if library else ""
