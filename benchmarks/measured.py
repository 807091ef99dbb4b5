"""Where and when figures were measured, and how they are written down: Markdown to read, CSV to compute with."""

from __future__ import annotations

import csv
import os
import platform
import subprocess
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

REPORTS = Path(__file__).parents[1] / "reports"


def provenance(*packages: str) -> str:
    """One sentence: the day, the machine, the versions."""
    versions = ", ".join(f"{name} {version(name)}" for name in packages)
    return f"Measured on {datetime.now(UTC):%Y-%m-%d}: {machine()}{f', {versions}' if versions else ''}."


def machine() -> str:
    """The machine and its CPython, in some words."""
    return f"{platform.system()} {platform.machine()}, {os.cpu_count()} processors, CPython {platform.python_version()}"


def commit() -> str:
    """The commit that is measured, in short."""
    words = ["git", "rev-parse", "--short", "HEAD"]
    return subprocess.run(words, cwd=REPORTS.parent, check=True, capture_output=True, text=True).stdout.strip()


def table(head: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    """A Markdown table; the first column is text, the others are numbers."""
    lines = [head, ["---", *["---:"] * (len(head) - 1)], *rows]
    return "".join(f"| {' | '.join(str(value) for value in line)} |\n" for line in lines)


def write(name: str, text: str, *, folder: str = "verdicts") -> None:
    """Write and print a page."""
    _file(folder, name).write_text(text)
    print(text)


def write_csv(name: str, head: Sequence[str], rows: Iterable[Sequence[object]], *, folder: str = "verdicts") -> None:
    with _file(folder, name).open("w", newline="") as stream:
        csv.writer(stream, lineterminator="\n").writerows([head, *rows])


def _file(folder: str, name: str) -> Path:
    (REPORTS / folder).mkdir(parents=True, exist_ok=True)
    return REPORTS / folder / name
