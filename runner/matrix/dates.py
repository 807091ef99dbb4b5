"""`as_of:` → from when the packages of an environment may be: one rule for all, and rules for packages by name."""

from __future__ import annotations

import re
from datetime import date
from typing import TYPE_CHECKING

from runner.matrix.mistakes import RefusedError, nearest, quoted
from runner.matrix.model import RESERVED_AXES
from runner.matrix.nodes import Text
from runner.matrix.values import axis_name

if TYPE_CHECKING:
    from collections.abc import Mapping

    from runner.matrix.mistakes import Mistakes

RELEASE = "release"
_EXAMPLE = "a date is written 2019-03-01"


def read_as_of(node: Text | Mapping[Text, Text], mistakes: Mistakes) -> tuple[str, tuple[tuple[str, str], ...]]:
    """The rule of all packages, and those of single ones by name (normalised, sorted); mistakes are noted.

    A rule is `release`, `none` or a date; a package's own one is `none` or a date.
    """
    if isinstance(node, Text):
        return _noted(node, (RELEASE, "none"), mistakes), ()
    default = RELEASE
    dates: dict[str, str] = {}
    for key, value in node.items():
        if key == "default":
            default = _noted(value, (RELEASE, "none"), mistakes)
            continue
        try:
            name = _package(key, dates)
        except RefusedError as error:
            mistakes.refuse(error, key.position, "as_of")
            continue
        dates[name] = _noted(value, ("none",), mistakes)
    return default, tuple(sorted(dates.items()))


def _package(key: Text, taken: Mapping[str, str]) -> str:
    name = axis_name(key)
    if name in RESERVED_AXES:
        raise RefusedError(f"{quoted(name)} is no package", "only packages have rules of their own")
    if name in taken:
        raise RefusedError(f"the package {quoted(name)} is there twice", "names are compared as PEP 503 says")
    return name


def _noted(text: Text, words: tuple[str, ...], mistakes: Mistakes) -> str:
    try:
        return _rule(text, words)
    except RefusedError as error:
        mistakes.refuse(error, text.position, "as_of")
        return RELEASE


def _rule(text: str, words: tuple[str, ...]) -> str:
    if text in words:
        return str(text)
    if re.fullmatch(r"\d{4}-\d{2}-\d{2}", text, re.ASCII):
        try:
            return date.fromisoformat(text).isoformat()
        except ValueError:
            raise RefusedError(f"there is no day {quoted(text)}", _EXAMPLE) from None
    if text == RELEASE:
        raise RefusedError(f"{quoted(text)} is the rule of all packages without one", "leave the package out")
    near = nearest(text, words)
    hint = near if near.startswith("did you mean") else _EXAMPLE
    raise RefusedError(f"{quoted(text)} is neither {', '.join(words)} nor a date", hint)
