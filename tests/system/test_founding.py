"""The founding questions in real environments.

TensorFlow 1.13.1, Keras 2.2.4, the same script under both imports; Keras 3.15.1, the same script on three backends.
"""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING

import pytest
from command import founding_copy, runner, table
from torch_wheel import beside, torch_wheel

if TYPE_CHECKING:
    from pathlib import Path

ENGINES = [pytest.param("docker", marks=pytest.mark.docker), "venv"]
PAIR = "tensorflow=1.13.1,script=experiments/functional_tf_keras.py|experiments/functional_keras.py"


@pytest.mark.network
@pytest.mark.usefixtures("cpython_3_7")
@pytest.mark.parametrize("engine", ENGINES)
def test_the_same_code_converges_under_one_import_and_ends_in_nan_under_the_other(engine: str, tmp_path: Path) -> None:
    folder = founding_copy(tmp_path / "founding")
    done = runner(folder, "matrix.yaml", "--engine", engine, "--seeds", "1", "--only", PAIR, "--format", "json")
    assert done.returncode == 0, done.stderr
    converged, broken = json.loads(done.stdout)
    assert converged["script"] == "experiments/functional_tf_keras.py"
    assert converged["outcome"] == "converges"
    assert converged["final_loss"] == pytest.approx(1.13e-08, rel=0.01)
    assert (broken["outcome"], broken["final_loss"]) == ("fails (nan)", "nan")
    for row in (converged, broken):
        assert (row["engine"], row["lock"]) == (engine, "tensorflow-1.13.1+keras-2.2.4")
        assert (row["tensorflow_imported"], row["cpython"][:4]) == ("1.13.1", "3.7.")
        assert row["peak_memory_bytes"] > 50_000_000
        assert row["epoch_s"] > 0
    assert broken["keras_imported"] == "2.2.4"
    logs = runner(folder, "logs", f"{PAIR.partition('|')[0]}", "--engine", engine).stdout
    assert "rnn_layer_1 (SimpleRNN)" in logs
    after = re.findall(r"array\(\[\[([-+.\de]+)\]\]", logs.partition("weights after:")[2])
    assert [float(weight) for weight in after] == [pytest.approx(0.2, abs=1e-4), pytest.approx(0.8, abs=1e-4)]

    again = runner(folder, "matrix.yaml", "--engine", engine, "--seeds", "1", "--only", PAIR)
    assert "trials ran now" not in again.stdout
    assert "2 trials stored" in again.stdout
    assert [row["outcome"] for row in table(folder, engine, "--seeds", "1", "--only", PAIR)] == [
        "converges",
        "fails (nan)",
    ]


@pytest.mark.network
@pytest.mark.slow
@pytest.mark.torch
def test_the_same_code_converges_on_one_backend_of_keras_and_ends_in_nan_on_the_others(tmp_path: Path) -> None:
    folder = founding_copy(tmp_path / "founding") / "experiments"
    found = torch_wheel()
    assert found is not None
    beside(folder, found)
    done = runner(
        folder, "torch.yaml", "--engine", "venv", "--seeds", "1", "--only", "keras=3.15.1", "--format", "json"
    )
    assert done.returncode == 0, done.stderr
    rows = {row["backend"]: row for row in json.loads(done.stdout)}
    outcomes = {backend: row["outcome"] for backend, row in rows.items()}
    assert outcomes == {"tensorflow": "converges", "jax": "fails (nan)", "torch": "fails (nan)"}
    assert float(rows["tensorflow"]["final_loss"]) < -0.9
    assert {row["keras_imported"] for row in rows.values()} == {"3.15.1"}
