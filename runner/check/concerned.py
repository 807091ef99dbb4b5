"""The uses of a script that known changes concern: behaviour that no signature shows."""

from __future__ import annotations

from dataclasses import dataclass
from fnmatch import fnmatchcase
from itertools import islice
from typing import TYPE_CHECKING

from runner.changes.known import flavour_of
from runner.check.stack_api import like
from runner.check.uses import UseKind

if TYPE_CHECKING:
    from collections.abc import Iterator

    from runner.changes.known import Border, Concern, KnownChange
    from runner.check.stack_api import Api
    from runner.check.uses import GivenArguments, ProjectUses, Use
    from runner.history.api import PublicName


@dataclass(frozen=True, kw_only=True, slots=True)
class ConcernedUse:
    """A use that a known change concerns, and the border that was crossed."""

    change: KnownChange
    use: Use
    border: Border


class ConcernedUses:
    """The uses of a project, by their names."""

    def __init__(self, project: ProjectUses, known: tuple[KnownChange, ...]) -> None:
        self._project, self._known = project, known
        self._by_name = _by_name_of(project)

    def between(self, before: Api, after: Api) -> Iterator[ConcernedUse]:
        """The known changes whose border lies between two sides and that concern a use.

        Each once, with the first; one that says how to write it with every use, since all of them are to be written so.
        """
        for change in self._known:
            crossed = [one for one in change.borders if one.crossed(before.versions, after.versions)]
            if crossed and change.holds_in(before.versions) and change.holds_in(after.versions):
                found = (self._concerned(change, use, after) for use in self._uses_named(change))
                concerned = (one for one in found if one is not None and one.border in crossed)
                yield from concerned if change.give or change.rename or change.write else islice(concerned, 1)

    def _concerned(self, change: KnownChange, use: Use, after: Api) -> ConcernedUse | None:
        path = after.resolved(use.paths[0])
        border = change.border_of(path) if path is not None else None
        if path is None or border is None or not any(self._holds(one, use, path, after) for one in change.concerns):
            return None
        return ConcernedUse(change=change, use=use, border=border)

    def _uses_named(self, change: KnownChange) -> Iterator[Use]:
        """The uses that a change may concern, by the last parts of their names."""
        names = {name.rpartition(".")[2] for concern in change.concerns for name in concern.uses}
        numbers = {number for name in names for number in self._by_name.get(name, ())}
        yield from (self._project.uses[number] for number in sorted(numbers))

    def _holds(self, condition: Concern, use: Use, path: str, after: Api) -> bool:
        """Whether a condition of a known change holds of a use."""
        if not any(_is_same(like(name, path) if flavour_of(path) else name, path, after) for name in condition.uses):
            return False
        if condition.element is not (use.kind is UseKind.ELEMENT):
            return False
        if condition.words and self._project.words.isdisjoint(condition.words):
            return False
        if not condition.given and not condition.absent:
            return True
        if use.call is None:
            return False
        given = _by_name(use.call, after.name(path))
        return all(
            one.name in given
            and (not one.values or any(fnmatchcase(given[one.name].strip("'\""), v) for v in one.values))
            for one in condition.given
        ) and all(name not in given for name in condition.absent)


def _by_name_of(project: ProjectUses) -> dict[str, list[int]]:
    """The numbers of the uses that are not guarded, by the last part of their path; of imports by every part."""
    found: dict[str, list[int]] = {}
    for number, use in enumerate(project.uses):
        parts = use.paths[0].replace("()", "").split(".")
        for part in () if use.guarded else parts if use.kind is UseKind.IMPORT else parts[-1:]:
            found.setdefault(part, []).append(number)
    return found


def _is_same(name: str, path: str, api: Api) -> bool:
    """Whether two paths are the same thing: by one name, or as aliases."""
    if name == path:
        return True
    if path.startswith(f"{name}."):
        module = api.name(name)
        return module is not None and module.kind == "module"
    if name.rpartition(".")[2] != path.rpartition(".")[2]:
        return False
    one, other = api.name(name), api.name(path)
    return one is not None and other is not None and (one.target or one.path) == (other.target or other.path)


def _by_name(given: GivenArguments, name: PublicName | None) -> dict[str, str]:
    """The arguments of a call by the names of their parameters; positional ones by their places too, "0" first."""
    places = [one.name for one in (name.parameters or () if name else ()) if one.kind in {"positional", "either"}]
    positional = [one for one in given.listed if not one.name]
    found = {name: one.value for name, one in zip(places, positional, strict=False)}
    found |= {str(place): one.value for place, one in enumerate(positional)}
    return {**found, **{one.name: one.value for one in given.listed if one.name}}
