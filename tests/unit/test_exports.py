"""Results leave: the series of trials as event files and as Parquet, and as they are stored while a run goes on."""

from __future__ import annotations

import math
import struct
import sys
import threading
from typing import TYPE_CHECKING, Any

import pandas as pd
import pytest
from fake_engine import FakeEngine, world_of
from hostile_texts import PAYLOADS
from outcomes_records import record

from runner.errors import MachineError, RunnerError
from runner.exports.event_files import FILE, EventFiles, folder_name
from runner.exports.exported_trial import ExportedTrial, SafeNames, series_of
from runner.exports.mlflow_runs import MlflowRuns, without_credentials
from runner.exports.parquet_file import write_parquet
from runner.matrix.cell_id import CellId
from runner.matrix.matrix_file import Matrix
from runner.session.finished_trials import exporting_alone, finished_trials, read_trials
from runner.session.live_export import run_sending
from runner.session.options import Options, Unwatched
from runner.session.session import open_session
from runner.trials.record import Epoch, Evaluation, Table
from runner.trials.tables import scalars

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from runner.session.session import Session

RICH: dict[str, Any] = {
    "epochs": (
        Epoch(phase="fit-1", epoch=1, logs={"loss": 2.5, "val/acc": 0.1}, time_s=2.0, learning_rate=0.1),
        Epoch(phase="fit-1", epoch=400, logs={"loss": float("nan")}, time_s=1.0),
        Epoch(phase="fit-1", epoch=90_000, logs={"loss": float("-inf")}),
        Epoch(phase="child-1:fit-1", epoch=1, logs={"loss": 1e300}),
    ),
    "steps": {"fit-1": (3.0, 2.0)},
    "evaluations": (Evaluation(kind="evaluate", number=2, logs={"acc": 0.75}),),
    "tables": {"logs/own.csv": Table(columns={"rate": (0.5, None, 0.25)})},
    "thinned": "3 of 90,000 epochs are kept",
}
"""What a record can hold: thinned epochs, what is not finite, another process, steps, calls of evaluate, tables."""


def exported(folder: Path, cell: CellId | None = None, **changes: Any) -> ExportedTrial:
    made = record(key="a1", **{**RICH, **changes})
    return ExportedTrial(
        cell=cell or CellId.of({"tensorflow": "2.9.3", "seed": "x", "args": "--a=b/../c"}),
        record=made,
        label="nan",
        reason="it ended in NaN",
        outcome="fails (nan)",
        log=folder / "log",
        artifacts=folder / "artifacts",
    )


def test_series_keep_the_numbers_of_their_epochs_and_their_phases(tmp_path: Path) -> None:
    found = {series.path: (series.steps, series.values, series.times_s) for series in series_of(record(**RICH))}
    assert [*found] == [
        "fit-1/loss",
        "fit-1/val/acc",
        "probe/fit-1/time_s",
        "probe/fit-1/learning_rate",
        "child-1:fit-1/loss",
        "step/fit-1/loss",
        "evaluation/evaluate/acc",
    ]
    steps, values, times_s = found["fit-1/loss"]
    assert (steps, times_s) == ([1, 400, 90_000], [2.0, 3.0, 3.0])
    assert values[0] == 2.5
    assert math.isnan(values[1])
    assert values[2] == float("-inf")
    assert found["step/fit-1/loss"][:2] == ([1, 2], [3.0, 2.0])
    assert found["evaluation/evaluate/acc"] == ([2], [0.75], [1.0])


@pytest.mark.parametrize("took", [-1e308, -1e18, 1e18, 1e308])
def test_moments_stay_moments_whatever_an_epoch_is_said_to_have_taken(took: float) -> None:
    epochs = [Epoch(phase="fit-1", epoch=number, logs={"loss": 1.0}, time_s=took) for number in (1, 2)]
    evaluations = (Evaluation(kind="evaluate", number=1, logs={"acc": 1.0}),)
    found = series_of(record(**{**RICH, "epochs": epochs, "evaluations": evaluations, "duration_s": took}))
    milliseconds = [int(at_s * 1000) for series in found for at_s in series.times_s]
    assert milliseconds
    assert all(0 <= one < 2**40 for one in milliseconds)


