"""Edits of the script that may mend a bad cell: what it relied on is written out, names that are gone are replaced.

From what the account knows by live objects, and from what `check` says to write.
"""

from __future__ import annotations

import ast
import builtins
import re
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING

from runner import foreign_json
from runner.check.findings import FindingKind
from runner.explain.candidates import FLIPS, Way, ways_of
from runner.explain.foreseen import findings_between, lines_that_raised
from runner.explain.switches import differing_defaults
from runner.outcomes.tried_fix import FixKind
from runner.preludes.defaults import explicit
from runner.scripts.added_lines import guarded_import
from runner.scripts.edits import positional, renamed_argument, replaced_name, with_argument, without_argument
from runner.scripts.patching import texts_of
from runner.scripts.source import Edit, edited

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from runner.check.findings import Finding
    from runner.explain.candidates import Candidate, Ill
    from runner.outcomes.account import RemovedName
    from runner.preludes.defaults import Default

_SYNONYMS = {"learning_rate": ("lr",), "n_components": ("n_topics",), "units": ("output_dim",), "epochs": ("nb_epoch",)}
"""Older names of arguments under which scripts give them."""
_SPAN = re.compile(r"`+([^`]+)`+")
"""Code in a package's notice."""
_MODULES = {"initializer": "initializers", "regularizer": "regularizers", "constraint": "constraints"}
MOST_TEMPLATES = 6
"""So many replacements for a name that is gone are tried."""


def edits_for(ill: Ill) -> list[Candidate]:
    """The candidates that edit the script."""
    return list(dict.fromkeys([*_of_check(ill), *_of_defaults(ill), *_of_joint(ill), *_of_removed_name(ill)]))


def _of_check(ill: Ill) -> Iterator[Candidate]:
    """What `check` says to write instead: on the line that raised, of all that breaks, of all that changes."""
    found = [one for one in findings_between(ill.experimenter, ill.good, ill.bad) if one.edit is not None]
    raised = lines_that_raised(ill.experimenter, ill.bad)
    breaking = [one for one in found if one.kind is FindingKind.BREAKS]
    groups = [[one for one in breaking if (one.file, one.line) in raised], breaking]
    if not (raised and breaking):  # what breaks comes first: no other edit alone changes how it ends
        groups += _by_change([one for one in found if one not in breaking])
    groups.append([one for one in found if one.kind is not FindingKind.DEPRECATED])
    for group in dict.fromkeys(tuple(some) for some in (*groups, found) if some):
        yield from _of_findings(ill, group)


def _by_change(findings: Sequence[Finding]) -> list[list[Finding]]:
    """Each finding by itself, and all places of a known change together."""
    groups: dict[object, list[Finding]] = {}
    for one in findings:
        groups.setdefault(one.path if one.kind is FindingKind.KNOWN else one, []).append(one)
    return list(groups.values())


def _of_findings(ill: Ill, findings: Sequence[Finding]) -> Iterator[Candidate]:
    """The edits of findings together; then so that the good cell may take them too: no name, or either import."""
    script = ill.script()
    texts = texts_of(script)
    places = (f"{script.place(one.file, one.line)}: {one.instead or one.path}" for one in findings)
    says = "; ".join(dict.fromkeys(places))
    because = "; ".join(dict.fromkeys(one.message for one in findings))
    for way, suffix in _WAYS:
        edits: dict[str, list[Edit]] = {}
        for one in findings:
            edits.setdefault(one.file, []).extend(way(one, texts[one.file]))
        yield from ill.of_edits(FixKind.EDIT, f"{says}{suffix}", because, edits)


def _as_said(finding: Finding, _text: str) -> list[Edit]:
    return [finding.edit] if finding.edit is not None else []


def _without_name(finding: Finding, text: str) -> list[Edit]:
    """The argument by its place: where its name in both cells is another one, that is what both take."""
    found = positional(text, finding.file, finding.line, finding.argument) if finding.argument else []
    return found or _as_said(finding, text)


def _either_import(finding: Finding, text: str) -> list[Edit]:
    return (guarded_import(text, finding.edit) if finding.edit is not None else []) or _as_said(finding, text)


_WAYS = (
    (_as_said, ""),
    (_without_name, ", without the argument's name"),
    (_either_import, ", where it can be imported"),
)


def _of_defaults(ill: Ill) -> Iterator[Candidate]:
    """Defaults that were seen to make the difference, written out at the calls of the script."""
    flipping = {one.name for one in ill.account.switches if one.standing in FLIPS}
    defaults = differing_defaults(ill.experimenter, *ill.pair) if flipping else []
    chosen = [one for one in defaults if explicit(one).name in flipping]
    if "explicit-defaults" in flipping:
        ways = [way for one in defaults for way in _explicit_ways(one)]
        used = [way for way in ways if any(way.edits(text, path) for path, text in texts_of(ill.script()).items())]
        yield from _together(ill, used, "these defaults differ, and do it together", FixKind.EDIT)
    for one in chosen:
        for way in _explicit_ways(one):
            because = f"the default of {one.class_name} is {one.bad} in the bad cell and {one.good} in the good one"
            yield from ill.edit(FixKind.EDIT, way.says, because, way.edits)


def _explicit_ways(default: Default) -> list[Way]:
    """The one way to write a default out, where that can be written."""
    value = source_of(default)
    if value is None:
        return []
    older = _SYNONYMS.get(default.key, ())
    edits = partial(with_argument, class_name=default.class_name, key=default.key, value=value, older=older)
    return [Way(says=f"{default.class_name}({default.key}={value})", edits=edits)]


