"""What `check` finds, as values: a `Finding` for each place of a script where another release means something else."""

from __future__ import annotations

import enum
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from runner.scripts.source import Edit


def position(text: bytes, offset: int) -> tuple[int, int]:
    """Line and column (in characters) of a place in a file's UTF-8 text, both from 1."""
    before = text[:offset]
    return before.count(b"\n") + 1, len(before[before.rfind(b"\n") + 1 :].decode()) + 1


class FindingKind(enum.StrEnum):
    """What happens at a place of the script, the worst first."""

    BREAKS = "breaks"
    """It raises: a name or an argument is not there."""
    IGNORED = "ignored"
    """An argument is accepted and not heeded."""
    CHANGES = "changes"
    """A default that the call relies on is another one."""
    KNOWN = "known"
    """Behaviour that no signature shows, of which there is a known change."""
    DEPRECATED = "deprecated"
    """The package itself says that the name will go."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Finding:
    """One place of a script, and what a release makes of it."""

    kind: FindingKind
    path: str
    """The public dotted path that is used, such as `keras.optimizers.Adam`; of a known change its name."""
    argument: str = ""
    """The argument that it is about; "" where it is about the name itself."""
    file: str
    """The POSIX path in the script's folder."""
    line: int
    """From 1, in the source that runs: of a notebook, in what was made of its cells."""
    column: int
    """From 1, in characters."""
    package: str
    """The distribution whose release makes the difference."""
    since: str
    """The release of the border: the first that is known to behave so. "" where all that are known do."""
    message: str
    """One sentence."""
    certain: bool = True
    """False where it depends on values that only a run has."""
    instead: str = ""
    """What to write instead, as source; "" where nobody knows."""
    edit: Edit | None = None
    """The change to the file's UTF-8 text, without its byte order mark, that writes it so."""
