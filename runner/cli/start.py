"""The commands that help to begin: `init` writes a matrix for a script, `schema` prints what an editor needs."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Annotated

import typer

from runner.errors import UsageError


def init(
    script: Annotated[str, typer.Argument(help="The training script, relative to this folder.")],
    output: Annotated[Path, typer.Option("--output", "-o", help="The matrix file to write.")] = Path("matrix.yaml"),
    force: Annotated[bool, typer.Option("--force", help="Overwrite the file if it is there.")] = False,
) -> int:
    """Write a commented matrix for a script."""
    from runner.matrix.template import template  # noqa: PLC0415 - only here
    from runner.scripts.script import read_script  # noqa: PLC0415 - only here

    if output.exists() and not force:
        raise UsageError(f"{output} is there already. Use --force to overwrite it, or --output for another name.")
    folder = output.absolute().parent
    path = Path(script).absolute()
    if not path.is_relative_to(folder):
        raise UsageError(f"{script} is not below {folder}: the matrix stands in a folder that holds the script.")
    read = read_script(folder, path.relative_to(folder).as_posix())
    output.write_text(template(read.path, imports=read.imports), "utf-8")
    sys.stdout.write(f"Wrote {output}. Look at it, then: python -m runner plan {output}\n")
    return 0


def schema() -> int:
    """Print the JSON Schema of matrix files, for editors."""
    from runner.matrix.declaration import json_schema  # noqa: PLC0415 - only here

    sys.stdout.write(json.dumps(json_schema(), indent=2) + "\n")
    return 0


COMMANDS = (init, schema)
