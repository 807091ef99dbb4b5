"""Which switches there are for a pair of cells: those of the catalogue that apply, each with its reverse."""

from __future__ import annotations

from typing import TYPE_CHECKING

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from runner.investigate import Combination, Switching
from runner.matrix.model import NO_PRELUDE
from runner.preludes import catalogue

if TYPE_CHECKING:
    from collections.abc import Mapping

    from runner.preludes import Switch

_STANDS_FOR = {"tensorflow": ("tensorflow", "tensorflow-cpu", "tensorflow-gpu")}
"""Distributions that hold the same package."""


def switchings(
    good: Combination, bad: Combination, contents_good: Mapping[str, str], contents_bad: Mapping[str, str]
) -> list[Switching]:
    """Every switch that applies to what the bad cell holds, with the reverse where that applies to the good one."""
    found = []
    for switch in catalogue().values():
        if not applies(switch, contents_bad):
            continue
        reverse = catalogue().get(switch.reverse)
        turned = reverse is not None and applies(reverse, contents_good)
        found.append(
            Switching(
                name=switch.name,
                breadth=switch.breadth,
                does=switch.does,
                how=switch.how,
                on=with_prelude(bad, switch.name),
                reverse_name=switch.reverse if turned else "",
                reverse=with_prelude(good, switch.reverse) if turned else None,
            )
        )
    return found


def applies(switch: Switch, contents: Mapping[str, str]) -> bool:
    """Whether an environment has all that a switch is for, in the versions that it is for."""
    return all(_held(Requirement(text), contents) for text in switch.applies)


def with_prelude(about: Combination, *names: str) -> Combination:
    """The same cell with further preludes, which run after those that it has."""
    values = dict(about.values)
    before = values.get("prelude", NO_PRELUDE)
    values["prelude"] = " ".join([*(before.split() if before != NO_PRELUDE else ()), *names])
    return Combination(values=tuple(values.items()), pins=about.pins)


def _held(requirement: Requirement, contents: Mapping[str, str]) -> bool:
    name = canonicalize_name(requirement.name)
    versions = [contents[one] for one in _STANDS_FOR.get(name, (name,)) if one in contents]
    return any(requirement.specifier.contains(version, prereleases=True) for version in versions)
