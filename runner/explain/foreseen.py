"""What the packages' histories and the known changes say of the script between two cells: nothing is run for it."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from runner.changes.known import known_changes
from runner.check.checker import Checker
from runner.check.findings import FindingKind
from runner.check.stacks import histories_in
from runner.outcomes.account import ForeseenChange
from runner.scripts.counterparts import ROOTS
from runner.scripts.rewriting import FLAVOURS, rewritten
from runner.scripts.source import NotRewritableError

if TYPE_CHECKING:
    from runner.check.findings import Finding
    from runner.explain.experimenter import Experimenter
    from runner.investigate.question import Combination
    from runner.scripts.script import Script
    from runner.scripts.source import Edit

AS_WRITTEN = FLAVOURS[0]
MOST = 5
"""So many changes are told."""
_TOLD = (FindingKind.BREAKS, FindingKind.IGNORED, FindingKind.KNOWN, FindingKind.CHANGES)
"""In this order; that a name will go is no change yet."""


def foreseen(experimenter: Experimenter, good: Combination, bad: Combination) -> tuple[ForeseenChange, ...]:
    """What changes for the script from the good to the bad cell: what concerns the line that raised comes first."""
    had, has = (dict(experimenter.contents.get(one, ())) for one in (good, bad))
    if not had or not has:
        return ()
    raised = lines_that_raised(experimenter, bad)
    found = [
        one
        for one in findings_between(experimenter, good, bad)
        if one.kind in _TOLD and had.get(one.package) != has.get(one.package)
    ]
    found.sort(key=lambda one: ((one.file, one.line) not in raised, _TOLD.index(one.kind)))
    script = experimenter.script(bad)
    return tuple(_told(one, script) for one in found[:MOST])


def findings_between(experimenter: Experimenter, good: Combination, bad: Combination) -> tuple[Finding, ...]:
    """What `check` finds in the bad cell's script between what the two cells hold; nothing where it is not Python 3.

    It is read in the import flavour that it runs in; edits are of the text that the user wrote.
    """
    written = experimenter.script(bad)
    was, now = (experimenter.cell(one).values.get("import", AS_WRITTEN) for one in (good, bad))
    held = [dict(experimenter.contents.get(one, ())) for one in (good, bad)]
    histories = histories_in(experimenter.matrix.folder / "history")
    try:
        script = rewritten(written, now)
        checker = Checker(script, histories, known_changes())
        found = checker.findings(*held, keras_before=ROOTS.get(was, "") if was != now else "")
        if script is written or all(one.edit is None for one in found):
            return found
        as_written = Checker(written, histories, known_changes())
    except NotRewritableError:
        return ()
    edits = {_place(one): one.edit for one in as_written.findings(*held)}
    texts = [checker.project.texts, as_written.project.texts]
    moved = (_moved(one.edit, *(text[one.file] for text in texts)) or edits.get(_place(one)) for one in found)
    return tuple(replace(one, edit=edit if one.edit else None) for one, edit in zip(found, moved, strict=True))


def _place(finding: Finding) -> tuple[object, ...]:
    """What a finding is of, in whichever flavour: imports begin otherwise in each."""
    return finding.file, finding.line, finding.kind, finding.path.rpartition(".")[2], finding.argument


def _moved(edit: Edit | None, text: bytes, other: bytes) -> Edit | None:
    """An edit of a text as one of another, where both have the same in the lines that it changes; else None."""
    if edit is None:
        return None
    first, last = (text.count(b"\n", 0, place) for place in (edit.start, edit.end))
    lines, others = text.split(b"\n"), other.split(b"\n")
    if len(lines) != len(others) or lines[first : last + 1] != others[first : last + 1]:
        return None
    shift = sum(map(len, others[:first])) - sum(map(len, lines[:first]))
    return replace(edit, start=edit.start + shift, end=edit.end + shift)


def lines_that_raised(experimenter: Experimenter, about: Combination) -> set[tuple[str | None, int | None]]:
    """The files and lines of the exceptions that ended trials of a cell."""
    raised = (record.exception for record, _ in experimenter.trials.get(about, ()))
    return {(one.file, one.line) for one in raised if one}


def _told(one: Finding, script: Script) -> ForeseenChange:
    """A finding as an account tells it: of a notebook by the cell and the line in it."""
    cell = script.cell_of(one.file, one.line)
    return ForeseenChange(
        kind=one.kind,
        path=one.path,
        file=f"cell {cell[0]} of {one.file}" if cell else one.file,
        line=cell[1] if cell else one.line,
        package=one.package,
        since=one.since,
        message=one.message,
        certain=one.certain,
        instead=one.instead,
    )
