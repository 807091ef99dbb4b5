"""Versions as text that may be compared: 2.16 and 2.16.0 are one release (PEP 440)."""

from __future__ import annotations

from functools import lru_cache

from packaging.version import InvalidVersion, Version


@lru_cache(maxsize=4096)
def parsed(text: str) -> Version | None:
    """The version that a text names, None where it names none."""
    try:
        return Version(text)
    except InvalidVersion:
        return None


def same_version(one: str, other: str) -> bool:
    """Whether two texts name the same release."""
    left, right = parsed(one), parsed(other)
    return left is not None and left == right
