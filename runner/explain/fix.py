"""A fix that was run: candidates one after another, in the bad cell, then in the good one, then in all others.

Every trial goes through the laboratory under the rule by which the cell itself is judged; its key has the edited
script, so that it is never mixed up with the matrix's own.
"""

from __future__ import annotations

import hashlib
import json
from contextlib import suppress
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from runner.explain.account_sentences import sentences_of
from runner.explain.candidates import Candidate, Ill, candidates_for, without_a_way
from runner.explain.distinction import DistinctionKind
from runner.explain.edit_candidates import edits_for
from runner.explain.investigation import explain
from runner.explain.removal import removed_name
from runner.explain.sides import axes_apart
from runner.investigate.question import BudgetSpentError, Combination, Question
from runner.matrix.cell_id import CellId
from runner.outcomes.outcome import NOT_RUN, UNDECIDED, Outcome, OutcomeKind
from runner.outcomes.tried_fix import Fix, FixCell, FixKind, FixStanding, advice_of, fix_sentence, is_whole
from runner.outcomes.verdict import standing
from runner.scripts.patching import UNPATCHED, patched, texts_of

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Sequence
    from typing import Literal

    from runner.explain.experimenter import Experimenter
    from runner.explain.investigation import Investigation
    from runner.matrix.model import Cell
    from runner.outcomes.account import Account
    from runner.outcomes.judged_cell import JudgedCell
    from runner.scripts.patching import Patch

FIRST_LOOK = 2
"""The trials of the bad cell after which a candidate that mends none is given up."""
MOST_STEPS = 4
"""So many edits are made one after another where each only shows the next failure."""
AT_ONCE = 4
"""So many further cells are run side by side: a budget that ends between two groups loses nothing."""


@dataclass(frozen=True, kw_only=True)
class Mended:
    """The candidates of one bad cell with what was seen of each, the one that works first."""

    fixes: tuple[Fix, ...]
    winner: Candidate | None = None
    """The candidate that the first fix is of, where it works."""
    ended: bool = False
    """True where something was not run because nothing was left of the budget."""

    def told_in(self, account: Account, trials: int) -> Account:
        """The account with what was seen of the candidates; `trials` are all that ran for it."""
        ended = self.ended or (account.ended and not self.works)
        advice = advice_of(self.fixes, ended=ended, unwritten=without_a_way(account)) if account.real else ()
        told = account.model_copy(update={"fixes": self.fixes, "advice": tuple(advice), "trials": trials})
        return told.model_copy(update={"sentences": tuple(sentences_of(told))})

    @property
    def works(self) -> bool:
        """True where one was seen to work."""
        return self.winner is not None


def mend(found: Investigation, account: Account, cells: Sequence[Cell], *, everywhere: bool = False) -> Mended:
    """Try what may mend the bad cell of an investigation; `cells` are those of its matrix.

    Nothing is tried where the two cells were not shown to differ. With `everywhere` only edits are, and one by which
    any cell is lost does not work.
    """
    if not account.real or found.distinction is None:
        return Mended(fixes=())
    trying = _Trying.of(found, account, cells)
    trying.strict = everywhere
    candidates = _in_order([*edits_for(trying.ill), *candidates_for(trying.ill)])
    return trying.go([one for one in candidates if not everywhere or (one.patch and not one.requirements)])


def kept(found: Investigation, account: Account, earlier: Sequence[Account]) -> Account:
    """The account with the fixes of an earlier one of the same question, where they were tried on what is there now."""
    before = next((one for one in earlier if one.id == account.id), None)
    basis = _basis(found)
    fixes = tuple(one for one in before.fixes if one.tried_on == basis) if before and account.real else ()
    if not fixes:
        return account
    return Mended(fixes=fixes, ended=not is_whole(fixes)).told_in(account, account.trials)


def _basis(found: Investigation) -> str:
    """The digest of what fixes are tried on: the bad cell's script, what both cells have installed, the rule."""
    experimenter = found.experimenter
    told = [
        sorted(texts_of(experimenter.script(found.bad)).items()),
        [experimenter.contents.get(one, ()) for one in (found.good, found.bad)],
        experimenter.matrix.criteria,
        str(found.distinction),
    ]
    return hashlib.sha256(json.dumps(told).encode()).hexdigest()[:16]


