"""Prints what commands found: tables for people on standard output, JSON for programs; never more than asked for."""

from __future__ import annotations

import json
import os
import sys
from typing import TYPE_CHECKING

from rich.console import Console
from rich.table import Table
from rich.text import Text

from runner.environments.sizes import total
from runner.reports.notation import last_day, size

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from runner.environments.difference import Difference
    from runner.environments.model import LockedPackage
    from runner.session.plan import EnvironmentPlan, Plan

_PIPE_COLUMNS = 200
_MOST_CELLS = 100
"""Of a plan, one by one; of more, a line an environment says more."""


def print_plan(plan: Plan, output: str) -> None:
    """Print what a run would do."""
    each_cell = output == "json" or plan.cells <= _MOST_CELLS
    print_records(list(_cell_records(plan) if each_cell else _environment_records(plan)), output)
    if output == "table":
        for line in _plan_words(plan):
            console_for_output().print(Text(line, style="dim"))


def _cell_records(plan: Plan) -> Iterator[dict[str, str | int]]:
    for environment in plan.environments:
        shared = _environment_words(environment)
        for cell in environment.cells:
            yield {
                "cell": cell.cell.name,
                **shared,
                "finished": cell.finished,
                "to run": f"{cell.wanted}+" if cell.wanted else "0",
            }


def _environment_records(plan: Plan) -> Iterator[dict[str, str | int]]:
    for environment in plan.environments:
        yield {
            **_environment_words(environment),
            "cells": len(environment.cells),
            "finished": environment.finished,
            "to run": f"{environment.wanted}+" if environment.wanted else "0",
        }


def _environment_words(plan: EnvironmentPlan) -> dict[str, str | int]:
    return {
        "environment": plan.name,
        "lock": plan.lock.digest[:12] if plan.lock else "to resolve",
        "CPython": plan.lock.python if plan.lock else "",
        "image": "ready" if plan.image else "to make",
    }


def _plan_words(plan: Plan) -> Iterator[str]:
    for became in plan.became:
        yield f"{became.axis}: {became.written} is {', '.join(became.versions)}."
    words = f"{plan.to_lock} environments to lock, {plan.to_build} to make, {plan.wanted} trials to run at least"
    yield f"{plan.cells} cells under {plan.engine.value}: {plan.finished} trials finished, {words}."
    yield from _disk_words(plan)


def _disk_words(plan: Plan) -> Iterator[str]:
    """How much disk the environments will take that are locked and not made yet."""
    sizes = [environment.sizes for environment in plan.environments if environment.wanted and environment.sizes]
    if not sizes:
        return
    download, write = total(sizes)
    free = f"; {size(plan.room.free_bytes)} are free in {plan.room.path}" if plan.room else ""
    unlocked = f" and what the {plan.to_lock} without a lock will need" if plan.to_lock else ""
    yield f"Disk: about {size(download)} to download, {size(write)} to install{unlocked}{free}."


def print_difference(found: Difference, output: str) -> None:
    """Print what two locks differ in, a line each."""
    records = list(_difference_records(found))
    if output == "table" and not found:
        sys.stdout.write("Both install the same.\n")
    if records or output == "json":
        print_records(records, output)


def _difference_records(found: Difference) -> Iterator[dict[str, str]]:
    if found.python:
        yield _changed("CPython", *found.python)
    if found.as_of:
        yield _changed("as of", *map(last_day, found.as_of))
    for exemption in found.exemptions:
        until = [f"until {last_day(when)}" if when else "" for when in (exemption.one, exemption.other)]
        yield _changed(f"exempt: {exemption.name}", *until)
    packages = [(change.name, _package(change.one), _package(change.other)) for change in found.changed]
    packages += [(package.name, _package(package), "") for package in found.removed]
    packages += [(package.name, "", _package(package)) for package in found.added]
    for name, one, other in sorted(packages):
        yield _changed(name, one, other)


def _changed(what: str, one: str, other: str) -> dict[str, str]:
    return {"what": what, "one": one or "-", "other": other or "-"}


def _package(package: LockedPackage) -> str:
    return f"{package.version} ({package.layer.value})"


def print_records(records: Sequence[Mapping[str, str | int]], output: str) -> None:
    """Print records that share their keys."""
    if output == "json":
        sys.stdout.write(json.dumps(records, indent=2, ensure_ascii=False) + "\n")
        return
    if not records:
        sys.stdout.write("There is nothing.\n")
        return
    table = Table(box=None, header_style="bold", pad_edge=False)
    for name in records[0]:
        table.add_column(name, overflow="fold")
    for record in records:
        table.add_row(*(Text(str(value)) for value in record.values()))
    console_for_output().print(table)


def console_for_output() -> Console:
    """Standard output; as wide as the terminal or COLUMNS say, else wide enough that a pipe loses nothing."""
    console = Console(highlight=False, soft_wrap=False)
    told = console.is_terminal or os.environ.get("COLUMNS", "").isdigit()
    return console if told else Console(highlight=False, width=_PIPE_COLUMNS)
