"""Collects the mistakes of one matrix, so that a user reads all of them at once, each with its place and a way out."""

from __future__ import annotations

import difflib
from dataclasses import dataclass
from typing import TYPE_CHECKING

from runner.errors import MatrixError, Mistake

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path
    from typing import NoReturn


@dataclass(frozen=True, kw_only=True, slots=True)
class Position:
    """A position in a file; line and column count from 1."""

    line: int
    column: int


class RefusedError(Exception):
    """A single value is wrong; who knows its place turns this into a `Mistake`, unless `position` says it already."""

    def __init__(self, message: str, hint: str = "", *, position: Position | None = None) -> None:
        self.message = message
        self.hint = hint
        self.position = position
        super().__init__(message)


class Mistakes:
    """The mistakes found so far in `file`."""

    def __init__(self, file: Path) -> None:
        self.file = file
        self.found: dict[Mistake, None] = {}
        """A set in order: an alias shows one place twice."""

    def add(self, position: Position, message: str, hint: str = "") -> None:
        """Note one mistake and go on."""
        self.join([Mistake(file=self.file, line=position.line, column=position.column, message=message, hint=hint)])

    def refuse(self, error: RefusedError, position: Position, what: str = "") -> None:
        """Note a value that was refused, as `what: message`, and go on."""
        message = f"{what}: {error.message}" if what else error.message
        self.add(error.position or position, message, error.hint)

    def join(self, mistakes: Iterable[Mistake]) -> None:
        """Take in the mistakes of another file that the matrix names."""
        self.found.update(dict.fromkeys(mistakes))

    def stop(self, position: Position, message: str, hint: str = "") -> NoReturn:
        """Note one mistake after which nothing more can be read."""
        self.add(position, message, hint)
        raise MatrixError(tuple(self.found))

    def raise_any(self) -> None:
        """Raise MatrixError where there is at least one mistake."""
        if self.found:
            raise MatrixError(tuple(self.found))


def quoted(text: str) -> str:
    """A user's word in quotes, shortened where it is long."""
    return repr(text if len(text) <= 60 else f"{text[:57]}...")


def nearest(word: str, words: Iterable[str]) -> str:
    """The hint that names the right word nearest to a wrong one, or all right words where none is near."""
    choices = list(dict.fromkeys(str(choice) for choice in words))
    near = difflib.get_close_matches(word, choices, n=1)
    if near:
        return f"did you mean {quoted(near[0])}?"
    shown = ", ".join(choices[:12]) + (", …" if len(choices) > 12 else "")
    return f"possible: {shown}" if shown else ""
