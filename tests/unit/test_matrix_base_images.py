"""`base_image:`: the images that cells stand on, with conditions; and what of a run follows from it."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest
from fake_engine import FakeEngine, world_of, write_matrix
from matrix_files import loaded, mistakes_in

from runner.cli.app import run_command_line
from runner.engines.protocol import EngineKind
from runner.environments.lockfile import inputs_digest
from runner.laboratory.setup import Setup
from runner.matrix.cells import expand
from runner.matrix.model import Condition, NamedBase

if TYPE_CHECKING:
    from pathlib import Path

AXES = "axes: {tensorflow: [1.13.1, 2.4.0], python: [3.7, 3.10]}\nexperiment: {script: train.py}\n"
TWO = "base_image: [{image: old:1, when: six<1.16}, new:1]\n"


def by_cell(folder: Path, text: str) -> dict[str, str]:
    matrix = loaded(folder, AXES + text)
    setup = Setup.of(matrix)
    return {str(cell.id).replace("tensorflow=", ""): setup.environment(cell).base_image for cell in expand(matrix)}


def test_one_name_is_for_all_cells_and_none_for_none(tmp_path: Path) -> None:
    assert set(by_cell(tmp_path, "base_image: mine:1\n").values()) == {"mine:1"}
    assert set(by_cell(tmp_path, "").values()) == {""}


def test_a_cell_has_the_first_image_whose_conditions_it_meets_and_none_where_there_is_none(tmp_path: Path) -> None:
    first, second = "{image: a:1, when: [tensorflow<2, python<3.8]}", "{image: 'h:5000/b:1', when: tensorflow<2}"
    assert by_cell(tmp_path, f"base_image: [{first}, {second}]\n") == {
        "1.13.1,python=3.7": "a:1",
        "1.13.1,python=3.10": "h:5000/b:1",
        "2.4.0,python=3.7": "",
        "2.4.0,python=3.10": "",
    }
    assert loaded(tmp_path, f"{AXES}base_image: [{first}, c]\n").base_images == (
        NamedBase(
            image="a:1",
            when=(Condition(axis="tensorflow", specifiers="<2"), Condition(axis="python", specifiers="<3.8")),
        ),
        NamedBase(image="c"),
    )
    assert set(by_cell(tmp_path, f"base_image: {second}\n").values()) == {"h:5000/b:1", ""}  # one entry is no list


@pytest.mark.parametrize(
    ("entries", "mistakes"),
    [
        ("Cuda", ["3:13: base_image: 'Cuda' is not the name of an image (such as cuda-11.2-py3.9:1, or x@sha256:…)"]),
        ("[{when: tensorflow<2}]", ["an entry of base_image has no image (such as image: cuda-11.2-py3.9:1)"]),
        ("[a, {image: b, when: tensorflow<2}]", ["3:25: no cell gets as far as 'b': 'a' has no when"]),
        ("[{image: a, when: tensorflow}]", ["3:31: when: 'tensorflow' is not a condition on an axis"]),
        ("[{image: a, when: keras<2}, b]", ["3:31: when: "]),
    ],
)
def test_a_mistake_is_told_with_its_place_as_of_packages(tmp_path: Path, entries: str, mistakes: list[str]) -> None:
    found = mistakes_in(tmp_path, f"{AXES}base_image: {entries}\n")
    assert len(found) == len(mistakes), found
    for told, wanted in zip(found, mistakes, strict=True):
        assert wanted in told


def test_the_name_of_an_image_changes_no_lock(tmp_path: Path) -> None:
    with_one, without = (
        Setup.of(matrix).environment(next(iter(expand(matrix))))
        for matrix in (loaded(tmp_path, f"{AXES}base_image: mine:1\n"), loaded(tmp_path, AXES))
    )
    assert with_one.base_image
    assert with_one.name == without.name
    assert inputs_digest(with_one) == inputs_digest(without)


MATRIX = "axes: {six: [1.15.0, 1.16.0]}\nexperiment: {script: a.py}\nseeds: 2\n"


class Docker:
    """A folder with a matrix of two cells, and an engine with images."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.engine = FakeEngine(
            kind=EngineKind.DOCKER, base="offline", bases={"old:1": "sha256:a", "new:1": "sha256:b"}
        )

    def does(self, line: str, more: str = "") -> int:
        write_matrix(self.folder, MATRIX + more)
        self.engine.ran.clear()
        return run_command_line(line.split(), world_of(self.engine))

    @property
    def ran(self) -> list[str]:
        return sorted({cell for cell, _ in self.engine.ran})


