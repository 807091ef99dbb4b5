"""Numbers of things in words: `1 trial`, `2 trials`."""

from __future__ import annotations


def counted(number: int, noun: str) -> str:
    """The number with its noun, which takes an s unless the number is one: `1 trial`, `0 trials`, `2 open cells`."""
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"
