"""What may stand in place of a package's versions: a range, `latest`, `era`; read here, answered by `settle`."""

from __future__ import annotations

import enum
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from runner.matrix.mistakes import RefusedError, nearest, quoted
from runner.matrix.quantities import truth
from runner.matrix.versions import specifiers

if TYPE_CHECKING:
    from collections.abc import Mapping

    from runner.matrix.nodes import Text

_LATEST = re.compile(r"latest(?:-([1-9]\d{0,3}))?", re.ASCII)
EXAMPLE = '{range: ">=1.7,<2.17", every: minor}'


class Every(enum.Enum):
    """How many releases of a range are taken: the newest of each major or minor release, or every single one."""

    MAJOR = "major"
    MINOR = "minor"
    PATCH = "patch"


@dataclass(frozen=True, kw_only=True, slots=True)
class Range:
    """The releases in `specifiers` (PEP 440; empty: all): without yanked ones, without pre-releases unless asked."""

    specifiers: str
    every: Every = Every.MINOR
    prereleases: bool = False

    def __str__(self) -> str:
        """In words, for `plan`."""
        also = " with pre-releases" if self.prereleases else ""
        return f"{self.specifiers or '*'} every {self.every.value}{also}"


@dataclass(frozen=True, kw_only=True, slots=True)
class Latest:
    """The newest final release; with `before` n, the latest patch of the nth minor release before the newest one."""

    before: int = 0

    def __str__(self) -> str:
        """As a user writes it."""
        return f"latest-{self.before}" if self.before else "latest"


@dataclass(frozen=True, kw_only=True, slots=True)
class Era:
    """For each value of the base the release that a user had then (`eras`): a pairing, not a product."""

    def __str__(self) -> str:
        """As a user writes it."""
        return "era"


Rule = Range | Latest | Era


def read_rule(node: str | Mapping[Text, Text]) -> Rule | None:
    """The rule that a value of a package axis is, None where it is a plain text.

    Raises RefusedError for a mapping that is no range.
    """
    if not isinstance(node, str):
        return _range(node)
    if node == "era":
        return Era()
    latest = _LATEST.fullmatch(node)
    return Latest(before=int(latest[1] or 0)) if latest else None


def refuse_rule(node: str | Mapping[Text, Text]) -> None:
    """Raise RefusedError where a rule stands in a place for one concrete version."""
    rule = read_rule(node) if isinstance(node, str) or "range" in node else None
    if rule is not None:
        raise RefusedError(
            f"{quoted(str(rule))} can stand under axes only", "name a version that it becomes: `plan` shows them"
        )


def _range(node: Mapping[Text, Text]) -> Range:
    for key in node:
        if key not in {"range", "every", "prereleases"}:
            near = nearest(key, ("range", "every", "prereleases"))
            raise RefusedError(f"unknown key {quoted(key)}", near, position=key.position)
    found = {str(key): value for key, value in node.items()}
    if "range" not in found:
        raise RefusedError("a mapping of a package axis needs a range", f"such as {EXAMPLE}")
    try:
        plain = specifiers(found["range"])
    except RefusedError as error:
        raise RefusedError(error.message, error.hint, position=found["range"].position) from None
    return Range(
        specifiers=plain,
        every=_every(found["every"]) if "every" in found else Every.MINOR,
        prereleases=_prereleases(found["prereleases"]) if "prereleases" in found else False,
    )


def _every(text: Text) -> Every:
    try:
        return Every(text)
    except ValueError:
        words = [every.value for every in Every]
        raise RefusedError(
            f"every {quoted(text)} has no meaning", nearest(text, words), position=text.position
        ) from None


def _prereleases(text: Text) -> bool:
    try:
        return truth(text)
    except RefusedError as error:
        raise RefusedError(f"prereleases: {error.message}", error.hint, position=text.position) from None