def test_names_are_paths_that_lead_nowhere_else_and_none_is_given_twice() -> None:
    names = SafeNames()
    odd = ["a/b", "a", "/etc/passwd", "..", "a//./../b", "", "é" * 900]
    texts = ["loss", "loss", "loss/aux", *odd, *PAYLOADS, *PAYLOADS]
    given = [names.of(text) for text in texts]
    assert len({*given}) == len(given)
    folders = {"/".join(name.split("/")[:count]) for name in given for count in range(1, name.count("/") + 1)}
    assert folders.isdisjoint(given)
    for name in given:
        assert name.isprintable()
        assert all(part.strip(".") and len(part.encode()) < 128 for part in name.split("/"))
    assert given[:5] == ["loss", "loss-2", "loss-3/aux", "a/b", "a-2"]


def test_event_files_are_the_same_bytes_again_and_hold_every_value_as_a_float_of_32_bits(tmp_path: Path) -> None:
    trial = exported(tmp_path)
    files = EventFiles(tmp_path / "board")
    assert files.send(trial)
    (file,) = (tmp_path / "board").rglob("*tfevents*")
    assert file == tmp_path / "board" / folder_name(trial.cell) / "seed-0" / FILE
    assert file.parents[2] == tmp_path / "board"
    before = file.stat().st_ino
    assert not files.send(trial)
    assert file.stat().st_ino == before
    with file.open("rb") as stream:
        found = list(scalars(stream, 10**7))
    wanted = [(series.path.replace(":", "_"), value) for series in series_of(trial.record) for value in series.values]
    assert sorted(map(repr, found)) == sorted(repr((name, as_float_32(value))) for name, value in wanted)
    assert files.send(exported(tmp_path, steps={}))
    assert [*(tmp_path / "board").rglob("*tfevents*")] == [file]


def as_float_32(value: float) -> float:
    try:
        return float(struct.unpack("<f", struct.pack("<f", value))[0])
    except OverflowError:
        return math.copysign(float("inf"), value)


def test_the_hyperparameters_of_a_cell_are_the_same_bytes_in_every_process(tmp_path: Path) -> None:
    from tensorboardX.proto.event_pb2 import Event
    from tensorboardX.proto.plugin_hparams_pb2 import HParamsPluginData

    trial = exported(tmp_path, CellId.of({f"axis {number}": str(number) for number in range(12)}))
    EventFiles(tmp_path / "events").send(trial)
    [file] = (tmp_path / "events").rglob(FILE)
    written, starts = file.read_bytes(), []
    while written:
        length = struct.unpack("<Q", written[:8])[0]
        values = Event.FromString(written[12 : 12 + length]).summary.value
        starts += [value.metadata.plugin_data.content for value in values]
        written = written[16 + length :]
    told = [HParamsPluginData.FromString(content) for content in starts if content]
    assert max(len(one.session_start_info.hparams) for one in told) >= 12
    assert [content for content in starts if content] == [one.SerializeToString(deterministic=True) for one in told]


def test_folders_of_cells_are_one_name_each_whatever_the_values_are() -> None:
    plain = CellId.of({"keras": "2.2.4", "import": "tf.keras"})
    assert folder_name(plain) == "keras=2.2.4,import=tf.keras"
    cells = [CellId.of({"args": text}) for text in (*PAYLOADS, "a/b", "a_b", "x" * 400, "x" * 401)]
    given = [folder_name(cell) for cell in cells]
    assert len({*given}) == len(cells)
    assert all("/" not in name and name.isprintable() and len(name.encode()) <= 255 for name in given)