def _of_joint(ill: Ill) -> Iterator[Candidate]:
    """Switches and defaults that are needed together, each as it is written by itself, in one change."""
    found = [one for one in ill.account.switches if one.standing in FLIPS and one.parts]
    defaults = {explicit(one).name: one for one in differing_defaults(ill.experimenter, *ill.pair)} if found else {}
    for joint in found:
        names = [one.name for one in joint.parts]
        ways = [_explicit_ways(defaults[name]) if name in defaults else list(ways_of(ill, name)) for name in names]
        if all(ways):
            kind = FixKind.EDIT if all(name in defaults for name in names) else FixKind.SWITCH
            because = f"the bad cell is good with {' and '.join(names)} together, and with none of them alone"
            for choice in range(max(map(len, ways))):
                yield from _together(ill, [some[min(choice, len(some) - 1)] for some in ways], because, kind)


def _together(ill: Ill, ways: Sequence[Way], because: str, kind: FixKind) -> Iterator[Candidate]:
    """Several ways in one change, each on top of the one before it; none where one of them finds nothing to edit."""
    after = before = texts_of(ill.script())
    for way in ways:
        edits = {path: list(way.edits(text, path)) for path, text in after.items()}
        if not any(edits.values()):
            return
        after = {path: edited(text, edits[path]) for path, text in after.items()}
    whole = {path: [Edit(start=0, end=len(before[path].encode()), text=text)] for path, text in after.items()}
    says = ", ".join(way.says for way in ways)
    requirements = tuple(dict.fromkeys(text for way in ways for text in way.requirements))
    yield from ill.of_edits(kind, says, because, whole, requirements=requirements)


def source_of(default: Default) -> str | None:
    """The good cell's value of a default as a person writes it; None where that can't be said."""
    value = foreign_json.loads(default.good) if default.good is not None else None
    if isinstance(value, dict):
        module = _MODULES.get(default.key.rpartition("_")[2])
        settings = value.get("config")
        if module is None or not isinstance(settings, dict) or not isinstance(value.get("class_name"), str):
            return None
        given = ", ".join(f"{key}={one!r}" for key, one in settings.items())
        return f"keras.{module}.{value['class_name']}({given})"
    return None if value is None else repr(tuple(value) if isinstance(value, list) else value)


def _of_removed_name(ill: Ill) -> Iterator[Candidate]:
    """What the package itself says to write instead of a name that is gone, then names that are alike."""
    removed = ill.account.removed
    if removed is None or not removed.name.isidentifier():
        return
    looks = [look for look in (removed.good, removed.bad) if look]
    near = [name for look in looks for name in look.near if name != removed.name and name.isidentifier()]
    if removed.kind == "argument":
        yield from _of_removed_argument(ill, removed, near)
        return
    gone = f"{removed.owner} has no {removed.name} in the bad cell"
    said = [text for look in looks for text in templates_in(look.said, removed.name)]
    for template in list(dict.fromkeys([*said, *near]))[:MOST_TEMPLATES]:
        why = "the package's own notice says so" if template in said else "that name is alike: mind what it means"
        edits = partial(replaced_name, owner=removed.owner, name=removed.name, template=template)
        alike = "" if template in said else ", a name that is alike"
        says = f"{template} in place of {removed.name}{alike}"
        for one in ill.edit(FixKind.EDIT, says, f"{gone}, and {why}", edits):
            yield replace(one, guess=template not in said)


def _of_removed_argument(ill: Ill, removed: RemovedName, near: Sequence[str]) -> Iterator[Candidate]:
    """An argument that is not taken: by another name, without its name, or left out."""
    because = f"{removed.owner} does not take {removed.name}= in the bad cell"
    for name in list(dict.fromkeys(near))[:MOST_TEMPLATES]:
        rename = partial(renamed_argument, callee=removed.owner, key=removed.name, new=name)
        yield from ill.edit(FixKind.EDIT, f"{name}= in place of {removed.name}=", because, rename)
    lines = {error.file: error.line for error in ill.exceptions if error.line is not None}
    texts = texts_of(ill.script())
    placed = {path: positional(texts[path], path, line, removed.name) for path, line in lines.items() if path in texts}
    yield from ill.of_edits(FixKind.EDIT, f"{removed.name} without its name", because, placed)
    left_out = partial(without_argument, callee=removed.owner, key=removed.name)
    for one in ill.edit(FixKind.EDIT, f"{removed.owner} without {removed.name}=", because, left_out):
        yield replace(one, guess=True)


def templates_in(said: str, name: str) -> list[str]:
    """The pieces of code in a notice that may stand for a name that is gone: expressions that do not have it."""
    found = [span for span in dict.fromkeys(_SPAN.findall(said)) if _is_expression(span)]
    return [
        span for span in found if (hasattr(builtins, span) if span == name else f".{name}" not in _bare(span, name))
    ]


def _bare(span: str, name: str) -> str:
    """A piece of code without longer names that begin like this one: `np.bool_` has no `.bool`."""
    return re.sub(rf"\.{re.escape(name)}\w+", "", span)


def _is_expression(text: str) -> bool:
    try:
        ast.parse(text, mode="eval")
    except (SyntaxError, ValueError):
        return False
    return True
