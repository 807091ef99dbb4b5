"""The tox environments of a matrix: their names, when the index is asked, and what tox is told of each."""

from __future__ import annotations

import json
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest
from matrix_files import SMALLEST, FakeIndex, loaded, written

from convergence_matrix_tox import CombinationPlugin
from runner.cli.tox_environments import combinations, is_asked_for, main

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

INDEX = {"tensorflow": ["2.16.1 2024-03-08", "2.15.0 2023-11-14"], "keras": ["3.0.5 2024-02-14"]}
RANGE = "axes: {tensorflow: {range: '>=2.16'}, keras: era}\nexperiment: {script: train.py}\n"


class FakeState:
    """What the plugin asks of tox's own state."""

    def __init__(self, command: str = "run", further: tuple[str, ...] | None = None) -> None:
        self.conf = SimpleNamespace(
            options=SimpleNamespace(command=command), pos_args=lambda _root: further, memory_seed_loaders={}
        )


def environments(folder: Path, state: FakeState) -> Mapping[str, Any]:
    """The settings of each environment that the plugin adds to tox."""
    plugin = CombinationPlugin()
    names = plugin.tox_extend_envs()  # tox asks first, and reads later
    plugin.tox_add_core_config({"tox_root": folder}, state)  # type: ignore[arg-type]
    return {name: state.conf.memory_seed_loaders[name][0].raw for name in names}


def test_concrete_versions_need_no_index(tmp_path: Path) -> None:
    index = FakeIndex(INDEX)
    assert combinations(loaded(tmp_path, SMALLEST), index) == {"tf1.13.1": "tensorflow=1.13.1"}
    assert not index.asked


def test_a_backend_is_part_of_a_combination(tmp_path: Path) -> None:
    text = "axes: {keras: [3.13.2], backend: [jax, torch], args: [a, b]}\nexperiment: {script: train.py}\n"
    assert combinations(loaded(tmp_path, text), FakeIndex(INDEX)) == {
        "keras3.13.2-jax": "keras=3.13.2,backend=jax",
        "keras3.13.2-torch": "keras=3.13.2,backend=torch",
    }


def test_the_environments_of_a_range_are_those_that_it_became(tmp_path: Path) -> None:
    found = combinations(loaded(tmp_path, RANGE), FakeIndex(INDEX))
    assert found == {"keras3.0.5-tf2.16.1": "tensorflow=2.16.1,keras=3.0.5"}


def test_the_index_is_asked_only_for_environments_that_tox_shows_or_runs(tmp_path: Path) -> None:
    matrix = loaded(tmp_path, RANGE)
    assert not is_asked_for(matrix, [])
    assert not is_asked_for(matrix, ["lint", "py311"])
    assert is_asked_for(matrix, ["lint", "keras3.0.5-tf2.16.1"])
    assert is_asked_for(matrix, ["ALL"])
    assert is_asked_for(loaded(tmp_path, SMALLEST), [])


def test_an_environment_runs_the_cells_of_its_versions_and_fails_unless_they_are_good(tmp_path: Path) -> None:
    written(tmp_path, SMALLEST)
    made = environments(tmp_path, FakeState(further=("--seeds", "1")))
    assert list(made) == ["tf1.13.1"]
    [command] = made["tf1.13.1"]["commands"]
    line = "-m runner matrix.yaml --only tensorflow=1.13.1 --fail-on not-good --seeds 1"
    assert " ".join(command.args).endswith(line)


def test_a_project_without_a_matrix_has_no_such_environment(tmp_path: Path) -> None:
    assert environments(tmp_path, FakeState()) == {}


def test_a_broken_matrix_is_told_in_one_line_and_tox_goes_on(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    written(tmp_path, "axes: {tensorflow: [1.13.1]}\nexperiment: {script: gone.py}\nfoo: 1\n")
    assert environments(tmp_path, FakeState("list")) == {}
    [line] = capsys.readouterr().err.splitlines()
    assert line.startswith("convergence-matrix: no tox environments of matrix.yaml: ")
    assert line.endswith("(and 1 more)")


@pytest.mark.parametrize("text", ["axes: [", "", "jobs: {build: {steps: []}}\n", "\x00", "- a\n- b\n"])
def test_any_file_of_that_name_is_one_line_at_most(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], text: str
) -> None:
    assert main([str(written(tmp_path, text))]) == 2
    [line] = capsys.readouterr().err.splitlines()
    assert "matrix.yaml" in line


def test_what_the_plugin_reads_is_json(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([str(written(tmp_path, SMALLEST))]) == 0
    assert json.loads(capsys.readouterr().out) == {"tf1.13.1": "tensorflow=1.13.1"}