def mend_everywhere(found: Investigation, account: Account, cells: Sequence[Cell]) -> Mended:
    """Try to mend all cells that run the bad one's script: what mends one, then on top of it what mends the next."""
    first = mend(found, account, cells, everywhere=True)
    steps, fixes, asked = [first.winner] if first.winner else [], list(first.fixes), {found.bad}
    experimenter, patch = found.experimenter, first.winner.patch if first.winner else UNPATCHED
    trying = _Trying.of(found, account, cells)
    while steps and (pair := trying.left(fixes[0], asked)) and not experimenter.budget.is_spent:
        asked.add(pair[1])
        inner = explain(
            experimenter.laboratory,
            experimenter.matrix,
            *(one.cell for one in pair),
            budget=experimenter.budget,
            observer=experimenter.observer,
            patch=patch,
        )
        after = mend(inner, inner.account(""), cells, everywhere=True)
        fixes += [one for one in after.fixes if not one.works]
        if after.winner is None:
            continue
        with suppress(BudgetSpentError):
            steps.append(after.winner)
            patch = after.winner.patch.after(patch)
            fixes.insert(0, trying.together(steps, patch))
    if not steps:
        return first
    try:
        last = trying.together(steps, patch)
    except BudgetSpentError:
        return replace(first, ended=True)
    rest = [one for one in fixes if not one.works]
    winner = replace(steps[0], patch=patch, diff=last.diff, says=last.says)
    return Mended(fixes=(last, *rest), winner=winner, ended=experimenter.budget.ended)


def _in_order(candidates: Sequence[Candidate]) -> list[Candidate]:
    """Each change once, the narrowest first."""
    found: dict[tuple[object, ...], Candidate] = {}
    for one in sorted(candidates, key=lambda one: one.size):
        found.setdefault((one.patch, one.requirements, one.at), one)
    return list(found.values())


