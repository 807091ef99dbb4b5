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
from runner.environments.interpreters import BUILD_ON_HOST
from runner.errors import UsageError
from runner.matrix.matrix_file import Matrix
from runner.matrix.nodes import read_text
from runner.session.options import Options, parse_shard, read_last_run
from runner.session.results import FailOn
from runner.session.session import open_session
from runner.trials.job_files import Workplace

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


Again = Annotated[
    bool,
    typer.Option(
        "--again", help="Run the stored trials of the cells once more; the old ones count until the new are there."
    ),
]
Pair = Annotated[
    bool,
    typer.Option(
        "--pair",
        help="Run one trial at a time, those of all cells in turn on the same processors, and compare their times"
        " pair by pair.",
    ),
]
Cluster = Annotated[
    str | None,
    typer.Option(
        "--cluster",
        metavar="ADDRESS",
        envvar="RUNNER_CLUSTER",
        help="Run on the workers of this Dask scheduler, such as tcp://10.0.0.1:8786.",
    ),
]


def _allow_builds(*, value: bool) -> None:
    if value:
        os.environ[BUILD_ON_HOST] = "1"  # for this process and those that it starts


BuildOnHost = Annotated[
    bool,
    typer.Option(
        "--build-on-host",
        envvar=BUILD_ON_HOST,
        callback=lambda value: _allow_builds(value=value),
        help="With virtual environments: build source distributions here, which runs their code as you.",
    ),
]
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
    pair: bool = False,
    again: tuple[str, ...] | None = None,
    prune_images: bool = False,
    earlier: Result | None = None,
    cluster: str | None = None,
) -> Options:
    """The session's options: the command line, then the environment, then the user's configuration file."""
    configured = configuration()
    return Options(
        engine=(engine or EngineChoice(configured.get("engine", EngineChoice.AUTO))).value,
        runtime=os.environ.get("RUNNER_RUNTIME") or configured.get("runtime", ""),
        base=(base or BaseChoice(configured.get("base", BaseChoice.AUTO))).value,
        only=only,
        shard=parse_shard(shard),
        seeds=seeds,
        jobs=jobs,
        fail_fast=fail_fast,
        pair=pair,
        again=again,
        prune_images=prune_images,
        earlier=earlier,
        cluster=cluster,
        registry=os.environ.get("RUNNER_REGISTRY") or configured.get("registry", ""),
    )


def configuration_path() -> Path:
    """The path of the user's configuration: RUNNER_CONFIG, else the platform's place for it."""
    named = os.environ.get("RUNNER_CONFIG")
    return Path(named) if named else platformdirs.user_config_path("convergence-matrix") / "config.toml"


def configuration() -> dict[str, str]:
    """The user's configuration, checked. Raises UsageError where the file is wrong."""
    path = configuration_path()
    try:
        if not path.exists():
            return {}
        values = tomllib.loads(read_text(path))
    except (ValueError, RecursionError, OSError) as error:
        raise UsageError(f"{path}: {error}") from error
    allowed = {
        "engine": [choice.value for choice in EngineChoice],
        "base": [choice.value for choice in BaseChoice],
        "runtime": [],  # any name
        "cluster": [],  # any address
        "registry": [],
    }
    for key, value in values.items():
        if key not in allowed:
            raise UsageError(f"{path}: there is no setting {key!r}; there are {', '.join(allowed)}.")
        if key == "runtime" and not isinstance(value, str):
            raise UsageError(f"{path}: runtime is no text; it is the name of a runtime of the Docker engine.")
        if not isinstance(value, str) or (allowed[key] and value not in allowed[key]):
            raise UsageError(f"{path}: {key} is {value!r}; it can be {', '.join(allowed[key]) or 'an address'}.")
    return values


def cluster_of(named: str | None) -> str | None:
    """The cluster that a command runs on: the one that is named, else the configuration's; an empty name means none."""
    return (configuration().get("cluster") if named is None else named) or None


@contextmanager
def looked_at(context: typer.Context, matrix: Path, chosen: Options) -> Iterator[Session]:
    """A session that shows what the last run came to, with its number of seeds where none is given."""
    loaded = Matrix.load(matrix)
    last = read_last_run(Workplace.beside(loaded.folder).files, loaded)
    meant = last if last and last.is_meant(chosen) else None
    seeds = meant.seeds if meant and not chosen.seeds else None
    as_then = replace(chosen, seeds=chosen.seeds or seeds, pair=meant.pair if meant else False)
    with opened(context, matrix, as_then) as session:
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
