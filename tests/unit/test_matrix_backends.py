"""The axis `backend`: what a user may write, what it sets, and what it is a condition of."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from fake_index import wheel
from matrix_files import loaded, mistakes_in

from runner.laboratory.setup import Setup, groups_of
from runner.matrix.cells import expand, requirements_of, select

if TYPE_CHECKING:
    from pathlib import Path

REST = "experiment: {script: train.py, env: {A: 1}}\n"


def test_each_backend_is_set_as_a_user_sets_it_in_an_environment_of_its_own(tmp_path: Path) -> None:
    matrix = loaded(tmp_path, f"axes: {{keras: [3.3.3], backend: [tensorflow, jax], args: [a, b]}}\n{REST}")
    cells = expand(matrix)
    assert [(cell.id.get("backend"), matrix.experiment.variables(cell)) for cell in cells[::2]] == [
        ("tensorflow", (("A", "1"), ("KERAS_BACKEND", "tensorflow"))),
        ("jax", (("A", "1"), ("KERAS_BACKEND", "jax"))),
    ]
    groups = groups_of(Setup.of(matrix), cells)
    assert [(group.environment.name, len(group.cells)) for group in groups] == [
        ("keras-3.3.3+tensorflow", 2),
        ("keras-3.3.3+jax", 2),
    ]
    assert len(select(cells, "backend=jax")) == 2


def test_without_the_axis_nothing_is_set(tmp_path: Path) -> None:
    matrix = loaded(tmp_path, f"axes: {{keras: [3.3.3]}}\n{REST}")
    (cell,) = expand(matrix)
    assert matrix.experiment.variables(cell) == (("A", "1"),)
    assert Setup.of(matrix).environment(cell).backend is None


@pytest.mark.parametrize(
    ("rest", "expected"),
    [
        (
            "backend: [tensorflw]}",
            "1:34: backend: 'tensorflw' is not a backend that Keras can be run with here (did you mean 'tensorflow'?)",
        ),
        (
            "backend: [cntk]}",
            (
                "1:34: backend: 'cntk' is not a backend that Keras can be run with here (it needs Open MPI 1.10 on the"
                " machine, which no wheel brings)"
            ),
        ),
        (
            "backend: [numpy]}",
            "1:34: backend: 'numpy' is not a backend that Keras can be run with here (Keras does not train with it)",
        ),
        ("backend: [jax, jax]}", "1:39: the axis 'backend' has the value 'jax' twice"),
        ("backend: []}", "1:33: the axis 'backend' has no values (write them as a list: [2.2.4, 2.3.1])"),
        (
            "backend: [jax], env: [A=1, KERAS_BACKEND=torch]}",
            "1:51: there is an axis backend, and KERAS_BACKEND is set too (leave one of them out)",
        ),
    ],
)
def test_a_mistake_in_the_axis_is_told_with_its_place(tmp_path: Path, rest: str, expected: str) -> None:
    assert mistakes_in(tmp_path, f"axes: {{keras: [3.3.3], {rest}\n{REST}") == [f"matrix.yaml:{expected}"]


def test_a_backend_and_its_variable_in_the_experiment_are_one_too_many(tmp_path: Path) -> None:
    axes = "axes: {keras: [3.3.3], backend: [jax]}\n"
    (mistake,) = mistakes_in(tmp_path, f"{axes}experiment: {{script: train.py, env: {{KERAS_BACKEND: jax}}}}\n")
    assert mistake == (
        "matrix.yaml:1:24: there is an axis backend, and KERAS_BACKEND is set too (leave one of them out)"
    )


def test_packages_may_be_for_one_backend_and_a_wheel_of_one_is(tmp_path: Path) -> None:
    (tmp_path / "wheels").mkdir()
    name = "wheels/torch-2.13.0+cpu-py3-none-any.whl"
    (tmp_path / name).write_bytes(wheel("torch", "2.13.0+cpu"))
    axes = "axes: {keras: [3.3.3], backend: [tensorflow, jax, torch]}\n"
    matrix = loaded(tmp_path, f"{axes}{REST}packages: [./{name}, {{optax: '*', when: backend==jax}}, pandas]\n")
    needed = [[text.split(" ")[0] for text in requirements_of(matrix.packages, cell)] for cell in expand(matrix)]
    assert needed == [["pandas"], ["optax", "pandas"], ["pandas", "torch"]]


@pytest.mark.parametrize(
    ("when", "message"),
    [
        ("backend==tensorflw", "when: 'tensorflw' is not a backend that Keras can be run with here (did you mean"),
        ("backend<2", "when: the axis 'backend' has no versions to compare"),
    ],
)
def test_a_condition_on_a_backend_that_means_nothing_is_refused(tmp_path: Path, when: str, message: str) -> None:
    axes = "axes: {keras: [3.3.3], backend: [jax]}\n"
    (mistake,) = mistakes_in(tmp_path, f"{axes}{REST}packages: [{{optax: '*', when: '{when}'}}]\n")
    assert mistake.startswith(f"matrix.yaml:3:{mistake.split(':')[2]}: {message}")


def test_a_condition_on_a_backend_needs_the_axis(tmp_path: Path) -> None:
    (mistake,) = mistakes_in(
        tmp_path, f"axes: {{keras: [3.3.3]}}\n{REST}packages: [{{optax: '*', when: backend==jax}}]\n"
    )
    assert "there is no axis 'backend'" in mistake
