"""Versions and ranges of them (PEP 440) as a user writes them: text → what may be compared; 2.16 and 2.16.0 are one."""

from __future__ import annotations

from functools import lru_cache

from packaging.specifiers import SpecifierSet
from packaging.version import Version

from runner.matrix.mistakes import RefusedError, quoted


@lru_cache(maxsize=4096)
def parsed(text: str) -> Version | None:
    """The version that a text names, None where it names none, or one of more digits than a number may have."""
    try:
        return Version(text)
    except ValueError:
        return None


def same_version(one: str, other: str) -> bool:
    """True where two texts name the same release."""
    left, right = parsed(one), parsed(other)
    return left is not None and left == right


def specifiers(text: str) -> str:
    """A version range without its spaces; an empty text and `*` mean any version, and give an empty text.

    Raises RefusedError for text that is not a range.
    """
    plain = "" if text.strip() == "*" else "".join(text.split())
    try:
        SpecifierSet(plain).contains("0")
    except ValueError:
        hint = f"one version is written =={text}" if parsed(text) else "write it like >=1.7,<2.17"
        raise RefusedError(f"{quoted(text)} is not a version range (PEP 440)", hint) from None
    return plain


@lru_cache(maxsize=4096)
def in_range(version: str, plain: str) -> bool:
    """True where a version is in a range that `specifiers` gave; pre-releases count where their number is in it."""
    return SpecifierSet(plain).contains(version, prereleases=True)
