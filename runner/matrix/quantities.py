"""Durations, sizes and yes/no as a user writes them: `30m`, `4g`, `true`. Pure; a wrong one raises RefusedError."""

from __future__ import annotations

import re

from runner.matrix.mistakes import RefusedError, quoted

_SECONDS = {"h": 3600.0, "m": 60.0, "s": 1.0}
_DURATION = re.compile(
    r"(?:(\d{1,9}(?:\.\d{1,9})?)h)?(?:(\d{1,9}(?:\.\d{1,9})?)m)?(?:(\d{1,9}(?:\.\d{1,9})?)s?)?", re.ASCII
)
_SIZE = re.compile(r"(\d{1,9}(?:\.\d{1,9})?) ?([kmgt])(?:i?b)?", re.ASCII | re.IGNORECASE)
_BYTES = {"k": 1024, "m": 1024**2, "g": 1024**3, "t": 1024**4}

LONGEST_S = 30 * 24 * 3600.0
SMALLEST_BYTES = 16 * 1024**2
MOST_COUNTED = 1_000_000


def duration_s(text: str) -> float:
    """Seconds of `30m`, `90s`, `1h30m` or a plain number of seconds."""
    match = _DURATION.fullmatch(text)
    seconds = (
        sum(float(part) * unit for part, unit in zip(match.groups("0"), _SECONDS.values(), strict=True))
        if match
        else 0.0
    )
    if not 0 < seconds <= LONGEST_S:
        raise RefusedError(
            f"{quoted(text)} is no duration between 0 seconds and 30 days", "write it like 30m, 90s or 1h30m"
        )
    return seconds


def size_bytes(text: str) -> int:
    """Bytes of `4g` or `512m`; units are powers of 1024."""
    match = _SIZE.fullmatch(text)
    size = int(float(match[1]) * _BYTES[match[2].lower()]) if match else 0
    if size < SMALLEST_BYTES:
        raise RefusedError(f"{quoted(text)} is no size of at least 16m", "write it like 4g or 512m")
    return size


def count(text: str, least: int = 1) -> int:
    """A whole number from 1, or from `least`, on."""
    if not re.fullmatch(r"\d{1,7}", text, re.ASCII) or not least <= int(text) <= MOST_COUNTED:
        raise RefusedError(f"{quoted(text)} is no whole number from {least} to {MOST_COUNTED:,}")
    return int(text)


def count_from_zero(text: str) -> int:
    """A whole number from 0 on."""
    return count(text, least=0)


def truth(text: str) -> bool:
    """True or false."""
    if text.lower() not in {"true", "false"}:
        raise RefusedError(f"{quoted(text)} is neither true nor false")
    return text.lower() == "true"
