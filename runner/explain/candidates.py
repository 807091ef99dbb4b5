"""What might mend a bad cell, the narrowest first: candidates from the account of an investigation, none of them run.

What the script relies on is written out, or called by its present name; the switch that is the cause is written as a
person would; a line for the requirements; another release.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING

from packaging.utils import canonicalize_name
from packaging.version import Version

from runner.explain.switches import missing_legacy_keras
from runner.explain.walk import is_ordered
from runner.matrix.axes import AxisKind, axis_kind
from runner.matrix.releases import is_final
from runner.outcomes.account import SwitchStanding
from runner.outcomes.tried_fix import FixKind
from runner.preludes.prelude import FixPlace, catalogue
from runner.scripts.added_lines import added_lines
from runner.scripts.edits import taken_from, with_call_argument
from runner.scripts.patching import UNPATCHED, Patch, lines_changed, patched, texts_of
from runner.scripts.project_needs import distribution_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

    from runner.explain.experimenter import Experimenter
    from runner.investigate.question import Combination
    from runner.outcomes.account import Account, Bisection
    from runner.preludes.prelude import CatalogueSwitch
    from runner.scripts.script import Script
    from runner.scripts.source import Edit
    from runner.trials.record import ScriptException

    FileEdits = Callable[[str, str], Iterable[Edit]]
    """Edits of a file by its text and path."""
    _Values = Mapping[str, str | None]

FLIPS = (SwitchStanding.CAUSED_BY, SwitchStanding.WAY_ROUND, SwitchStanding.GOES_WITH)
_MISSING = re.compile(r"No module named '(?P<name>\w+)'")


@dataclass(frozen=True, kw_only=True)
class Candidate:
    """One change that may mend the bad cell."""

    kind: FixKind
    says: str
    because: str
    patch: Patch = UNPATCHED
    diff: str = field(default="", compare=False)
    requirements: tuple[str, ...] = ()
    at: tuple[tuple[str, str], ...] = ()
    """Axis values in place of the bad cell's."""
    guess: bool = False
    """True where it may mean something else than what it replaces: it comes after those that say the same."""
    steps: int = 1
    """The number of edits, of which each was made because of the failure that the one before it led to."""

    @property
    def lines(self) -> int:
        """The number of lines that it changes."""
        return lines_changed(self.diff)

    @property
    def size(self) -> tuple[int, bool, int, int]:
        """The order in which candidates are tried."""
        return list(FixKind).index(self.kind), self.guess, self.lines, len(self.requirements) + len(self.at)


@dataclass(frozen=True, kw_only=True)
class Ill:
    """The bad cell and what is known of it."""

    experimenter: Experimenter
    account: Account
    good: Combination
    bad: Combination
    pair: tuple[Combination, Combination]
    """The closest good and bad cells, whose live objects were compared."""

    def script(self) -> Script:
        """The bad cell's script as the user wrote it, or as it is patched by now."""
        return self.experimenter.script(self.bad)

    @property
    def exceptions(self) -> list[ScriptException]:
        """The exceptions that ended trials of the bad cell."""
        return [record.exception for record, _ in self.experimenter.trials.get(self.bad, ()) if record.exception]

    @property
    def legacy_keras(self) -> dict[str, str]:
        """The package tf-keras, where the bad cell's environment may have it and lacks it."""
        return missing_legacy_keras(self.experimenter, dict(self.experimenter.contents.get(self.bad, ())))

    def edit(
        self, kind: FixKind, says: str, because: str, edits: FileEdits, requirements: tuple[str, ...] = ()
    ) -> Iterator[Candidate]:
        """The candidate that makes edits in the files of the script where they find something to edit."""
        found = {path: list(edits(text, path)) for path, text in texts_of(self.script()).items()}
        yield from self.of_edits(
            kind, says, because, {path: some for path, some in found.items() if some}, requirements=requirements
        )

    def of_edits(
        self,
        kind: FixKind,
        says: str,
        because: str,
        edits: Mapping[str, Sequence[Edit]],
        requirements: tuple[str, ...] = (),
    ) -> Iterator[Candidate]:
        """The candidate of edits by file; none where they change nothing."""
        script = self.script()
        try:
            patch = Patch.of(script, edits)
        except AssertionError:  # two that overlap
            return
        if patch:
            diff = patched(script, patch).diff
            yield Candidate(kind=kind, says=says, because=because, patch=patch, diff=diff, requirements=requirements)


