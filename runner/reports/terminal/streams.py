"""Standard output and error, the border to a terminal and to the log of a CI system: what passes is shown, not obeyed.

`guarded` puts it around a whole command; a `GuardedConsole` draws with colours, and cleans each piece of text.
"""

from __future__ import annotations

import codecs
import io
import os
import sys
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, TextIO

from rich.console import Console
from rich.segment import Segment

from runner.reports.untrusted import stripped, without_commands

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from rich.console import ConsoleOptions, RenderableType

_CI = ("CI", "GITHUB_ACTIONS", "TF_BUILD", "TEAMCITY_VERSION")
_REPLACEMENTS = {"→": "->", "…": "..."}
_HANDLER = "runner-replacement"


class _Passing(io.TextIOBase):
    """A stream that writes to another one; it has no buffer of bytes that anybody could go around it with."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream

    @property
    def encoding(self) -> str:  # type: ignore[override]
        return getattr(self._stream, "encoding", None) or "utf-8"

    @property
    def errors(self) -> str | None:  # type: ignore[override]
        return self._stream.errors

    def isatty(self) -> bool:
        return self._stream.isatty()

    def fileno(self) -> int:
        return self._stream.fileno()

    def writable(self) -> bool:
        return True

    def flush(self) -> None:
        self._stream.flush()


class CommandsAsText(_Passing):
    """A stream on which nothing is a command of a CI system; `commands` is the stream below it."""

    def __init__(self, stream: TextIO) -> None:
        """Begin a line."""
        super().__init__(stream)
        self.commands = stream
        self._new_line = True

    def write(self, text: str) -> int:
        """Write text, defused; the number of its characters."""
        if text:
            self._stream.write(without_commands(text, new_line=self._new_line))
            self._new_line = text.endswith("\n") or (self._new_line and text.isspace())
        return len(text)


class GuardedStream(_Passing):
    """A stream of plain text: what a terminal would obey is shown as what it is."""

    def __init__(self, stream: TextIO) -> None:
        """Write to `stream`, to which a console of Rich writes without this one: it makes sequences of its own."""
        super().__init__(stream)
        self.rich_proxied_file = stream

    def write(self, text: str) -> int:
        """Write text, cleaned; the number of its characters."""
        self._stream.write(stripped(text))
        return len(text)


class GuardedConsole(Console):
    """A console of Rich that reads no markup in texts, and draws no character that a terminal would obey."""

    def __init__(self, **options: Any) -> None:
        """Take what a console takes."""
        super().__init__(highlight=False, markup=False, emoji=False, **options)

    def on_broken_pipe(self) -> None:
        """Whoever read it has gone: that is told as elsewhere, not by an exit code that means something else."""
        raise BrokenPipeError

    def render(self, renderable: RenderableType, options: ConsoleOptions | None = None) -> Iterable[Segment]:
        """The pieces of what is drawn; those that are text cleaned."""
        for piece in super().render(renderable, options):
            yield piece if piece.control else Segment(stripped(piece.text), piece.style)


@contextmanager
def guarded(environ: Mapping[str, str] = os.environ) -> Iterator[None]:
    """Put the border around standard output and error; a character that their encoding lacks is replaced."""
    codecs.register_error(_HANDLER, _replaced)
    before = sys.stdout, sys.stderr
    for stream in before:
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors=_HANDLER)
    in_ci = any(environ.get(name) for name in _CI)
    below: list[Any] = [CommandsAsText(stream) if in_ci else stream for stream in before]
    sys.stdout, sys.stderr = map(GuardedStream, below)
    try:
        yield
    finally:
        sys.stdout, sys.stderr = before


def write_commands(stream: TextIO, text: str) -> None:
    """Write commands of a CI system, whose values are escaped, where `stream` would make them text."""
    below = getattr(stream, "rich_proxied_file", stream)
    getattr(below, "commands", below).write(stripped(text))


def _replaced(error: UnicodeError) -> tuple[str, int]:
    if not isinstance(error, UnicodeEncodeError):
        raise error
    missing = error.object[error.start : error.end]
    return "".join(_REPLACEMENTS.get(character, "?") for character in missing), error.end
