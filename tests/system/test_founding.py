"""The founding question in real environments: TensorFlow 1.13.1, Keras 2.2.4, the same script under both imports."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING

import pytest
from command import founding_copy, runner, table

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
