"""The templates of the pages: everything that is filled in is escaped, and its control characters are made visible."""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from runner.reports.charts import SYMBOLS, bundle_name
from runner.reports.rules import RULES
from runner.reports.untrusted import visible

if TYPE_CHECKING:
    from jinja2 import Template


def template(name: str) -> Template:
    """One template, compiled once."""
    return _environment().get_template(name)


def figure(value: float | None) -> str:
    """A figure with three digits; an empty text where there is none."""
    if value is None:
        return ""
    words = {"nan": "NaN", "inf": "∞", "-inf": "-∞"}.get(str(value))
    return words or f"{value:.3g}".replace("e-0", "e-").replace("e+0", "e+")


def seconds(value: float | None) -> str:
    """A time that people can take in."""
    if value is None:
        return ""
    if value >= 120:
        return f"{value / 60:.3g} min"
    return f"{value:.3g} s" if value >= 1 else f"{value * 1000:.3g} ms"


def size(value: int | None) -> str:
    """A size in decimal units."""
    if value is None:
        return ""
    for limit, unit in ((1e9, "GB"), (1e6, "MB"), (1e3, "kB")):
        if value >= limit:
            return f"{value / limit:.3g} {unit}"
    return f"{value} bytes"


def day(text: str) -> str:
    """A moment in ISO 8601 to the minute."""
    return text[:16].replace("T", " ")


def _shown(value: object) -> object:
    if value.__class__ is str:
        return visible(value)
    if isinstance(value, Markup):
        return value
    return "" if value is None else visible(str(value))


@cache
def _environment() -> Environment:
    environment = Environment(
        loader=PackageLoader("runner.reports"),
        autoescape=True,
        auto_reload=False,  # else each page asks the disk whether its template is still the same
        undefined=StrictUndefined,
        finalize=_shown,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {"figure": figure, "seconds": seconds, "size": size, "day": day}
    environment.globals |= {"symbols": SYMBOLS, "rules": RULES, "vega": bundle_name()}
    return environment
