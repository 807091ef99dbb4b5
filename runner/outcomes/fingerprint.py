"""The fingerprint of a failure: trials with the same one failed for the same reason."""

from __future__ import annotations

import re
import signal as signals
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from runner.trials.record import Record, ScriptException

_LONGEST_MESSAGE = 2000
_PLACE = re.compile(r'^\s*File "(?P<file>[^"\n]+)", line \d+(?:, in (?P<function>.+))?$', re.MULTILINE)
"""A frame of a traceback; the place of a SyntaxError has no function."""
_FROZEN = re.compile(r"^<frozen (?!importlib\b|zipimport\b)(\w+)>$")
"""A standard module of which newer CPythons have no file; the importing ones are so in every CPython."""
_LIBRARY = re.compile(r"^(?:.*/(?:site-packages|dist-packages|lib/python3\.\d+)/|(?=<frozen ))")
_INSTALLED = re.compile(r"/(?:site|dist)-packages/")
_IMPORT_STATEMENT = re.compile(r"(?:import|from)\s")
_PIECES = re.compile(r"""(?<!\w)'(?:[^'\\]|\\.)*'|(?<!\w)"(?:[^"\\]|\\.)*"|.""", re.DOTALL)
"""Text in quotes, and single characters."""
_PAIRS = {")": "(", "]": "[", "}": "{"}
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
        """The part that two trials must have in common to have ended alike."""
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
            message=normalised(_message(record)),
            stage=exception.stage,
            frame=_library_frame(exception.traceback),
        )
    ending = _ending(record)
    if not ending:
        return None
    return Fingerprint(type=ending, message=normalised(_message(record)), stage=record.stage)


def _message(record: Record) -> str:
    return record.exception.message if record.exception is not None else record.message or ""


def told_message(record: Record) -> str:
    """The message of what ended a record, as people read it."""
    return message_told(_message(record)[:_LONGEST_MESSAGE])


def normalised(message: str) -> str:
    """A message without what differs from run to run: addresses, paths, temporary tensors' names, numbers, order.

    Digits that belong to a word stay (`float32`), those that count it do not (`dense_1`). The members of printed sets
    and dicts are sorted: a set's order differs by process.
    """
    text = message[:_LONGEST_MESSAGE]
    for pattern, placeholder in _VARYING:
        text = pattern.sub(placeholder, text)
    return _with_sorted_members(text.strip(), cut=len(message) > _LONGEST_MESSAGE)


_OF_A_TRIAL = re.compile(r"[^\s'\"]{1,500}/\.runner/jobs/[0-9a-f]{8,64}/(?:work|home)/")
_FRAMES = re.compile(r"\Ain user code:\n\s*(?: *File \"[^\n]*\n(?: {8}[^\n]*\n)?)+\s*")


def message_told(message: str) -> str:
    """A message as people read it: a trial's own files by their place in its folder, traced code without its frames."""
    return _OF_A_TRIAL.sub("", _FRAMES.sub("", message))


@dataclass(kw_only=True)
class _Bracket:
    """An open bracket while a message is read: its finished members, and what is read of the next one."""

    opener: str = ""
    members: list[str] = field(default_factory=list)
    text: str = ""

    @property
    def unfinished(self) -> str:
        return self.opener + ",".join([*self.members, self.text])

    def closed(self, closer: str) -> str:
        if self.opener != "{":
            return self.unfinished + closer
        return "{" + ", ".join(sorted(member.strip() for member in (*self.members, self.text))) + closer


def _with_sorted_members(text: str, *, cut: bool) -> str:
    """The text with the members of all braces sorted; of one that a `cut` message has not closed nothing is kept."""
    found = [_Bracket()]
    for piece in _PIECES.findall(text):
        opened = _PAIRS.get(piece)
        if piece in "([{":
            found.append(_Bracket(opener=piece))
        elif opened is not None and any(one.opener == opened for one in found):
            while found[-1].opener != opened:
                unfinished = found.pop().unfinished
                found[-1].text += unfinished
            closed = found.pop().closed(piece)
            found[-1].text += closed
        elif piece == "," and found[-1].opener == "{":
            found[-1].members.append(found[-1].text)
            found[-1].text = ""
        else:
            found[-1].text += piece
    if cut and (first := next((i for i, one in enumerate(found) if one.opener == "{"), 0)):
        return "".join(one.unfinished for one in found[:first]) + "{…"
    return "".join(one.unfinished for one in found)


def raised_at_import(exception: ScriptException) -> bool:
    """True where an exception was raised inside the import of an installed distribution.

    Then a module of one was being executed, could not be compiled, or the statement that failed is the import itself
    (of an extension module, which has no frames).
    """
    last = exception.traceback.rpartition("Traceback (most recent call last)")[2]
    places = list(_PLACE.finditer(last))
    callers = [None, *(one["function"] for one in places)]
    executed = (
        one
        for one, caller in zip(places, callers, strict=False)
        if one["function"] in {None, "<module>"} and caller != "_run_code"  # what `python -m` runs is not imported
    )
    if any(_INSTALLED.search(one["file"]) for one in executed):
        return True
    if not places or places[-1]["function"] is None:
        return False
    return _IMPORT_STATEMENT.match(last[places[-1].end() :].lstrip()) is not None


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
    frames = [(m["file"].replace("\\", "/"), m["function"]) for m in _PLACE.finditer(traceback) if m["function"]]
    library = [(_FROZEN.sub(r"\1.py", _LIBRARY.sub("", file)), name) for file, name in frames if _LIBRARY.match(file)]
    return f"{library[-1][0]} in {library[-1][1]}" if library else ""
