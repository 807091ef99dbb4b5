"""The command that gives disk space back: `clean`."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Annotated

import typer

from runner.cli.parameters import DEFAULT_MATRIX, Base, Engine, Format, MatrixFile, Output, options
from runner.cli.progress import observer_for_terminal
from runner.cli.show import print_records
from runner.cli.words import size_words
from runner.matrix.model import Matrix
from runner.session import Session


def clean(
    matrix: MatrixFile = DEFAULT_MATRIX,
    engine: Engine = None,
    base: Base = None,
    older_than: Annotated[
        int, typer.Option("--older-than", metavar="DAYS", help="Only what was not used for so many days.")
    ] = 0,
    records: Annotated[
        bool,
        typer.Option(
            "--records", help="Also the records, logs and artifacts of this matrix: its trials will run again."
        ),
    ] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Say what would be removed, and remove nothing.")] = False,
    output: Output = Format.TABLE,
) -> int:
    """Remove what killed runs left behind, and the images of this tool; locks and records stay unless asked for."""
    with observer_for_terminal() as observer, Session(Matrix.load(matrix), options(engine, base), observer) as session:
        oldest = datetime.now(UTC) - timedelta(days=older_than)
        found = [image for image in session.engine.images() if image.last_used <= oldest]
        kept: set[str] = set()
        if not dry_run:
            session.engine.sweep()
            kept = {image.reference for image in found if not session.engine.remove_image(image.reference)}
            if records:
                observer.note(f"{session.forget()} records forgotten.")
    rows = [
        {
            "environment": image.lock_name,
            "size": size_words(image.size_bytes),
            "last used": f"{image.last_used:%Y-%m-%d}",
            "image": image.reference,
            "state": "in use, kept" if image.reference in kept else "to remove" if dry_run else "removed",
        }
        for image in found
    ]
    print_records(rows, output)
    return 0


COMMANDS = (clean,)
