"""Examines the machine for `doctor`: engine, build client, interpreters, disk, index; each finding has its remedy."""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from typing import TYPE_CHECKING

from runner.engines.choice import describe_build_client, describe_docker
from runner.errors import RunnerError
from runner.reports.notation import size

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path


ENOUGH_BYTES = 10 * 1000**3


@dataclass(frozen=True, kw_only=True, slots=True)
class Finding:
    """One thing that was looked at; `remedy` is empty where all is well."""

    what: str
    ok: bool
    found: str
    remedy: str = ""


def examine(base: str, folder: Path) -> tuple[Finding, ...]:
    """Look at everything that a run needs; nothing is changed."""
    return (
        _try("engine", lambda: describe_docker(base)),
        _try("build client", describe_build_client),
        _try("interpreters", _interpreters),
        _disk(folder),
        _try("index", _index),
    )


def _try(what: str, look: Callable[[], str]) -> Finding:
    try:
        return Finding(what=what, ok=True, found=look())
    except RunnerError as error:
        found, _, remedy = str(error).partition("\n")
        return Finding(what=what, ok=False, found=found, remedy=remedy.strip())


def _interpreters() -> str:
    from runner.environments.interpreters import find_interpreters  # noqa: PLC0415 - heavy

    found = find_interpreters()
    return (
        ", ".join(f"{interpreter.version}" for interpreter in found)
        or "none: uv downloads what is missing, where that is allowed"
    )


def _index() -> str:
    from runner.environments.index.catalog import Catalog  # noqa: PLC0415 - heavy

    catalog = Catalog()
    try:
        return catalog.describe()
    finally:
        catalog.connection.close()


def _disk(folder: Path) -> Finding:
    free = shutil.disk_usage(folder).free
    remedy = (
        ""
        if free >= ENOUGH_BYTES
        else "A TensorFlow environment takes 1 to 2 GB. Free some space, or `clean` old images."
    )
    return Finding(what="disk", ok=free >= ENOUGH_BYTES, found=f"{size(free)} free for {folder}", remedy=remedy)