@dataclass(kw_only=True)
class _Trying:
    """One bad cell, and what is run for it."""

    ill: Ill
    base: Experimenter
    """Without any change, judged by the rule of the cells; its combinations have the values of all axes."""
    good: Combination
    bad: Combination
    others: tuple[Combination, ...]
    tried: list[tuple[Candidate, Fix]] = field(default_factory=list)
    ended: bool = False
    strict: bool = False
    """True where no cell that is good may be lost."""
    basis: str

    @classmethod
    def of(cls, found: Investigation, account: Account, cells: Sequence[Cell]) -> _Trying:
        experimenter = found.experimenter
        ends = [Combination(experimenter.cell(one)) for one in (found.good, found.bad)]
        distinction = found.distinction
        matrix = experimenter.matrix
        if distinction is not None and distinction.kind is DistinctionKind.LEVEL and distinction.level is not None:
            matrix = replace(matrix, criterion=(distinction.level,))
        base = replace(experimenter.editing(UNPATCHED), matrix=matrix, shared=CellId(()))
        others = [Combination(cell.id) for cell in cells if cell.id not in {one.cell for one in ends}]
        ill = Ill(
            experimenter=experimenter,
            account=account,
            good=found.good,
            bad=found.bad,
            pair=found.pair or (found.good, found.bad),
        )
        return cls(ill=ill, base=base, good=ends[0], bad=ends[1], others=tuple(others), basis=_basis(found))

    def go(self, candidates: Sequence[Candidate]) -> Mended:
        note = self.base.observer.note
        note(f"What mends it? {len(candidates)} candidate{'' if len(candidates) == 1 else 's'}, the narrowest first.")
        winner: tuple[Candidate, Fix] | None = None
        waiting = list(candidates)
        while waiting:
            candidate = waiting.pop(0)
            fix = self._untried(candidate)
            if winner is None and not self.ended:
                note(f"Does it? {candidate.says}")
                try:
                    fix = self._tried(candidate)
                except BudgetSpentError:
                    self.ended = True
                if fix.works:
                    fix = self._elsewhere(candidate, fix)
                if fix.works:
                    winner = candidate, fix
                elif fix.standing is FixStanding.NO_EFFECT:
                    waiting[:0] = self._on_top(candidate)
            self.tried.append((candidate, fix))
        order = list(FixStanding)
        fixes = sorted((fix for _, fix in self.tried), key=lambda one: order.index(one.standing))
        return Mended(fixes=tuple(fixes), winner=winner[0] if winner else None, ended=self.ended)

    def _tried(self, candidate: Candidate) -> Fix:
        """What a candidate does to the bad cell, and where it mends that, to the good one."""
        experimenter = self._changed(candidate)
        bad = self._at(candidate)
        before = self._before([self.bad, self.good], run=True)
        looked = experimenter.answer((Question(about=bad, trials=FIRST_LOOK),))[bad]
        if not looked.good:
            (after,) = experimenter.outcomes([bad], run=False)
            standing = FixStanding.UNTESTABLE if after.kind is OutcomeKind.UNTESTABLE else FixStanding.NO_EFFECT
            unasked = [] if candidate.at else [_seen("good", self.good, before[1], None)]
            return self._fix(candidate, standing, [_seen("bad", bad, before[0], after), *unasked])
        if candidate.at:  # the good cell stays what it is
            (after,) = experimenter.outcomes([bad])
            standing = (
                FixStanding.WORKS if self._is_good(experimenter, bad, after, before[1]) else FixStanding.NO_EFFECT
            )
            return self._fix(candidate, standing, [_seen("bad", bad, before[0], after)])
        touched = self._touches(candidate, self.good)
        mended, kept = experimenter.outcomes([bad, self.good])
        cells = [_seen("bad", bad, before[0], mended), _seen("good", self.good, before[1], kept, touched=touched)]
        standing = FixStanding.WORKS if self._is_good(experimenter, bad, mended, before[1]) else FixStanding.NO_EFFECT
        only_here = bool(candidate.requirements) and kept.kind is OutcomeKind.UNTESTABLE
        stays = kept.kind is before[1].kind or self._is_good(experimenter, self.good, kept, before[1])
        if standing is FixStanding.WORKS and not stays and not only_here:
            standing = FixStanding.BREAKS_GOOD
        return self._fix(candidate, standing, cells)

    def _on_top(self, candidate: Candidate) -> list[Candidate]:
        """Where the bad cell goes on with an edit and then fails otherwise, that edit with what may mend the rest."""
        experimenter = self._changed(candidate)
        experimenter.recorded([self.bad])
        faults = (experimenter.evidence(self.bad).fault, self.base.evidence(self.bad).fault)
        if (
            candidate.steps >= MOST_STEPS
            or not candidate.patch
            or candidate.guess
            or not faults[0]
            or len(set(faults)) < 2
        ):
            return []
        experimenter.contents.update(self.base.contents)
        with suppress(BudgetSpentError):
            ends = self.good, self.bad
            account = self.ill.account.model_copy(update={"removed": removed_name(experimenter, *ends)})
            ill = Ill(experimenter=experimenter, account=account, good=self.good, bad=self.bad, pair=ends)
            script = self.base.script(self.bad)
            found = (
                replace(
                    one,
                    says=f"{candidate.says}; {one.says}",
                    because=f"{candidate.because}; {one.because}",
                    patch=(patch := one.patch.after(candidate.patch)),
                    diff=patched(script, patch).diff,
                    steps=candidate.steps + 1,
                )
                for one in _in_order(edits_for(ill))
                if one.patch
            )
            return [one for one in found if one.diff]  # none that takes back what came before
        return []

    def _elsewhere(self, candidate: Candidate, fix: Fix) -> Fix:
        """The fix with what it does in the other cells of the matrix that run a file that it changes."""
        if candidate.at:
            return fix
        experimenter = self._changed(candidate)
        others = [one for one in self.others if self._touches(candidate, one)]
        after = _as_far(experimenter.outcomes, others)
        unsure = [one for one in others if one in after and after[one].kind is not OutcomeKind.GOOD]
        before = _as_far(self.base.outcomes, unsure)
        known = dict(zip(others, self._before(others, run=False), strict=True))
        cells = [_seen("other", one, before.get(one, known[one]), after.get(one)) for one in others]
        lost = any(one.kinds[0] is OutcomeKind.GOOD and one.after and not one.works for one in cells)
        return self._fix(
            candidate, FixStanding.BREAKS_OTHER if lost and self.strict else fix.standing, [*fix.cells, *cells]
        )

    def left(self, fix: Fix, asked: Collection[Combination]) -> tuple[Combination, Combination] | None:
        """A cell that a fix leaves bad and the closest one that is good with it; None where nothing is left to ask."""
        cells = {Combination(CellId.of(one.values)): one for one in fix.cells if one.touched}
        good = [about for about, one in cells.items() if one.works]
        bad = [about for about, one in cells.items() if one.kinds[1] is OutcomeKind.BAD and about not in asked]
        pairs = [(one, other) for one in good for other in bad]
        return min(pairs, key=lambda pair: axes_apart((pair[0].cell, pair[1].cell)), default=None)

    def together(self, steps: Sequence[Candidate], patch: Patch) -> Fix:
        """What several candidates do as one change of the files as they are."""
        script = self.base.script(self.bad)
        whole = Candidate(
            kind=max((one.kind for one in steps), key=list(FixKind).index),
            says="; ".join(one.says for one in steps),
            because="; ".join(dict.fromkeys(one.because for one in steps)),
            patch=patch,
            diff=patched(script, patch).diff,
        )
        return self._elsewhere(whole, self._tried(whole))

    def _is_good(self, experimenter: Experimenter, about: Combination, after: JudgedCell, good: JudgedCell) -> bool:
        """True where a cell is good; where the rule calls even the good cell bad, where it ends as that does."""
        if good.kind is OutcomeKind.GOOD or after.kind in {OutcomeKind.GOOD, OutcomeKind.UNTESTABLE}:
            return after.kind is OutcomeKind.GOOD
        evidence = experimenter.evidence(about)
        return after.outcome == good.outcome or (bool(evidence.good) and not evidence.faults)

    def _before(self, about: Sequence[Combination], *, run: bool) -> list[JudgedCell]:
        return self.base.outcomes(about, run=run)

    def _changed(self, candidate: Candidate) -> Experimenter:
        return self.base.editing(candidate.patch, candidate.requirements)

    def _at(self, candidate: Candidate) -> Combination:
        """The bad cell, where another release is the candidate with that."""
        changed = self.bad
        for axis, value in candidate.at:
            changed = changed.at(axis, value)
        return changed

    def _touches(self, candidate: Candidate, about: Combination) -> bool:
        """True where a cell runs a file that a candidate changes, or has an environment that it changes."""
        paths = {path for path, _ in candidate.patch.texts}
        return not paths or bool(paths & {file.path for file in self.base.script(about).files})

    def _fix(self, candidate: Candidate, standing: FixStanding, cells: Sequence[FixCell]) -> Fix:
        fix = Fix(
            kind=candidate.kind,
            says=candidate.says,
            because=candidate.because,
            diff=candidate.diff,
            lines=candidate.lines,
            requirements=candidate.requirements,
            release=dict(candidate.at),
            standing=standing,
            cells=tuple(cells),
            tried_on=self.basis,
        )
        return fix.model_copy(update={"sentence": fix_sentence(fix)})

    def _untried(self, candidate: Candidate) -> Fix:
        return self._fix(candidate, FixStanding.UNTRIED, [])


