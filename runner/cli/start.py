"""The commands to begin with: `init` writes a matrix, `schema` helps editors, `doctor` checks what is there."""

from __future__ import annotations

import json
import os
import shutil
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

import runner
from runner.cli.parameters import DEFAULT_MATRIX, Base, Engine, Format, MatrixFile, Output, options
from runner.cli.progress import observer_for_terminal
from runner.engines.choice import describe_build_client
from runner.engines.protocol import EngineKind
from runner.errors import BuildFailedError, MachineError, NoEngineError, RunnerError, UsageError
from runner.laboratory.equipment import World
from runner.plurals import counted
from runner.reports.notation import size
from runner.reports.terminal.console import print_records

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from runner.engines.protocol import Engine as AnyEngine
    from runner.matrix.template import Proposal
    from runner.session.options import Options


def init(
    context: typer.Context,
    script: Annotated[str, typer.Argument(help="The training script, relative to this folder.")],
    output: Annotated[Path, typer.Option("--output", "-o", help="The matrix file to write.")] = Path("matrix.yaml"),
    force: Annotated[bool, typer.Option("--force", help="Overwrite the file if it is there.")] = False,
) -> int:
    """Write a commented matrix for a script; what its project asks for is tried out, and runs as it stands."""
    from runner.cli.first_matrix import propose, tried  # noqa: PLC0415 - only here
    from runner.matrix.template import template  # noqa: PLC0415 - only here

    if output.exists() and not force:
        raise UsageError(f"{output} is there already. Use --force to overwrite it, or --output for another name.")
    folder = Path(os.path.abspath(output)).parent  # noqa: PTH100 - without `..`, which a matrix refuses
    path = Path(os.path.abspath(script))  # noqa: PTH100
    if not path.is_relative_to(folder):
        raise UsageError(f"{script} is not below {folder}: the matrix stands in a folder that holds the script.")
    inside = path.relative_to(folder).as_posix()
    output.write_text(template(propose(folder, inside)), "utf-8")
    try:
        found = tried(folder, inside, lambda one: _blocked(one, output, context.obj))
    except (MachineError, NoEngineError, BuildFailedError) as error:
        found = propose(folder, inside)
        sys.stderr.write(f"What the project asks for was not tried out: {str(error).splitlines()[0]}\n")
    output.write_text(template(found), "utf-8")
    left_out = any((found.not_installed, found.requirements.refused, found.left_out))
    why = " What the project asks for and can't have stands there as a comment, with the reason." if left_out else ""
    asks = f" It has {counted(len(found.questions), 'question')} for you, as comments." if found.questions else ""
    sys.stdout.write(f"Wrote {output}.{why}{asks} Look at it, then: convergence-matrix plan {output}\n")
    return 0


def _blocked(found: Proposal, output: Path, world: World | None) -> dict[str, str]:
    """The cells of a matrix, written to `output`, for which nothing can be installed, with the reasons."""
    from runner.environments.lock import Unresolvable  # noqa: PLC0415 - only here
    from runner.environments.wheelhouse import to_compile  # noqa: PLC0415 - as above
    from runner.matrix.cell_id import CellId  # noqa: PLC0415 - as above
    from runner.matrix.matrix_file import Matrix  # noqa: PLC0415 - as above
    from runner.matrix.template import template  # noqa: PLC0415 - as above
    from runner.session.session import open_session  # noqa: PLC0415 - as above

    output.write_text(template(found), "utf-8")
    with (
        observer_for_terminal() as observer,
        open_session(Matrix.load(output), options(None, None), observer, world=world) as session,
    ):
        resolved, catalog = session.laboratory.environments.resolved, session.laboratory.equipment.catalog
        reasons = {}
        for group in session.groups:
            lock, cell = resolved(group.environment), str(CellId(group.environment.pins))
            if isinstance(lock, Unresolvable):
                reasons[cell] = lock.reason
            elif found.exact and (sources := to_compile(lock, found.exact, catalog)):
                one = sources[0]
                reasons[cell] = f"{one.name} {one.version} has no wheel for CPython {lock.python} and would be compiled"
    return reasons


def schema() -> int:
    """Print the JSON Schema of matrix files, for editors."""
    from runner.matrix.declaration import json_schema  # noqa: PLC0415 - only here

    sys.stdout.write(json.dumps(json_schema(), indent=2) + "\n")
    return 0


ENOUGH_BYTES = 10 * 1000**3


@dataclass(frozen=True, kw_only=True, slots=True)
class Finding:
    """One thing that was looked at; `remedy` is empty where all is well, and an advice where `ok` is true beside it."""

    what: str
    ok: bool
    found: str
    remedy: str = ""


def examine(chosen: Options, folder: Path, world: World) -> tuple[Finding, ...]:
    """Look at everything that a run needs; nothing is changed."""
    return (
        *_engine(chosen, world),
        _try("interpreters", _interpreters),
        _disk(folder),
        _try("index", _index),
        name_in(Path.cwd()),
    )


def _engine(chosen: Options, world: World) -> Iterator[Finding]:
    """The engine that a run would take, each way that was tried before it, and the command that builds its images."""
    try:
        engine, notes = world.engine(chosen.engine, base=chosen.base, before=None)
    except RunnerError as error:
        yield _failed("engine", error)
        return
    try:
        yield from (Finding(what="tried", ok=True, found=note) for note in notes.splitlines())
        yield _try("engine", engine.describe)
        if engine.kind is EngineKind.DOCKER:
            yield _try("build client", describe_build_client)
            yield _try("base images", lambda: _checked(engine))
    finally:
        engine.close()


def name_in(here: Path) -> Finding:
    """What `python -m runner` starts in a folder: this tool, or the user's own module of that name."""
    own = Path(runner.__file__).resolve()
    for module in (here / "runner" / "__init__.py", here / "runner.py"):
        if module.is_file() and module.resolve() != own:
            found = f"`python -m runner` starts {module.relative_to(here)} of this folder, not this tool"
            return Finding(what="name", ok=True, found=found, remedy="Type `convergence-matrix` here.")
    return Finding(what="name", ok=True, found="`python -m runner` and `convergence-matrix` are this tool")


def _try(what: str, look: Callable[[], str]) -> Finding:
    try:
        return Finding(what=what, ok=True, found=look())
    except RunnerError as error:
        return _failed(what, error)


def _checked(engine: AnyEngine) -> str:
    engine.check()
    return "can be had" if engine.base == "registry" else "can be made here"


def _failed(what: str, error: RunnerError) -> Finding:
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


def doctor(
    context: typer.Context,
    matrix: MatrixFile = DEFAULT_MATRIX,
    engine: Engine = None,
    base: Base = None,
    output: Output = Format.TABLE,
) -> int:
    """Look at the engine that a run would take, interpreters, disk and index; what is wrong has its remedy."""
    findings = examine(options(engine, base), matrix.absolute().parent, context.obj or World())
    print_records(
        [
            {
                "what": finding.what,
                "state": "wrong" if not finding.ok else "advice" if finding.remedy else "ok",
                "found": finding.found,
                "remedy": finding.remedy,
            }
            for finding in findings
        ],
        output,
    )
    return 0 if all(finding.ok for finding in findings) else 4


COMMANDS = (init, schema, doctor)