def candidates_for(ill: Ill) -> list[Candidate]:
    """The candidates that set a switch, hold a package or take another release."""
    return [
        *_of_switches(ill),
        *_of_missing_module(ill),
        *_of_requirements(ill),
        *_of_releases(ill),
    ]


# -- switches --------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, kw_only=True)
class Way:
    """One way to write a switch, or a default, in a script."""

    says: str
    edits: FileEdits
    requirements: tuple[str, ...] = ()


def _of_switches(ill: Ill) -> Iterator[Candidate]:
    """The switches that flip the outcome, as a person writes them."""
    for found in ill.account.switches:
        if found.standing in FLIPS and not found.parts:
            because = f"the bad cell is good with the switch {found.name} ({found.does})"
            for way in ways_of(ill, found.name):
                yield from ill.edit(FixKind.SWITCH, way.says, because, way.edits, requirements=way.requirements)
            if found.name == "import-tf-keras":
                yield _legacy_imports(ill, because)


def without_a_way(account: Account) -> list[str]:
    """Of the switches that flip the outcome, by themselves or together, sentences on those that no script can set."""
    names = [(one.name, *(part.name for part in one.parts)) for one in account.switches if one.standing in FLIPS]
    flipping = [catalogue().get(name) for some in names for name in some]
    return [
        f"What the switch {one.name} changes has no public way to be written in a script: {one.fix.why}."
        for one in flipping
        if one is not None and one.fix.place is FixPlace.NOWHERE
    ]


def ways_of(ill: Ill, name: str) -> Iterator[Way]:
    """The ways to write a switch of the catalogue, and a fixed order of the data, the usual one first."""
    if name == "data-order":
        yield Way(
            says="fit(shuffle=False)", edits=partial(with_call_argument, callee="fit", key="shuffle", value="False")
        )
    elif switch := catalogue().get(name):
        yield from _written(ill, switch)


def _written(ill: Ill, switch: CatalogueSwitch) -> Iterator[Way]:
    way, main = switch.fix, ill.script().path
    added = ill.legacy_keras if switch.name == "legacy-keras" else {}
    requirements = tuple(f"{name}=={version}" for name, version in added.items())
    for lines in way.alternatives:
        says = "; ".join(lines)

        def in_main(
            text: str, path: str, *, before: bool = False, guarded: bool = False, lines: tuple[str, ...] = lines
        ) -> list[Edit]:
            return added_lines(text, lines, before=before, guarded=guarded) if path == main else []

        match way.place:
            case FixPlace.CALL:
                key, _, value = lines[0].partition("=")
                edits: list[FileEdits] = [partial(with_call_argument, callee=way.where, key=key, value=value)]
                says = f"{way.where}({says})"
            case FixPlace.MODULE:
                names = lines[0].split()
                edits = [partial(taken_from, module=way.where, names=names)]
                says = f"classes of {way.where}"
            case FixPlace.BEFORE:
                edits = [partial(in_main, before=True)]
            case _:  # where it has to come before what other imports do, it stands before them
                edits = [in_main, partial(in_main, before=True), partial(in_main, guarded=True)]
        for one, place in zip(edits, ("", ", before the imports", ", where it can be imported"), strict=False):
            yield Way(says=f"{says}{place}", edits=one, requirements=requirements)


def _legacy_imports(ill: Ill, because: str) -> Candidate:
    """Keras 2 in place of Keras 3, wherever the script imports it."""
    from runner.scripts.rewriting import rewritten  # noqa: PLC0415 - LibCST is heavy

    script = ill.script()
    after = texts_of(rewritten(script, "tf_keras"))
    before = texts_of(script)
    patch = Patch(tuple(sorted((path, text) for path, text in after.items() if text != before[path])))
    added = ill.legacy_keras
    return Candidate(
        kind=FixKind.SWITCH,
        says="tf_keras in place of keras",
        because=because,
        patch=patch,
        diff=patched(script, patch).diff,
        requirements=tuple(f"{name}=={version}" for name, version in added.items()),
    )


