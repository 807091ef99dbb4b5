"""The commands that hand the stored trials to other programs: `export mlflow`, `… tensorboard`, `… parquet`."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path  # noqa: TC003 - typer reads annotations
from typing import TYPE_CHECKING, Annotated

import typer

from runner.cli.parameters import DEFAULT_MATRIX, Base, Engine, MatrixFile, Only, Seeds, looked_at, options
from runner.errors import UsageError
from runner.plurals import counted
from runner.session.finished_trials import exporting_alone, finished_trials, read_trials
from runner.session.live_export import run_sending

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from runner.exports.exported_trial import ExportedTrial
    from runner.session.results import Results
    from runner.session.session import Session

Mlflow = Annotated[
    str,
    typer.Option("--mlflow", metavar="URI", help="Send each trial to this MLflow server or folder as it is stored."),
]
Experiment = Annotated[
    str, typer.Option("--experiment", metavar="NAME", help="MLflow's experiment. Default: the title of the matrix.")
]


def export_mlflow(
    context: typer.Context,
    matrix: MatrixFile = DEFAULT_MATRIX,
    to: Annotated[
        str,
        typer.Option(
            "--to", metavar="URI", envvar="MLFLOW_TRACKING_URI", help="The address of a tracking server, or a folder."
        ),
    ] = "",
    experiment: Experiment = "",
    engine: Engine = None,
    base: Base = None,
    only: Only = None,
    seeds: Seeds = None,
) -> int:
    """Send each stored trial to MLflow as a run; what is there already is not sent again. Nothing is run."""
    from runner.exports.mlflow_runs import MlflowRuns  # noqa: PLC0415 - as the other two

    if not to:
        raise typer.BadParameter("--to names no tracking server, and MLFLOW_TRACKING_URI is not set.")
    chosen = options(engine, base, only=only, seeds=seeds)
    with looked_at(context, matrix, chosen) as session, exporting_alone(session.laboratory):
        trials = _trials(session)
        runs = MlflowRuns(to, experiment or title_of(session))
        _tell(map(runs.send, trials), "run", "sent")
    return 0


def export_tensorboard(
    context: typer.Context,
    matrix: MatrixFile = DEFAULT_MATRIX,
    to: Annotated[
        Path | None,
        typer.Option("--to", metavar="FOLDER", help="Default: reports/tensorboard beside the matrix."),
    ] = None,
    engine: Engine = None,
    base: Base = None,
    only: Only = None,
    seeds: Seeds = None,
) -> int:
    """Write TensorBoard's event files, a folder for each cell and seed; nothing is run."""
    from runner.exports.event_files import EventFiles  # noqa: PLC0415 - as the other two

    with looked_at(context, matrix, options(engine, base, only=only, seeds=seeds)) as session:
        folder = to or session.matrix.folder / "reports" / "tensorboard"
        _tell(map(EventFiles(folder).send, _trials(session)), "event file", "written")
    sys.stdout.write(f"{folder}\n")
    return 0


def export_parquet(
    context: typer.Context,
    matrix: MatrixFile = DEFAULT_MATRIX,
    to: Annotated[
        Path | None, typer.Option("--to", metavar="FILE", help="Default: reports/series.parquet beside the matrix.")
    ] = None,
    engine: Engine = None,
    base: Base = None,
    only: Only = None,
    seeds: Seeds = None,
) -> int:
    """Write all series of the stored trials as one Parquet file, a row a value; nothing is run."""
    from runner.exports.parquet_file import write_parquet  # noqa: PLC0415 - as the other two

    with looked_at(context, matrix, options(engine, base, only=only, seeds=seeds)) as session:
        path = to or session.matrix.folder / "reports" / "series.parquet"
        path.parent.mkdir(parents=True, exist_ok=True)
        axes = list(dict.fromkeys(axis for cell in session.cells for axis, _ in cell.id))
        written = write_parquet(path, _trials(session), axes)
    sys.stdout.write(f"{path}\n{counted(written, 'trial')}.\n")
    return 0


def run_with_mlflow(session: Session, uri: str) -> Results:
    """Run a matrix while its trials are sent to MLflow. Raises UsageError where MLflow's client is not installed."""
    from runner.exports.mlflow_runs import INSTALL, MlflowRuns  # noqa: PLC0415 - as the others

    if importlib.util.find_spec("mlflow") is None:
        raise UsageError(f"--mlflow sends runs by MLflow's client, which is not installed: {INSTALL}.")
    experiment = title_of(session)

    def opened() -> Callable[[ExportedTrial], bool]:
        return MlflowRuns(uri, experiment).send  # on the thread that sends: to import MLflow takes seconds

    return run_sending(session, opened)


def title_of(session: Session) -> str:
    """The title of the matrix, or the name of its folder."""
    return session.matrix.title or session.matrix.path.absolute().parent.name


def _trials(session: Session) -> Iterable[ExportedTrial]:
    """The trials that the table's outcomes rest on. Raises UsageError where there is none."""
    found = finished_trials(session.last_results().outcomes)
    if not found:
        raise UsageError("There is no finished trial yet: `run` makes some.")
    return read_trials(session.laboratory, found, session.matrix.experiment.metrics)


def _tell(sent: Iterable[bool], what: str, done: str) -> None:
    fresh = [0, 0]
    for new in sent:
        fresh[new] += 1
    sys.stdout.write(f"{counted(fresh[True], what)} {done}, {fresh[False]} as they were.\n")


COMMANDS = (export_mlflow, export_tensorboard, export_parquet)
