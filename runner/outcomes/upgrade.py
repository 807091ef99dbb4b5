"""Upgrade advice: up to which stack a script works as it is, and up to which with a fix that was run.

From the cells of a matrix and the fixes in its accounts alone: no stack is named in which neither ran.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeAlias

from packaging.version import Version

from runner.matrix.axes import AxisKind, axis_kind
from runner.matrix.versions import parsed
from runner.outcomes.outcome import OutcomeKind
from runner.outcomes.ranges import listed, short_scripts
from runner.outcomes.tried_fix import change_in_words

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from runner.outcomes.account import Account
    from runner.outcomes.tried_fix import Fix

Known: TypeAlias = tuple[Mapping[str, str], OutcomeKind]
"""The axis values of a cell, and the kind of its outcome."""
_STACK = frozenset({AxisKind.PACKAGE, AxisKind.PYTHON})
"""What an upgrade changes; all else is another way of running the script."""
_MOST_NAMES, _FIRST_NAMES = 12, 4
"""Of more ways to run the script the first are named."""
_NAMES = {"tensorflow": "TensorFlow", "keras": "Keras", "tf-keras": "tf-keras", "torch": "PyTorch", "numpy": "NumPy"}
_NAMES |= {"python": "CPython", "jax": "JAX", "scipy": "SciPy", "h5py": "h5py", "xgboost": "XGBoost"}


@dataclass(frozen=True, kw_only=True)
class _Group:
    """The cells that run the script in one way."""

    way: Mapping[str, str]
    cells: tuple[Known, ...]
    lead: str
    """The axis that an upgrade goes along."""

    @property
    def decided(self) -> list[str]:
        """The releases of which a cell is good or bad, in their order."""
        return self._releases({OutcomeKind.GOOD, OutcomeKind.BAD})

    @property
    def good(self) -> list[str]:
        """The releases of which a cell is good, in their order."""
        return self._releases({OutcomeKind.GOOD})

    def holds(self, values: Mapping[str, str]) -> bool:
        """True of a cell that runs the script in this way, and has a release: an account may be older than the axis."""
        return _way(values) == self.way and parsed(values.get(self.lead, "")) is not None

    def _releases(self, kinds: set[OutcomeKind]) -> list[str]:
        return _ordered({values[self.lead] for values, kind in self.cells if kind in kinds})

    def stack(self, release: str, cells: Iterable[Known]) -> str:
        """A release with what varies beside it: `TensorFlow 2.10.1 (Keras 2.10.0)`."""
        there = [values for values, kind in cells if values[self.lead] == release and kind is OutcomeKind.GOOD]
        best = max(there, key=lambda values: [_key(values[axis]) for axis in self._beside(values)])
        beside = ", ".join(f"{_name(axis)} {best[axis]}" for axis in self._beside(best))
        return f"{_name(self.lead)} {release}{f' ({beside})' if beside else ''}"

    def _beside(self, values: Mapping[str, str]) -> list[str]:
        """The further packages of the stack that are not the same everywhere."""
        varying = {axis for axis in values if len({one.get(axis) for one, _ in self.cells}) > 1}
        return [axis for axis in values if axis in varying and axis_kind(axis) in _STACK and axis != self.lead]


def upgrade_advice(
    cells: Sequence[Known], packages: Sequence[str], accounts: Sequence[Account] = ()
) -> tuple[str, ...]:
    """A sentence for each way of running the script; those of which the same is true share one.

    It goes along the first of `packages` whose releases vary; nothing is said where none do, or fewer than two
    releases are decided.
    """
    lead = next((name for name in packages if len({values.get(name) for values, _ in cells}) > 1), "")
    fixes = [fix for account in accounts for fix in account.fixes if fix.works]
    said: dict[str, list[_Group]] = {}
    for group in _groups(cells, lead):
        if len(group.decided) > 1:
            said.setdefault(_statement(group, fixes), []).append(group)
    alone = sum(map(len, said.values())) == 1
    return tuple(f"{_subject(groups, alone=alone)} {statement}." for statement, groups in said.items())


def _groups(cells: Sequence[Known], lead: str) -> Iterator[_Group]:
    found: dict[tuple[tuple[str, str], ...], list[Known]] = {}
    for values, kind in cells:
        if parsed(values.get(lead, "")) is not None:
            found.setdefault(tuple(_way(values).items()), []).append((values, kind))
    for way, own in found.items():
        yield _Group(way=dict(way), cells=tuple(own), lead=lead)


def _way(values: Mapping[str, str]) -> dict[str, str]:
    return {axis: value for axis, value in values.items() if axis_kind(axis) not in _STACK}


def _statement(group: _Group, fixes: Sequence[Fix]) -> str:
    """What is true of the script as it is, and of the fix that takes it furthest."""
    decided, good = group.decided, group.good
    newest = good[-1] if good else ""
    if not good:
        text = f"works unchanged in no stack of this matrix, from {_name(group.lead)} {decided[0]} to {decided[-1]}"
    elif good == decided:
        text = f"works unchanged in all releases that were run, up to {group.stack(newest, group.cells)}"
    else:
        text = f"works unchanged up to {group.stack(newest, group.cells)}"
        before = [one for one in decided if one not in good and Version(one) < Version(newest)]
        text += f", though not with {listed(before, 'and')}{_mended(group, fixes, before)}" if before else ""
    further = max(_with_fixes(group, fixes), key=lambda found: _key(found[1][-1]), default=None)
    if further is None or (newest and Version(further[1][-1]) <= Version(newest)):
        return text
    fix, releases, fixed = further
    return f"{text}; with {_change(fix)} up to {group.stack(releases[-1], fixed)}"


def _mended(group: _Group, fixes: Sequence[Fix], bad: Sequence[str]) -> str:
    """The fix that was seen to mend most of the releases that are bad, and which; empty where none mends any."""
    found = [(fix, [one for one in bad if one in releases]) for fix, releases, _ in _with_fixes(group, fixes)]
    fix, mended = max(found, key=lambda one: len(one[1]), default=(None, []))
    if fix is None or not mended:
        return ""
    which = "" if mended == list(bad) else f": {listed(mended, 'and')}"
    return f" (it does with {_change(fix)}{which})"


def _with_fixes(group: _Group, fixes: Sequence[Fix]) -> Iterator[tuple[Fix, list[str], list[Known]]]:
    """Each fix with the releases, in their order, of which a cell of the group was seen to be good with it."""
    for fix in fixes:
        fixed: list[Known] = [
            (cell.values, OutcomeKind.GOOD)
            for cell in fix.cells
            if cell.works and cell.touched and not fix.release and group.holds(cell.values)
        ]
        if fixed:
            yield fix, _ordered({values[group.lead] for values, _ in fixed}), fixed


def _change(fix: Fix) -> str:
    """`the 2-line patch`, `the requirement numpy<1.24`."""
    patch = f"the {fix.lines}-line patch" if fix.diff else ""
    required = f"the requirement {' and '.join(fix.requirements)}" if fix.requirements else ""
    return " and ".join(filter(None, [patch, required])) or change_in_words(fix)


def _subject(groups: Sequence[_Group], *, alone: bool) -> str:
    if alone:
        return "This script"
    scripts = short_scripts(group.way["script"] for group in groups if "script" in group.way)
    names = []
    for group in groups:
        parts = [scripts[value] if axis == "script" else f"{axis}={value}" for axis, value in group.way.items()]
        names.append(" with ".join(parts) or "this script")
    names = list(dict.fromkeys(names))
    if len(names) > _MOST_NAMES:
        names = [*names[:_FIRST_NAMES], f"{len(names) - _FIRST_NAMES} more"]
    return f"Each of {listed(names, 'and')}" if len(groups) > 1 else names[0]


def _ordered(releases: Iterable[str]) -> list[str]:
    return sorted(releases, key=_key)


def _key(release: str) -> Version:
    return parsed(release) or Version("0")


def _name(axis: str) -> str:
    return _NAMES.get(axis, axis)
