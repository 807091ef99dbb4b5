"""The arguments and options that several commands share, and the user's configuration that gives their defaults."""

from __future__ import annotations

import enum
import os
import tomllib
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import platformdirs
import typer

from runner.cli.progress import observer_for_terminal
from runner.errors import UsageError
from runner.matrix.matrix_file import Matrix
from runner.session.options import Options, parse_shard, read_last_run
from runner.session.results import FailOn
from runner.session.session import open_session

if TYPE_CHECKING:
    from collections.abc import Iterator

    from runner.outcomes.result import Result
    from runner.session.session import Session


class EngineChoice(enum.StrEnum):
    """The values of `--engine`."""

    AUTO = "auto"
    DOCKER = "docker"
    VENV = "venv"


class BaseChoice(enum.StrEnum):
    """The values of `--base`."""

    AUTO = "auto"
    REGISTRY = "registry"
    OFFLINE = "offline"


class Format(enum.StrEnum):
    """The values of `--format`."""

    TABLE = "table"
    JSON = "json"


class TableFormat(enum.StrEnum):
    """The values of `--format` for the table of outcomes."""

    TABLE = "table"
    JSON = "json"
    CSV = "csv"
    MARKDOWN = "markdown"


MatrixFile = Annotated[Path, typer.Argument(metavar="[MATRIX]", help="The matrix file.")]
Engine = Annotated[
    EngineChoice | None,
    typer.Option(
        "--engine",
        envvar="RUNNER_ENGINE",
        help="docker: always containers; venv: virtual environments; auto: docker where it works, else venv.",
    ),
]
Base = Annotated[
    BaseChoice | None,
    typer.Option(
        "--base",
        envvar="RUNNER_BASE",
        help="Base images: pulled from a registry, made here (offline), or auto: the first that works.",
    ),
]
Only = Annotated[
    str | None, typer.Option("--only", metavar="AXIS=VALUE,…", help="Take only the cells with these axis values.")
]
Seeds = Annotated[
    int | None,
    typer.Option("--seeds", min=1, help="Run this many seeds in each cell, instead of the matrix's `seeds:`."),
]
Jobs = Annotated[int | None, typer.Option("-j", "--jobs", min=1, help="How many trials run at once.")]
PruneImages = Annotated[
    bool, typer.Option("--prune-images", help="Remove each image when its cells are decided: for small disks.")
]
Shard = Annotated[
    str,
    typer.Option(
        "--shard", metavar="I/N", help="Run only the Ith of N parts, balanced by how long trials took before."
    ),
]
Junit = Annotated[Path | None, typer.Option("--junit", metavar="FILE", help="Write the outcomes as JUnit XML.")]
FailOnOption = Annotated[
    list[FailOn] | None,
    typer.Option(
        "--fail-on",
        help="Exit with 1 where a cell is worse than the baseline, is flaky, crashes, or is not good, unless `expect:` "
        "says so.",
    ),
]
Baseline = Annotated[
    Path | None,
    typer.Option(
        "--baseline", metavar="RESULTS", help="Compare each cell with an earlier results.json, by the same statistics."
    ),
]
Annotations = Annotated[
    bool | None,
    typer.Option(
        "--annotations/--no-annotations",
        help="Print GitHub annotations on the script lines that raised. Default: only in a GitHub workflow.",
    ),
]
CellName = Annotated[str, typer.Argument(metavar="CELL", help="A cell, as `AXIS=VALUE,…`: enough values to name one.")]
MatrixOption = Annotated[Path, typer.Option("--matrix", "-m", help="The matrix file.")]
Output = Annotated[Format, typer.Option("--format", help="A table for people, or JSON.")]

DEFAULT_MATRIX = Path("matrix.yaml")


def options(
    engine: EngineChoice | None,
    base: BaseChoice | None,
    *,
    only: str | None = None,
    seeds: int | None = None,
    jobs: int | None = None,
    shard: str = "",
    fail_fast: bool = False,
    again: tuple[str, ...] | None = None,
    prune_images: bool = False,
    earlier: Result | None = None,
) -> Options:
    """The session's options: the command line, then the environment, then the user's configuration file."""
    configured = configuration()
    return Options(
        engine=(engine or EngineChoice(configured.get("engine", EngineChoice.AUTO))).value,
        base=(base or BaseChoice(configured.get("base", BaseChoice.AUTO))).value,
        only=only,
        shard=parse_shard(shard),
        seeds=seeds,
        jobs=jobs,
        fail_fast=fail_fast,
        again=again,
        prune_images=prune_images,
        earlier=earlier,
    )


def configuration_path() -> Path:
    """The path of the user's configuration: RUNNER_CONFIG, else the platform's place for it."""
    named = os.environ.get("RUNNER_CONFIG")
    return Path(named) if named else platformdirs.user_config_path("convergence-matrix") / "config.toml"


def configuration() -> dict[str, str]:
    """The user's configuration, checked. Raises UsageError where the file is wrong."""
    path = configuration_path()
    try:
        values = tomllib.loads(path.read_text("utf-8"))
    except FileNotFoundError:
        return {}
    except (tomllib.TOMLDecodeError, UnicodeDecodeError, OSError) as error:
        raise UsageError(f"{path}: {error}") from error
    allowed = {"engine": [choice.value for choice in EngineChoice], "base": [choice.value for choice in BaseChoice]}
    for key, value in values.items():
        if key not in allowed:
            raise UsageError(f"{path}: there is no setting {key!r}; there are {', '.join(allowed)}.")
        if value not in allowed[key]:
            raise UsageError(f"{path}: {key} is {value!r}; it can be {', '.join(allowed[key])}.")
    return values


@contextmanager
def looked_at(context: typer.Context, matrix: Path, chosen: Options) -> Iterator[Session]:
    """A session that shows what the last run came to, with its number of seeds where none is given."""
    loaded = Matrix.load(matrix)
    last = read_last_run(loaded.folder.absolute() / ".runner", loaded)
    seeds = last.seeds if last and last.is_meant(chosen) and not chosen.seeds else None
    with opened(context, matrix, replace(chosen, seeds=chosen.seeds or seeds)) as session:
        if seeds:
            session.observer.note(f"As the last run: --seeds {seeds}.")
        yield session


@contextmanager
def opened(context: typer.Context, matrix: Path, chosen: Options) -> Iterator[Session]:
    """A session of a matrix file that tells its progress on standard error; the context has the world that it opens."""
    with (
        observer_for_terminal() as observer,
        open_session(Matrix.load(matrix), chosen, observer, world=context.obj) as session,
    ):
        yield session
