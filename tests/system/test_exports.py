"""What leaves arrives: a run sent live to a real MLflow server, and what TensorBoard's own reader and pandas read."""

from __future__ import annotations

import importlib.metadata
import json
import math
import os
import signal
import socket
import struct
import subprocess
import sys
import urllib.request
from contextlib import closing
from typing import TYPE_CHECKING, Any

import pandas as pd
import pytest
from command import runner, table
from uv import find_uv_bin
from waiting import until

from runner.exports.exported_trial import series_of
from runner.exports.mlflow_runs import TRIAL, WHOLE
from runner.trials.store import Store

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from runner.trials.record import Record

pytestmark = [pytest.mark.network, pytest.mark.slow]

SCRIPT = """\
import json, os, random, six
os.makedirs("out/deep", exist_ok=True)
good = six.__version__ == "1.17.0"
with open(os.environ["RUNNER_METRICS"], "a") as metrics:
    for epoch in range(1, 41):
        loss = random.uniform(1, 2) * 0.6 ** epoch if good or epoch < 20 else float("nan")
        peak = float("inf") if epoch == 3 else 1.5 * epoch
        print(json.dumps({"epoch": epoch, "loss": loss, "val/acc": 1 - loss, "peak": peak}), file=metrics)
with open("out/deep/we ird %2e.txt", "w") as file:
    file.write("kept")
if not good:
    raise ValueError("no six")
"""
MATRIX = """\
title: Sixes
axes:
  six: [1.16.0, 1.17.0]
  python: ["3.11"]
experiment: {script: train.py, timeout: 2m, artifacts: ["out/*"]}
criterion: loss < 1e-4
seeds: 2
"""
READER = """\
import json, sys
from tensorboard.backend.event_processing.event_accumulator import SCALARS, EventAccumulator
found = {}
for folder in sys.argv[1:]:
    read = EventAccumulator(folder, size_guidance={SCALARS: 0}).Reload()
    found[folder] = {tag: [(one.step, repr(one.value)) for one in read.Scalars(tag)] for tag in read.Tags()["scalars"]}
print(json.dumps(found))
"""


