"""What `explain --fix` does beyond the account: candidates are run, and the patch of the one that works is written."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

from runner.cache import write_whole
from runner.errors import UsageError
from runner.matrix.mistakes import quoted

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from runner.explain.fix import Mended
    from runner.explain.investigation import Investigation
    from runner.matrix.model import Cell
    from runner.outcomes.account import Account
    from runner.scripts.script import Script
    from runner.session.session import Session

PATCH_FILE = "fix.patch"
"""In the matrix's folder: what `explain --fix` was seen to work with; of several accounts each has its own."""
NEWEST = "newest"
"""The cell that `--fix-for` names in a word."""


def with_fixes(
    session: Session,
    found: Investigation,
    account: Account,
    *,
    everywhere: bool = False,
    write: bool = False,
    file: str = PATCH_FILE,
) -> Account:
    """The account with its fixes; the patch of the one that works is beside the matrix, and in the files with `write`.

    Raises UsageError where the files changed meanwhile.
    """
    from runner.explain.fix import mend, mend_everywhere  # noqa: PLC0415 - only here

    search = mend_everywhere if everywhere else mend
    mended = search(found, account, session.all_cells)
    told = mended.told_in(account, found.experimenter.budget.executed - found.begun[0])
    if mended.winner is not None and mended.winner.patch:
        _keep(session.matrix.folder / file, mended, found.experimenter.script(found.bad), write=write)
    return told


def patch_file(account: Account) -> str:
    """The name of the patch of one of several accounts."""
    return f"fix-{account.id}.patch"


def _keep(path: Path, mended: Mended, script: Script, *, write: bool) -> None:
    from runner.scripts.patching import patched  # noqa: PLC0415 - as above

    assert mended.winner is not None  # noqa: S101 - asked before
    done = patched(script, mended.winner.patch)
    if script.is_notebook:
        sys.stderr.write(f"{script.path} is a notebook: no {path.name} is written, the account shows the lines.\n")
        return
    write_whole(path, done.diff.encode())
    sys.stderr.write(f"Wrote {path}; `git apply {path.name}` or `patch -p1 -i {path.name}` makes it.\n")
    if write:
        for file in done.files:
            if file.rewritten is not None:
                place = (path.parent / file.path).resolve()
                mode = place.stat().st_mode
                write_whole(place, file.rewritten)
                place.chmod(mode)
                sys.stderr.write(f"Changed {file.path}.\n")


def newest_of(cells: Sequence[Cell], text: str) -> str:
    """The text by which `--fix-for` names its cell: of `newest` the one with the latest releases of the matrix."""
    if text != NEWEST:
        return text
    if not cells:
        raise UsageError(f"--fix-for {quoted(text)}: the matrix has no cell.")
    pins = max((cell.pins for cell in cells), key=lambda pins: [_release(version) for _, version in pins])
    return ",".join(f"{name}={version}" for name, version in pins)


def _release(version: str) -> tuple[int, ...]:
    from packaging.version import Version  # noqa: PLC0415 - as above

    return Version(version).release
