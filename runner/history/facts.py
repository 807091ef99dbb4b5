"""What is kept of a name in one release: a small JSON object, whose keys these are."""

from __future__ import annotations

from typing import Any

Fact = dict[str, Any]
"""Of one name in one release, as JSON; without KIND it is an alias, and all else stands at the path in ALIAS."""

KIND = "k"
ALIAS = "t"
"""The path of the same object; beside KIND: the path where an object of another package is defined."""
PARAMETERS = "p"
"""Each a name, or [name, default], or [name, default or null, kind] (kind: the first letter, see `_KINDS`)."""
SAID = "d"
BASES = "b"
"""Where inherited members stand."""
TAKEN = "a"
REFUSED = "r"
GONE = "gone"
"""The kind of a name that is not there and of which the package says something nevertheless."""
HIDDEN = "~"
"""Before the path of a class without a public name, from which public ones inherit."""
_KINDS = {"e": "either", "p": "positional", "k": "keyword", "a": "args", "w": "kwargs"}


def parameter_fields(kept: str | list[str]) -> tuple[str, str, str | None]:
    """Name, kind and default of a parameter."""
    if isinstance(kept, str):
        return kept, "either", None
    name, default, *kind = kept
    return name, _KINDS[kind[0]] if kind else "either", default
