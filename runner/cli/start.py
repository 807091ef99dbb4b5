"""The commands to begin with: `init` writes a matrix, `schema` helps editors, `doctor` checks what is there."""

from __future__ import annotations

import json
import os
import shutil
import sys
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

import runner
from runner.cli.parameters import DEFAULT_MATRIX, Base, Cluster, Engine, Format, MatrixFile, Output, cluster_of, options
from runner.cli.progress import PlainProgress, observer_for_terminal
from runner.engines.choice import describe_build_client
from runner.engines.protocol import EngineKind
from runner.errors import BuildFailedError, MachineError, NoEngineError, RunnerError, UsageError
from runner.laboratory.equipment import Claim, World
from runner.plurals import counted
from runner.reports.notation import size
from runner.reports.terminal.console import print_records
from runner.reports.terminal.streams import GuardedConsole
from runner.trials.job_files import Workplace

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
class ConditionFound:
    """One thing that was looked at; `remedy` is empty where all is well, and an advice where `ok` is true beside it."""

    what: str
    ok: bool
    found: str
    remedy: str = ""


def examine(chosen: Options, folder: Path, world: World) -> tuple[ConditionFound, ...]:
    """Look at everything that a run needs; nothing is changed."""
    return (
        *_engine(chosen, world),
        _try("interpreters", _interpreters),
        _disk(folder),
        _try("index", _index),
        name_in(Path.cwd()),
    )


def _engine(chosen: Options, world: World) -> Iterator[ConditionFound]:
    """The engine that a run would take, each way that was tried before it, and the command that builds its images."""
    try:
        engine, notes = world.engine(chosen.engine, base=chosen.base, before=None, runtime=chosen.runtime)
    except RunnerError as error:
        yield _failed("engine", error)
        return
    try:
        yield from (ConditionFound(what="tried", ok=True, found=note) for note in notes.splitlines())
        yield _try("engine", engine.describe)
        if engine.kind is EngineKind.DOCKER:
            yield _try("build client", describe_build_client)
            yield _try("base images", lambda: _checked(engine))
    finally:
        engine.close()


def name_in(here: Path) -> ConditionFound:
    """What `python -m runner` starts in a folder: this tool, or the user's own module of that name."""
    own = Path(runner.__file__).resolve()
    for module in (here / "runner" / "__init__.py", here / "runner.py"):
        if module.is_file() and module.resolve() != own:
            found = f"`python -m runner` starts {module.relative_to(here)} of this folder, not this tool"
            return ConditionFound(what="name", ok=True, found=found, remedy="Type `convergence-matrix` here.")
    return ConditionFound(what="name", ok=True, found="`python -m runner` and `convergence-matrix` are this tool")


def _try(what: str, look: Callable[[], str]) -> ConditionFound:
    try:
        return ConditionFound(what=what, ok=True, found=look())
    except RunnerError as error:
        return _failed(what, error)


def _checked(engine: AnyEngine) -> str:
    engine.check()
    return "can be had" if engine.base == "registry" else "can be made here"


def _failed(what: str, error: RunnerError) -> ConditionFound:
    found, _, remedy = str(error).partition("\n")
    return ConditionFound(what=what, ok=False, found=found, remedy=remedy.strip())


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


def _disk(folder: Path) -> ConditionFound:
    free = shutil.disk_usage(folder).free
    remedy = (
        ""
        if free >= ENOUGH_BYTES
        else "A TensorFlow environment takes 1 to 2 GB. Free some space, or `clean` old images."
    )
    return ConditionFound(what="disk", ok=free >= ENOUGH_BYTES, found=f"{size(free)} free for {folder}", remedy=remedy)


def _workers(chosen: Options, folder: Path, world: World) -> Iterator[ConditionFound]:
    """What every worker of a cluster has: engine, base images, CPythons, disk, GPUs, and the version of this tool."""
    from runner.laboratory.laboratory import Named, facts_of_workers  # noqa: PLC0415 - only here

    try:
        named = Named(engine=chosen.engine, base=chosen.base, runtime=chosen.runtime, cluster=chosen.cluster)
        facts, unfit = facts_of_workers(folder, named, world, PlainProgress(GuardedConsole(stderr=True)))
    except RunnerError as error:
        yield _failed("cluster", error)
        return
    found = f"{counted(len(facts), 'worker')} with this version of the tool, {version('convergence-matrix')}"
    yield ConditionFound(what="cluster", ok=True, found=found)
    for name, why in sorted(unfit.items()):
        found, _, remedy = why.partition("\n")
        yield ConditionFound(what=f"{name}: no work", ok=False, found=found, remedy=remedy.strip())
    for name, one in sorted(facts.items()):
        yield ConditionFound(what=f"{name}: engine", ok=True, found=one.described)
        known = (f"{python} ({identity[:19]})" for python, identity in one.identities.items())
        yield ConditionFound(what=f"{name}: CPythons", ok=True, found=", ".join(known) or "none yet: made when needed")
        yield ConditionFound(
            what=f"{name}: disk",
            ok=one.free_bytes >= ENOUGH_BYTES,
            found=f"{size(one.free_bytes)} free for its cache",
            remedy="" if one.free_bytes >= ENOUGH_BYTES else "A TensorFlow environment takes 1 to 2 GB: free some.",
        )
        gpus = counted(len(one.gpus), "GPU") if one.gpus else "no GPU"
        found = f"{counted(one.processors, 'processor')}, {size(one.memory_bytes)} of memory, {gpus}; host {one.host}"
        yield ConditionFound(what=f"{name}: machine", ok=True, found=found)


def _store(folder: Path) -> ConditionFound:
    """The store beside a matrix, repaired where it was damaged."""
    from runner.trials.store import examine_store  # noqa: PLC0415 - only here

    workplace = Workplace.beside(folder)
    path = workplace.store
    if not path.is_file():
        return ConditionFound(what="store", ok=True, found=f"none in {folder} yet")
    with Claim(workplace).held():
        found = examine_store(path)
    if found.kept_as is None:
        return ConditionFound(what="store", ok=True, found=f"{counted(found.records, 'record')}, all can be read")
    why = f" ({found.damage})" if found.damage else ""
    return ConditionFound(
        what="store",
        ok=False,
        found=f"{counted(found.lost, 'row')} of those that can be found hold no record that can be read{why}",
        remedy=f"{counted(found.records, 'record')} saved in {path}; the file as it was is {found.kept_as.name}. Run"
        " the matrix: trials that are lost run again.",
    )


def doctor(
    context: typer.Context,
    matrix: MatrixFile = DEFAULT_MATRIX,
    engine: Engine = None,
    base: Base = None,
    store: Annotated[
        bool,
        typer.Option("--store", help="Look at the store of records alone; where it is damaged, save what can be read."),
    ] = False,
    cluster: Cluster = None,
    output: Output = Format.TABLE,
) -> int:
    """Look at the engine that a run would take, interpreters, disk and index; what is wrong has its remedy."""
    folder = matrix.absolute().parent
    world = context.obj or World()
    findings: tuple[ConditionFound, ...]
    if store:
        findings = (_store(folder),)
    else:
        chosen = options(engine, base, cluster=cluster_of(cluster))
        findings = tuple(_workers(chosen, folder, world)) if chosen.cluster else examine(chosen, folder, world)
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