# -- requirements and releases ---------------------------------------------------------------------------------------


def _of_missing_module(ill: Ill) -> Iterator[Candidate]:
    """The package of a module that the bad cell misses."""
    message = next((error.message for error in ill.exceptions), "")
    if re.search(r"tf[-_]keras|Keras cannot be imported", message) and (added := ill.legacy_keras):
        texts = tuple(f"{name}=={version}" for name, version in added.items())
        yield Candidate(
            kind=FixKind.REQUIREMENT, says=texts[0], because="the exception asks for it", requirements=texts
        )
    elif found := _MISSING.search(message):
        name = distribution_of(found["name"], ()) or str(canonicalize_name(found["name"]))
        if ill.experimenter.laboratory.releases(name):
            because = f"the bad cell has no module {found['name']}"
            yield Candidate(kind=FixKind.REQUIREMENT, says=name, because=because, requirements=(name,))


def _of_requirements(ill: Ill) -> Iterator[Candidate]:
    """The packages that an axis brought along and that make the difference, held where they are good."""
    axes = {axis for axis, _ in ill.bad.cell} | {axis for axis, _ in ill.account.shared.items()}
    for cause in ill.account.causes:
        for factor in (factor for inner in cause.components for factor in inner.factors):
            held = factor.name in axes or axis_kind(factor.name) is not AxisKind.PACKAGE
            if held or factor.good is None or factor.bad is None:
                continue
            good, bad = (place.get(factor.name) for place in _last_step(ill.account.bisections, factor.name))
            border = (good, bad) if good and bad else (factor.good, factor.bad)
            if is_ordered(factor.name, *border):
                text = _range(factor.name, *border)
                because = f"{factor.name} {border[0]} is good and {border[1]} is not"
                yield Candidate(kind=FixKind.REQUIREMENT, says=text, because=because, requirements=(text,))


def _last_step(bisections: Iterable[Bisection], axis: str) -> tuple[_Values, _Values]:
    """The values at both sides, good and bad, of the last step along an axis that breaks; none where none was found."""
    breaking = [(one.places, flip) for one in bisections if one.axis == axis for flip in one.flips if flip.breaks]
    if not breaking:
        return {}, {}
    places, flip = breaking[-1]
    return places[flip.good].values, places[flip.bad].values


def _range(name: str, good: str, bad: str) -> str:
    """`numpy<1.24` where releases below are good, `h5py>=3.1` where those above are; a final zero is left out."""
    later_is_bad = Version(bad) > Version(good)
    text = re.sub(r"(?<=\d\.\d)\.0$|(?<=\d\d)\.0$", "", bad if later_is_bad else good)
    return f"{name}<{text}" if later_is_bad else f"{name}>={text}"


def _of_releases(ill: Ill) -> Iterator[Candidate]:
    """Releases of a cause's axis: later ones than the bad one, then the last good one, with what goes along with it."""
    good, bad = ill.good.cell.values, ill.bad.cell.values
    for cause in ill.account.causes:
        for name in cause.needed:
            ordered = name in good and name in bad and is_ordered(name, good[name], bad[name])
            if not ordered:
                continue
            if axis_kind(name) is AxisKind.PACKAGE and Version(bad[name]) > Version(good[name]):
                yield from _later(ill, name, bad[name])
            last = _last_step(ill.account.bisections, name)[0] or {name: good[name]}
            at = tuple((axis, value) for axis in bad if (value := last.get(axis)) and value != bad[axis])
            says = ", ".join(f"{axis} {value}" for axis, value in at)
            yield Candidate(kind=FixKind.RELEASE, says=says, because="it is the last that is known to be good", at=at)


def _later(ill: Ill, name: str, bad: str) -> Iterator[Candidate]:
    """The patch releases of the bad one's minor release, the newest of them, then the newest of all."""
    known = [one.version for one in ill.experimenter.laboratory.releases(name) or () if is_final(one)]
    later = [one for one in known if one > Version(bad)]
    patches = [one for one in later if one.release[:2] == Version(bad).release[:2]]
    for version in dict.fromkeys(max(some) for some in (patches, later) if some):
        because = "a later release may have it mended"
        yield Candidate(kind=FixKind.RELEASE, says=f"{name} {version}", because=because, at=((name, str(version)),))
