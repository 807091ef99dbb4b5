"""The commands about environments: `lock`, `lock diff`, `build`, and `clean`, which gives the disk back."""

from __future__ import annotations

import sys
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Annotated

import typer

from runner.cli.parameters import (
    DEFAULT_MATRIX,
    Base,
    CellName,
    Engine,
    Format,
    MatrixFile,
    MatrixOption,
    Only,
    Output,
    opened,
    options,
)
from runner.environments.lock import Lock
from runner.environments.lockfile import difference
from runner.errors import ExpectationFailed
from runner.plurals import counted
from runner.reports.notation import last_day, size
from runner.reports.terminal.console import print_records

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from runner.environments.lock import LockedPackage
    from runner.environments.lockfile import Difference
    from runner.session.options import Options


def lock(
    context: typer.Context,
    matrix: MatrixFile = DEFAULT_MATRIX,
    engine: Engine = None,
    base: Base = None,
    only: Only = None,
    upgrade: Annotated[bool, typer.Option("--upgrade", help="Make every lock anew.")] = False,
    check: Annotated[
        bool, typer.Option("--check", help="Only say which locks are missing or no longer follow from the matrix.")
    ] = False,
    output: Output = Format.TABLE,
) -> int:
    """Resolve every environment to exact files with hashes, as of its base's release, and write the locks."""
    with opened(context, matrix, options(engine, base, only=only)) as session:
        if check:
            environments = [group.environment for group in session.groups]
            stale = {one.name: session.laboratory.environments.why_stale(one) for one in environments}
            print_records([{"environment": name, "lock": why or "ok"} for name, why in stale.items()], output)
            return 1 if any(stale.values()) else 0
        locks = session.lock(upgrade=upgrade)
    print_records(
        [
            {
                "environment": name,
                "CPython": made.python,
                "as of": last_day(made.as_of),
                "packages": str(len(made.packages)),
                "lock": made.digest[:12],
            }
            if isinstance(made, Lock)
            else {
                "environment": name,
                "CPython": "",
                "as of": "",
                "packages": "",
                "lock": f"unresolvable: {made.reason}",
            }
            for name, made in locks.items()
        ],
        output,
    )
    return 0 if all(isinstance(made, Lock) for made in locks.values()) else 1


def build(
    context: typer.Context,
    matrix: MatrixFile = DEFAULT_MATRIX,
    engine: Engine = None,
    base: Base = None,
    only: Only = None,
    print_dockerfile: Annotated[
        str | None,
        typer.Option(
            "--print-dockerfile",
            metavar="CELL",
            help="Only print a Dockerfile, and the commands that make the cell's image without this tool.",
        ),
    ] = None,
    output: Output = Format.TABLE,
) -> int:
    """Make every environment runnable: an image each under docker, a virtual environment each under venv."""
    if print_dockerfile is not None:
        return _print_dockerfile(context, matrix, options(engine, base, only=print_dockerfile))
    with opened(context, matrix, options(engine, base, only=only)) as session:
        made = session.build()
    rows = [
        {"environment": name, "image": image if isinstance(image, str) else image.reference}
        for name, image in made.items()
    ]
    print_records(rows, output)
    failed = [name for name, image in made.items() if isinstance(image, str)]
    if failed:
        names = ", ".join(failed)
        raise ExpectationFailed(f"{len(failed)} of {counted(len(made), 'environment')} could not be made: {names}.")
    return 0


def _print_dockerfile(context: typer.Context, matrix: Path, chosen: Options) -> int:
    with opened(context, matrix, chosen) as session:
        sys.stdout.write(session.laboratory.environments.recipe(session.only_lock()))
    return 0


def lock_diff(
    context: typer.Context,
    one: CellName,
    other: CellName,
    matrix: MatrixOption = DEFAULT_MATRIX,
    engine: Engine = None,
    base: Base = None,
    output: Output = Format.TABLE,
) -> int:
    """Show what the locks of two cells differ in."""
    locks = []
    for cell in (one, other):
        with opened(context, matrix, options(engine, base, only=cell)) as session:
            locks.append(session.only_lock())
    print_difference(difference(*locks), output)
    return 0


def clean(
    context: typer.Context,
    matrix: MatrixFile = DEFAULT_MATRIX,
    engine: Engine = None,
    base: Base = None,
    older_than: Annotated[
        int,
        typer.Option(
            "--older-than", min=0, metavar="DAYS", help="Remove only images that were not used for this many days."
        ),
    ] = 0,
    keep_last: Annotated[
        int,
        typer.Option(
            "--keep-last", min=0, metavar="N", help="Keep the N images that were used last, and remove the others."
        ),
    ] = 0,
    records: Annotated[
        bool,
        typer.Option(
            "--records", help="Remove the records, logs and artifacts of this matrix too: its trials will run again."
        ),
    ] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Say what would be removed, and remove nothing.")] = False,
    output: Output = Format.TABLE,
) -> int:
    """Remove what killed runs left behind, and the images of this tool; locks and records stay unless asked for."""
    with opened(context, matrix, options(engine, base)) as session:
        oldest = datetime.now(UTC) - timedelta(days=older_than)
        stored = session.laboratory.equipment.engine
        images = sorted(stored.images(), key=lambda image: image.last_used)
        found = [image for image in images[: max(0, len(images) - keep_last)] if image.last_used <= oldest]
        kept: set[str] = set()
        if not dry_run:
            stored.sweep()
            stored.forget_kept()
            kept = {image.reference for image in found if not stored.remove_image(image.reference)}
            if records:
                session.observer.note(f"{session.forget()} records forgotten.")
    rows = [
        {
            "environment": image.lock_name,
            "size": size(image.size_bytes),
            "last used": f"{image.last_used:%Y-%m-%d}",
            "image": image.reference,
            "state": "in use, kept" if image.reference in kept else "to remove" if dry_run else "removed",
        }
        for image in found
    ]
    print_records(rows, output)
    return 0


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


COMMANDS = (lock, lock_diff, build, clean)