@pytest.fixture
def docker(here: Path) -> Docker:
    return Docker(here)


def test_only_the_trials_of_the_cells_whose_base_image_is_another_one_run_anew(docker: Docker) -> None:
    docker.does("run")
    assert docker.ran == ["six=1.15.0", "six=1.16.0"]
    only_old = "base_image: {image: old:1, when: six<1.16}\n"
    docker.does("run", only_old)
    assert docker.ran == ["six=1.15.0"]
    docker.does("run", TWO)
    assert docker.ran == ["six=1.16.0"]
    docker.engine.bases["new:1"] = "sha256:c"  # built anew under its name
    docker.does("run", TWO)
    assert docker.ran == ["six=1.16.0"]
    for former in ("", only_old):
        docker.does("run", former)
        assert docker.ran == [], former


def test_a_look_shows_what_the_last_run_stood_on(docker: Docker, capsys: pytest.CaptureFixture[str]) -> None:
    docker.does("run", TWO)
    docker.engine.bases["new:1"] = "sha256:c"
    capsys.readouterr()
    docker.does("table --format json", TWO)
    assert [row["seeds"] for row in json.loads(capsys.readouterr().out)] == [2, 2]
    docker.does("table --format json", TWO.replace("new:1", "newer:1"))
    assert [row["seeds"] for row in json.loads(capsys.readouterr().out)] == [2, 0]


def test_base_images_are_shown_beside_the_cells(docker: Docker, capsys: pytest.CaptureFixture[str]) -> None:
    one = "base_image: {image: old:1, when: six<1.16}\n"
    docker.does("plan --format json", one)
    rows = json.loads(capsys.readouterr().out)
    assert [row["base image"] for row in rows] == ["old:1", "the usual one"]
    docker.does("plan --format json")
    assert "base image" not in json.loads(capsys.readouterr().out)[0]
    docker.does("run", one)
    assert (
        "Cells stand on different base images (old:1: 1 cell; the usual one: 1 cell): where two of them differ, their"
        " versions are not the only thing that does."
    ) in " ".join(capsys.readouterr().out.split())
    docker.does("show six=1.15.0", one)
    assert "CPython 3.11.7 under docker on old:1\n" in capsys.readouterr().out
    docker.does("run", "base_image: new:1\n")
    assert "different base images" not in capsys.readouterr().out
    docker.engine.bases["old:1"] = docker.engine.bases["new:1"]  # two names of one image
    docker.does("run", TWO)
    assert docker.ran == []
    assert "different base images" not in capsys.readouterr().out


def test_venv_says_that_it_has_no_images_and_has_the_trials_that_it_had(
    docker: Docker, capsys: pytest.CaptureFixture[str]
) -> None:
    docker.engine.kind, docker.engine.base, docker.engine.bases = EngineKind.VENV, "", {}
    docker.does("run")
    assert "`base_image:`" not in capsys.readouterr().err
    docker.does("run --again --only six=1.15.0", TWO)
    assert capsys.readouterr().err.count("`base_image:` means nothing under the venv engine") == 1
    docker.does("run", TWO)
    assert docker.ran == []
    capsys.readouterr()
    docker.does("table --format json", TWO)
    assert [row["seeds"] for row in json.loads(capsys.readouterr().out)] == [2, 2]
