"""Single values as a user writes them, each a shape that reads a text: counts, sizes, durations, yes or no, dates."""

from __future__ import annotations

import re
from datetime import date
from typing import TYPE_CHECKING, Literal

from runner.matrix.mistakes import RefusedError, nearest, quoted
from runner.matrix.shapes import Reads, Word

if TYPE_CHECKING:
    from runner.matrix.nodes import Text

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
    parts = zip(match.groups("0"), _SECONDS.values(), strict=True) if match else ()
    seconds = sum(float(part) * unit for part, unit in parts)
    if not 0 < seconds <= LONGEST_S:
        message = f"{quoted(text)} is not a duration between 0 seconds and 30 days"
        raise RefusedError(message, "write it like 30m, 90s or 1h30m")
    return seconds


def size_bytes(text: str) -> int:
    """Bytes of `4g` or `512m`; units are powers of 1024."""
    match = _SIZE.fullmatch(text)
    size = int(float(match[1]) * _BYTES[match[2].lower()]) if match else 0
    if size < SMALLEST_BYTES:
        raise RefusedError(f"{quoted(text)} is not a size of at least 16m", "write it like 4g or 512m")
    return size


def count(text: str, least: int = 1) -> int:
    """A whole number from 1, or from `least`, on."""
    if not re.fullmatch(r"\d{1,7}", text, re.ASCII) or not least <= int(text) <= MOST_COUNTED:
        raise RefusedError(f"{quoted(text)} is not a whole number from {least} to {MOST_COUNTED:,}")
    return int(text)


def truth(text: str) -> bool:
    """True or false."""
    if text.lower() not in {"true", "false"}:
        raise RefusedError(f"{quoted(text)} is neither true nor false")
    return text.lower() == "true"


def seed_count(text: str) -> int | Literal["as-written"]:
    """A fixed number of seeds, or `as-written`."""
    if text == "as-written":
        return "as-written"
    try:
        return count(text)
    except RefusedError:
        message = f"{quoted(text)} is not a whole number from 1 on"
        raise RefusedError(message, "a number, as-written, or {lead: 4, cap: 10}") from None


def date_or(*words: str) -> Reads[str]:
    """A day, or one of a few words that stand in its place."""
    example = "a date is written 2019-03-01"

    def read(text: Text) -> str:
        if text in words:
            return str(text)
        if re.fullmatch(r"\d{4}-\d{2}-\d{2}", text, re.ASCII):
            try:
                return date.fromisoformat(text).isoformat()
            except ValueError:
                raise RefusedError(f"{quoted(text)} is not a date", example) from None
        if text == "release":
            message = f"{quoted(text)} is the rule of all packages that have none of their own"
            raise RefusedError(message, "leave the package out")
        near = nearest(text, words)
        hint = near if near.startswith("did you mean") else example
        raise RefusedError(f"{quoted(text)} is neither {', '.join(words)} nor a date", hint)

    return Reads(read, {"type": "string", "pattern": f"^({'|'.join(words)}|[0-9]{{4}}-[0-9]{{2}}-[0-9]{{2}})$"})


def index_address_text(text: Text) -> str:
    """The address of a package index, `https://…` or `name=https://…`; credentials never stand in it."""
    from urllib.parse import urlsplit  # noqa: PLC0415 - most matrices name none

    name, sign, rest = text.partition("=")
    is_named = bool(sign) and re.fullmatch(r"[A-Za-z0-9_.-]+", name) is not None
    address = rest if is_named else str(text)
    try:
        parts = urlsplit(address)
        scheme, host, has_secret = parts.scheme, parts.hostname, "@" in parts.netloc
    except ValueError:
        scheme, host, has_secret = "", None, "@" in address
    if has_secret:
        hint = "name it, as in mine=https://…, and set UV_INDEX_MINE_USERNAME and UV_INDEX_MINE_PASSWORD"
        raise RefusedError("an address with credentials may not stand in a file", hint)
    if host is None or scheme not in {"http", "https"} or "?" in address or "#" in address:
        raise RefusedError(f"{quoted(address)} is not an http or https address", "such as https://host/simple")
    return f"{name}={address.rstrip('/')}/" if is_named else f"{address.rstrip('/')}/"


_WORDS = "[a-z0-9]+([._-]+[a-z0-9]+)*"
_HOST, _TAG = "[A-Za-z0-9][A-Za-z0-9.-]*(:[0-9]+)?", "[A-Za-z0-9_][A-Za-z0-9_.-]{0,127}"
_IMAGE = f"({_HOST}/)?{_WORDS}(/{_WORDS})*(:{_TAG})?(@sha256:[0-9a-f]{{64}})?"


def image_name(text: Text) -> Text:
    """The name of an image, as container engines take it."""
    if re.fullmatch(_IMAGE, text) is None:
        raise RefusedError(f"{quoted(text)} is not the name of an image", "such as cuda-11.2-py3.9:1, or x@sha256:…")
    return text


IMAGE_NAME = Reads(image_name, {"type": "string", "pattern": f"^{_IMAGE}$"})
INDEX_ADDRESS = Reads(index_address_text, {"type": "string", "pattern": "^([A-Za-z0-9_.-]+=)?https?://[^@]+$"})
COUNT = Reads(count, {"type": "integer", "minimum": 1})
SIZE = Reads(
    size_bytes,
    {"type": "string", "pattern": "^[0-9]+(\\.[0-9]+)? ?[kKmMgGtT]([iI]?[bB])?$", "examples": ["4g", "512m"]},
)
DURATION = Reads(
    duration_s,
    {
        "anyOf": [
            {"type": "number", "exclusiveMinimum": 0},
            {"type": "string", "pattern": "^([0-9.]+h)?([0-9.]+m)?([0-9.]+s?)?$", "examples": ["30m", "90s"]},
        ]
    },
)
TRUTH = Reads(truth, {"type": "boolean"})
COUNT_FROM_ZERO = Reads(lambda text: count(text, least=0), {"type": "integer", "minimum": 0})
SEED_COUNT = Reads(seed_count, {"anyOf": [{"type": "integer", "minimum": 1}, {"const": "as-written"}]})
PLATFORM = Word({name: name for name in ("linux/amd64", "linux/arm64")})
"""Platforms as container engines name them."""
