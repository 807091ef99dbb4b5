"""The commands about environments: `lock`, `lock diff`, `build`, `sbom`, and `clean`, which gives the disk back."""

from __future__ import annotations

import sys
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Annotated

import typer

from runner.cli.parameters import (
    DEFAULT_MATRIX,
    Base,
    BuildOnHost,
    CellName,
    Cluster,
    Engine,
    Format,
    MatrixFile,
    MatrixOption,
    Only,
    Output,
    cluster_of,
    opened,
    options,
)
from runner.environments.bill_of_materials import bill_of_materials
from runner.environments.lock import Lock
from runner.environments.lockfile import difference
from runner.errors import ExpectationFailed, UsageError
from runner.plurals import counted
from runner.reports.notation import last_day, size
from runner.reports.terminal.console import print_records, write_json

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator, Sequence
    from pathlib import Path

    from runner.engines.protocol import StoredImage
    from runner.environments.lock import LockedPackage
    from runner.environments.lockfile import Difference
    from runner.session.options import Options
    from runner.session.session import Session


Whole = Annotated[
    bool, typer.Option("--all", help="Where few cells are chosen (`cells: pairwise`), take those of the others, too.")
]
_A_WHILE_DAYS = 7
"""An image that was not used for so long is taken to be nobody's."""


def lock(
    context: typer.Context,
    matrix: MatrixFile = DEFAULT_MATRIX,
    engine: Engine = None,
    base: Base = None,
    _build_on_host: BuildOnHost = False,
    only: Only = None,
    whole: Whole = False,
    upgrade: Annotated[bool, typer.Option("--upgrade", help="Make every lock anew.")] = False,
    check: Annotated[
        bool, typer.Option("--check", help="Only say which locks are missing or no longer follow from the matrix.")
    ] = False,
    output: Output = Format.TABLE,
) -> int:
    """Resolve every environment to exact files with hashes, as of its base's release, and write the locks."""
    with opened(context, matrix, options(engine, base, only=only)) as session:
        if check:
            environments = [group.environment for group in session.prepared(whole=whole)]
            stale = {one.name: session.laboratory.environments.why_stale(one) for one in environments}
            print_records([{"environment": name, "lock": why or "ok"} for name, why in stale.items()], output)
            return 1 if any(stale.values()) else 0
        locks = session.lock(upgrade=upgrade, whole=whole)
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
                "lock": f"{'not made' if made.passing else 'unresolvable'}: {made.reason}",
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
    _build_on_host: BuildOnHost = False,
    cluster: Cluster = None,
    only: Only = None,
    whole: Whole = False,
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
    with opened(context, matrix, options(engine, base, only=only, cluster=cluster_of(cluster))) as session:
        made = session.build(whole=whole)
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


def sbom(
    context: typer.Context,
    cell: CellName,
    matrix: MatrixOption = DEFAULT_MATRIX,
    engine: Engine = None,
    base: Base = None,
) -> int:
    """Print what a cell's environment is made of, as a CycloneDX document (JSON)."""
    with opened(context, matrix, options(engine, base, only=cell)) as session:
        lock = session.only_lock()
        identity = session.laboratory.equipment.engine.known_identity(*lock.ground)
    write_json(bill_of_materials(lock, base_identity=identity))
    return 0


def clean(
    context: typer.Context,
    matrix: MatrixFile = DEFAULT_MATRIX,
    engine: Engine = None,
    base: Base = None,
    older_than: Annotated[
        int | None,
        typer.Option(
            "--older-than",
            min=0,
            metavar="DAYS",
            help="Remove only images that no matrix used for this many days. Default: 7; with --keep-last 0.",
        ),
    ] = None,
    keep_last: Annotated[
        int,
        typer.Option(
            "--keep-last", min=0, metavar="N", help="Keep the N images that were used last, and remove the others."
        ),
    ] = 0,
    named: Annotated[
        list[str] | None,
        typer.Option("--image", metavar="IMAGE", help="Remove this image, whoever used it last; may be repeated."),
    ] = None,
    records: Annotated[
        bool,
        typer.Option(
            "--records", help="Remove the records, logs and artifacts of this matrix too: its trials will run again."
        ),
    ] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Say what would be removed, and remove nothing.")] = False,
    output: Output = Format.TABLE,
) -> int:
    """Remove what killed runs left behind, and images that nobody used lately, since all matrices share them.

    Locks and records stay unless asked for.
    """
    days = older_than if older_than is not None else 0 if keep_last else _A_WHILE_DAYS
    with opened(context, matrix, options(engine, base)) as session:
        stored = session.laboratory.equipment.engine
        images = sorted(stored.images(), key=lambda image: image.last_used)
        found = _named(images, named) if named else _unused(images[: max(0, len(images) - keep_last)], days)
        kept = frozenset[str]() if dry_run else _cleaned(session, found, records=records)
        if older_than is None and not (named or keep_last) and len(found) < len(images):
            session.observer.note(
                f"{counted(len(images) - len(found), 'image')} stay: used in the last {days} days, by this matrix or"
                " another. --older-than 0 removes them too, --image one of them."
            )
    print_records([_image_record(image, kept, dry_run=dry_run) for image in found], output)
    return 0


def _image_record(image: StoredImage, kept: Collection[str], *, dry_run: bool) -> dict[str, str]:
    return {
        "environment": image.lock_name,
        "size": size(image.size_bytes),
        "last used": f"{image.last_used:%Y-%m-%d}",
        "image": image.reference,
        "state": "in use, kept" if image.reference in kept else "to remove" if dry_run else "removed",
    }


def _cleaned(session: Session, images: Iterable[StoredImage], *, records: bool) -> frozenset[str]:
    """Remove images, what killed runs left, and the matrix's records where asked; the images that are in use stay."""
    if records:
        session.observer.note(f"{session.forget()} records forgotten.")
    engine = session.laboratory.equipment.engine
    engine.sweep()
    engine.forget_kept()
    return frozenset(image.reference for image in images if not engine.remove_image(image.reference))


def _unused(images: Sequence[StoredImage], days: int) -> list[StoredImage]:
    """The images that nobody used for so many days."""
    oldest = datetime.now(UTC) - timedelta(days=days)
    return [image for image in images if image.last_used <= oldest]


def _named(images: Sequence[StoredImage], names: Sequence[str]) -> list[StoredImage]:
    """The images of these names. Raises UsageError for a name that none has."""
    found = [image for image in images if image.reference in names]
    if unknown := set(names) - {image.reference for image in found}:
        raise UsageError(
            f"There is no image {min(unknown)}: `clean --dry-run --older-than 0` names all that there are."
        )
    return found


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


COMMANDS = (lock, lock_diff, build, sbom, clean)