def _as_far(
    outcomes: Callable[[Sequence[Combination]], list[JudgedCell]], about: Sequence[Combination]
) -> dict[Combination, JudgedCell]:
    """The outcomes of as many cells as the budget allows."""
    found: dict[Combination, JudgedCell] = {}
    try:
        for start in range(0, len(about), AT_ONCE):
            group = about[start : start + AT_ONCE]
            found.update(zip(group, outcomes(group), strict=True))
    except BudgetSpentError:
        pass
    return found


def _seen(
    role: Literal["bad", "good", "other"],
    about: Combination,
    before: JudgedCell,
    after: JudgedCell | None,
    *,
    touched: bool = True,
) -> FixCell:
    came_to = after.outcome if after is not None else NOT_RUN
    failed = [one for one in after.trials if standing(one[1].label).counts] if after is not None else []
    if after is not None and not after.converged and came_to == UNDECIDED and failed:
        came_to = Outcome.of_label(failed[0][1].label)  # too few for its rule, and all that there is fails
    return FixCell(
        values=dict(about.cell.values),
        role=role,
        before="" if before.outcome == NOT_RUN else str(before.outcome),
        after="" if came_to == NOT_RUN else str(came_to),
        converged=after.converged if after else 0,
        counted=after.counted if after else 0,
        touched=touched,
        raised=failed[0][0].raised if failed and came_to.breaks else "",
    )