def test_parquet_has_a_row_for_every_value_with_the_cell_beside_it(tmp_path: Path) -> None:
    trials = [exported(tmp_path), exported(tmp_path, CellId.of({"tensorflow": "1.13.1"}), epochs=(), steps={})]
    path = tmp_path / "series.parquet"
    assert write_parquet(path, trials, ["tensorflow", "seed", "args"]) == 2
    rows = pd.read_parquet(path)
    assert [*rows][:4] == ["tensorflow", "seed_axis", "args", "trial"]
    first = rows[rows.tensorflow == "2.9.3"]
    loss = first[(first.kind == "epoch") & (first.phase == "fit-1") & (first.metric == "loss")]
    assert loss.step.tolist() == [1, 400, 90_000]
    assert repr(loss.value.tolist()) == repr([2.5, float("nan"), float("-inf")])
    assert first[first.metric == "rate"][["kind", "phase", "step", "value"]].to_numpy().tolist() == [
        ["table", "logs/own.csv", 1, 0.5],
        ["table", "logs/own.csv", 3, 0.25],
    ]
    assert {*first.verdict, *first.outcome, *first.seed_axis} == {"nan", "fails (nan)", "x"}
    assert len(rows) == sum(len(series.values) for series in series_of(trials[0].record)) + 2 + 1 + 2
    assert [*tmp_path.glob(".begun*")] == []


def test_a_text_that_no_file_can_hold_is_made_visible_in_parquet(tmp_path: Path) -> None:
    epochs = (Epoch(phase="fit-1", epoch=1, logs={"lo\ud800ss\u202e": 1.0}),)
    write_parquet(tmp_path / "x.parquet", [exported(tmp_path, epochs=epochs)], ["tensorflow"])
    assert "lo⟨U+D800⟩ss⟨U+202E⟩" in set(pd.read_parquet(tmp_path / "x.parquet").metric)


def test_the_commands_write_what_the_table_rests_on_and_say_where(
    here: Path, command: Callable[[str], int], engine: FakeEngine, capsys: pytest.CaptureFixture[str]
) -> None:
    assert command("export parquet") == 2
    assert "There is no finished trial yet" in capsys.readouterr().err
    assert command("run --seeds 2") == 0
    capsys.readouterr()
    assert command("export tensorboard") == 0
    assert capsys.readouterr().out == "8 event files written, 0 as they were.\nreports/tensorboard\n"
    assert command("export tensorboard --to elsewhere --only script=a.py") == 0
    assert len([*(here / "elsewhere").rglob(FILE)]) == 4
    assert command("export parquet --to out/all.parquet") == 0
    rows = pd.read_parquet(here / "out" / "all.parquet")
    assert rows.trial.nunique() == 8
    assert set(rows.outcome) == {"converges"}
    assert command("export mlflow") == 2


