"""Streams whose encoding lacks a character show another in its place: no command ends for want of a letter."""

from __future__ import annotations

import codecs
import io
import sys

_INSTEAD = {"→": "->", "…": "..."}
_HANDLER = "runner-instead"


def spare_streams() -> None:
    """Make standard output and error write what they can, and something like it for what they can't."""
    codecs.register_error(_HANDLER, _instead)
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors=_HANDLER)


def _instead(error: UnicodeError) -> tuple[str, int]:
    if not isinstance(error, UnicodeEncodeError):
        raise error
    missing = error.object[error.start : error.end]
    return "".join(_INSTEAD.get(character, "?") for character in missing), error.end