@pytest.fixture(scope="module")
def others(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The Python of an environment that has MLflow's server and TensorBoard: they share nothing with this one."""
    folder = tmp_path_factory.mktemp("others") / "venv"
    uv = find_uv_bin()
    subprocess.run([uv, "venv", "-q", "--python", sys.executable, str(folder)], check=True)
    mlflow = f"mlflow=={importlib.metadata.version('mlflow-skinny')}"
    words = [uv, "pip", "install", "-q", "--python", str(folder / "bin" / "python"), mlflow, "tensorboard"]
    subprocess.run(words, check=True)
    return folder / "bin" / "python"


@pytest.fixture(scope="module")
def server(others: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of an MLflow server with a database."""
    folder = tmp_path_factory.mktemp("mlflow")
    address = f"http://127.0.0.1:{free_port()}"
    words = ["-m", "mlflow", "server", "--port", address.rpartition(":")[2], "--workers", "1"]
    words += ["--backend-store-uri", f"sqlite:///{folder}/runs.db", "--artifacts-destination", str(folder / "kept")]
    with (folder / "log").open("w") as log:
        env = {**os.environ, "MLFLOW_DISABLE_TELEMETRY": "true", "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false"}
        process = subprocess.Popen(
            [others, *words], cwd=folder, env=env, stdout=log, stderr=log, start_new_session=True
        )

        def answers() -> bool:
            assert process.poll() is None, (folder / "log").read_text()
            try:
                return urllib.request.urlopen(f"{address}/health", timeout=5).status == 200
            except OSError:
                return False

        try:
            until(answers, "MLflow's server")
            yield address
        finally:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()


def free_port() -> int:
    with closing(socket.create_server(("127.0.0.1", 0))) as taken:
        return int(taken.getsockname()[1])


@pytest.fixture(scope="module")
def folder(server: str, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A matrix that ran, its trials sent to the server as they were stored."""
    folder = tmp_path_factory.mktemp("here")
    (folder / "train.py").write_text(SCRIPT)
    (folder / "matrix.yaml").write_text(MATRIX)
    done = runner(folder, "run", "--engine", "venv", "--mlflow", server)
    assert done.returncode == 0, done.stderr
    assert "Sent: 4 trials of this run." in done.stderr
    return folder


def stored(folder: Path) -> dict[str, Record]:
    with Store(folder / ".runner" / "records.sqlite") as store:
        return store.get(store.keys())


def client(uri: str) -> Any:
    os.environ.update({"MLFLOW_ALLOW_FILE_STORE": "true", "MLFLOW_DISABLE_TELEMETRY": "true"})
    from mlflow import MlflowClient

    return MlflowClient(tracking_uri=uri)


def runs_of(mlflow: Any) -> dict[str, Any]:
    """The runs by their trial, each once."""
    (experiment,) = [one for one in mlflow.search_experiments() if one.name == "Sixes"]
    runs = mlflow.search_runs([experiment.experiment_id])
    found = {run.data.tags[TRIAL]: run for run in runs}
    assert len(found) == len(runs)
    return found


def as_shown(value: float, *, of_database: bool) -> str:
    """A value as MLflow gives it back: its databases have a largest number in place of infinity."""
    largest = 1.7976931348623157e308
    return repr(math.copysign(largest, value) if of_database and math.isinf(value) else value)


def assert_same(mlflow: Any, folder: Path, *, of_database: bool) -> None:
    """Every trial of the store is a run with all its values, its cell, its end and its artifacts."""
    records, runs = stored(folder), runs_of(mlflow)
    assert runs.keys() == records.keys()
    outcomes = {row["six"]: row["outcome"] for row in table(folder, "venv")}
    for key, record in records.items():
        run = runs[key]
        assert run.data.params == {**record.cell, "seed": str(record.seed)}
        assert run.info.status == ("FINISHED" if record.exit_code == 0 else "FAILED")
        assert run.data.tags["outcome"] == outcomes[record.cell["six"]]
        for series in series_of(record):
            history = mlflow.get_metric_history(run.info.run_id, series.path)
            found = sorted((one.step, repr(one.value)) for one in history)
            shown = [as_shown(value, of_database=of_database) for value in series.values]
            assert found == sorted(zip(series.steps, shown, strict=True))
        assert {one.path for one in mlflow.list_artifacts(run.info.run_id)} >= {"record.json", "artifacts"}
        kept = mlflow.list_artifacts(run.info.run_id, "artifacts/out/deep")
        assert [(one.path, one.file_size) for one in kept] == [("artifacts/out/deep/we ird _2e.txt", 4)]


def test_a_run_is_on_the_server_as_it_is_in_the_store_and_nothing_doubles(folder: Path, server: str) -> None:
    mlflow = client(server)
    assert_same(mlflow, folder, of_database=True)
    before = runs_of(mlflow)
    failed = next(run for run in before.values() if run.info.status == "FAILED")
    assert failed.data.tags["exception"] == "ValueError: no six"
    assert failed.data.tags["not_finite"].startswith("script/loss: nan at 20; ")
    again = runner(folder, "export", "mlflow", "--to", server)
    assert (again.returncode, again.stdout) == (0, "0 runs sent, 4 as they were.\n"), again.stderr
    assert {run.info.run_id for run in runs_of(mlflow).values()} == {run.info.run_id for run in before.values()}

    cut_off, old = [run.info.run_id for run in before.values()][:2]
    mlflow.delete_tag(cut_off, WHOLE)
    mlflow.set_tag(old, WHOLE, "of another record")
    mlflow.set_tag(failed.info.run_id, "verdict", "of other rules")
    once_more = runner(folder, "export", "mlflow", "--to", server)
    assert once_more.stdout == "2 runs sent, 2 as they were.\n", once_more.stderr
    assert_same(mlflow, folder, of_database=True)
    assert {run.data.tags["verdict"] for run in runs_of(mlflow).values()} == {"converged", "crashed-after-training"}


def test_a_folder_takes_the_same_runs(folder: Path, tmp_path: Path) -> None:
    for said in ("4 runs sent, 0 as they were.\n", "0 runs sent, 4 as they were.\n"):
        done = runner(folder, "export", "mlflow", "--to", str(tmp_path / "runs"))
        assert done.stdout == said, done.stderr
    assert_same(client(str(tmp_path / "runs")), folder, of_database=False)


def test_a_server_that_is_away_costs_the_run_one_message(folder: Path) -> None:
    keys = stored(folder).keys()
    nowhere = f"http://me:secret@127.0.0.1:{free_port()}"
    done = runner(folder, "run", "--engine", "venv", "--again", "--mlflow", nowhere)
    assert done.returncode == 0
    assert done.stderr.count("did not take the runs ([Errno 111] Connection refused)") == 1
    assert "secret" not in done.stderr
    assert "Traceback" not in done.stderr
    assert "4 trials ran now" in done.stdout
    assert stored(folder).keys() == keys
    away = runner(folder, "export", "mlflow", "--to", nowhere)
    assert (away.returncode, away.stderr.count("\n")) == (4, 1)


def test_tensorboard_reads_every_value_of_every_seed(folder: Path, others: Path, tmp_path: Path) -> None:
    done = runner(folder, "export", "tensorboard", "--to", str(tmp_path))
    assert done.returncode == 0, done.stderr
    records = {f"{tmp_path}/six={one.cell['six']},python=3.11/seed-{one.seed}": one for one in stored(folder).values()}
    read = subprocess.run([others, "-c", READER, *records], capture_output=True, text=True, check=True)
    for name, scalars in json.loads(read.stdout).items():
        wanted = {series.path: series for series in series_of(records[name])}
        assert scalars.keys() == wanted.keys()
        for tag, found in scalars.items():
            values = [repr(struct.unpack("<f", struct.pack("<f", value))[0]) for value in wanted[tag].values]
            assert [(step, value) for step, value in found] == list(zip(wanted[tag].steps, values, strict=True))


def test_pandas_reads_every_value_from_parquet(folder: Path, tmp_path: Path) -> None:
    done = runner(folder, "export", "parquet", "--to", str(tmp_path / "all.parquet"))
    assert done.returncode == 0, done.stderr
    rows = pd.read_parquet(tmp_path / "all.parquet")
    found = rows[["six", "trial", "seed", "phase", "metric", "step", "value"]].itertuples(index=False, name=None)
    wanted = [
        (record.cell["six"], record.key, record.seed, series.phase, series.metric, step, value)
        for record in stored(folder).values()
        for series in series_of(record)
        for step, value in zip(series.steps, series.values, strict=True)
    ]
    assert sorted(map(repr, found)) == sorted(map(repr, wanted))