@pytest.mark.parametrize(
    ("module", "line", "extra"),
    [
        ("mlflow", "export mlflow --to http://127.0.0.1:1", "mlflow"),
        ("mlflow", "run --mlflow http://127.0.0.1:1 --again", "mlflow"),
        ("tensorboardX", "export tensorboard", "tensorboard"),
        ("pyarrow", "export parquet", "parquet"),
    ],
)
def test_without_its_extra_a_command_says_what_to_install_and_runs_nothing(
    module: str,
    line: str,
    extra: str,
    here: Path,
    command: Callable[[str], int],
    engine: FakeEngine,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    command("run --seeds 1")
    ran = len(engine.ran)
    capsys.readouterr()
    monkeypatch.setitem(sys.modules, module, None)
    assert command(line) == 2
    assert f"`pip install 'convergence-matrix[{extra}]'`" in capsys.readouterr().err
    assert len(engine.ran) == ran


class Heard(Unwatched):
    """An observer that keeps the lines about the run."""

    def __init__(self) -> None:
        self.notes: list[str] = []

    def note(self, text: str) -> None:
        self.notes.append(text)


@pytest.fixture
def heard() -> Heard:
    return Heard()


@pytest.fixture
def session(here: Path, engine: FakeEngine, heard: Heard) -> Iterator[Session]:
    options = Options(engine="venv", seeds=2)
    with open_session(Matrix.load(here / "matrix.yaml"), options, heard, world=world_of(engine)) as session:
        yield session


def test_a_run_sends_every_trial_as_it_is_stored_and_in_the_end_what_it_came_to(session: Session, heard: Heard) -> None:
    sent: list[tuple[str, str, str]] = []

    def send(trial: ExportedTrial) -> bool:
        sent.append((trial.record.key, trial.label, trial.outcome))
        return True

    results = run_sending(session, lambda: send)
    stored = {record.key for cell in results.outcomes for record in cell.records}
    assert len(stored) == 8
    assert {key for key, _, outcome in sent if not outcome} == stored
    assert {one for one in sent if one[2]} == {(key, "converged", "converges") for key in stored}
    assert heard.notes == ["Sent: 8 trials of this run."]


@pytest.mark.parametrize("error", [MachineError("The server does not answer."), ZeroDivisionError("x")])
@pytest.mark.parametrize("at_once", [True, False])
def test_a_server_that_fails_is_one_message_and_costs_no_trial(
    session: Session, heard: Heard, error: Exception, *, at_once: bool
) -> None:
    def fails(*_: object) -> bool:
        raise error

    results = run_sending(session, fails if at_once else lambda: fails)  # type: ignore[arg-type,return-value]
    assert (results.executed, results.exit_code) == (8, 0)
    assert [str(error) in note for note in heard.notes] == [True]


def test_a_run_waits_for_no_server_while_it_has_trials_to_run(session: Session, engine: FakeEngine) -> None:
    all_stored = threading.Event()
    losses = engine.losses

    def run(job: Any, seed: int) -> Any:
        if len(engine.ran) == 8:
            all_stored.set()
        return losses(job, seed)

    engine.losses = run
    run_sending(session, lambda: lambda _trial: all_stored.wait(60))  # type: ignore[return-value]
    assert all_stored.is_set()


def test_records_are_read_one_at_a_time(session: Session) -> None:
    found = finished_trials(session.run().outcomes)
    assert not any(hasattr(one, "record") for one in found)
    store = session.laboratory.equipment.store
    store.drop([found[1].key])
    reading = read_trials(session.laboratory, found, session.matrix.experiment.metrics)
    assert next(reading).record.key == found[0].key
    store.drop([one.key for one in found[3:]])  # what is not yet read can still be forgotten
    assert [trial.record.key for trial in reading] == [found[2].key]


def test_two_exports_to_mlflow_at_once_are_refused(
    session: Session, command: Callable[[str], int], engine: FakeEngine, capsys: pytest.CaptureFixture[str]
) -> None:
    with exporting_alone(session.laboratory):
        assert command("run --mlflow nowhere") == 2
        assert command("export mlflow --to nowhere") == 2
    assert capsys.readouterr().err.count("Another export of this folder's trials to MLflow is at work.") == 2
    assert engine.ran == []


def test_an_address_is_shown_without_what_is_secret_in_it() -> None:
    assert without_credentials("https://me:secret@host:5000/x?token=t#f") == "https://host:5000/x"
    assert without_credentials("./mlruns") == "./mlruns"
    assert without_credentials("http://me:secret@[x") == "[x"


@pytest.mark.parametrize("uri", ["http://me:secret@[x", "http://\u2100/", "\0", "postgresql://me:secret@h/x"])
def test_what_is_no_address_is_refused_in_one_message_that_shows_no_password(uri: str) -> None:
    pytest.importorskip("mlflow")
    with pytest.raises(RunnerError) as refused:
        MlflowRuns(uri, "any")
    assert "secret" not in str(refused.value)
