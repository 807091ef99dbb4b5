from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from matrix_files import FakeIndex

from runner.matrix.cells import expand
from runner.matrix.matrix_file import load_matrix
from runner.matrix.settle import settle
from runner.matrix.starting_axes import starting_axes
from runner.matrix.template import ProjectRequirements, Proposal, template

if TYPE_CHECKING:
    from pathlib import Path

    from runner.matrix.matrix_file import Matrix

KERAS = starting_axes({"keras"}, {})
INDEX = FakeIndex(
    {
        "tensorflow": [
            "2.10.0 2022-09-06",
            "2.16.1 2024-03-08",
            "2.18.0 2024-10-24",
            "2.19.0 2025-03-12",
        ],
        "keras": ["2.10.0 2022-08-31", "3.0.5 2024-02-14", "3.1.0 2024-03-01", "3.6.0 2024-10-08", "3.9.0 2025-03-04"],
        "scikit-learn": ["1.6.0 2024-12-09", "1.7.0 2025-06-05"],
    }
)


def loaded(folder: Path, text: str, script: str = "train.py") -> Matrix:
    (folder / script).touch()
    path = folder / "matrix.yaml"
    path.write_text(text, encoding="utf-8")
    return load_matrix(path)


def cells(folder: Path, imported: set[str], pins: dict[str, str] | None = None) -> list[str]:
    """The cells of the matrix that a script with these imports gets, in a project with these pins."""
    text = template(Proposal(script="train.py", axes=starting_axes(imported, pins or {})))
    return [str(cell.id) for cell in expand(settle(loaded(folder, text), INDEX))]


def test_a_script_that_imports_keras_gets_pairs_that_go_together(tmp_path: Path) -> None:
    assert cells(tmp_path, {"keras", "numpy"}) == [
        "tensorflow=1.13.1,keras=2.2.4",
        "tensorflow=2.10.1,keras=2.10.0",
        "tensorflow=2.16.1,keras=3.3.3",
    ]


@pytest.mark.parametrize(
    ("imported", "found"),
    [
        ({"tensorflow"}, ["tensorflow=1.13.1", "tensorflow=2.10.1", "tensorflow=2.16.1"]),
        ({"torch", "torchvision", "scikit-learn"}, ["torch=1.13.1", "torch=2.2.2", "torch=2.6.0"]),
        ({"keras", "torch", "numpy"}, ["keras=3.4.1,backend=torch", "keras=3.8.0,backend=torch"]),
        ({"pytorch-lightning"}, ["torch=1.13.1", "torch=2.2.2", "torch=2.6.0"]),
        ({"scikit-learn", "pandas"}, ["scikit-learn=1.0.2", "scikit-learn=1.3.2", "scikit-learn=1.5.2"]),
        ({"xgboost", "scikit-learn"}, ["xgboost=1.7.6", "xgboost=2.1.3"]),
        ({"pandas"}, ["numpy=1.21.6", "numpy=1.26.4", "numpy=2.1.3"]),
        (set(), ["numpy=1.21.6", "numpy=1.26.4", "numpy=2.1.3"]),
    ],
)
def test_the_axis_is_the_framework_that_the_script_imports(
    tmp_path: Path, imported: set[str], found: list[str]
) -> None:
    assert cells(tmp_path, imported) == found


@pytest.mark.parametrize(
    ("imported", "pins", "found"),
    [
        ({"tensorflow"}, {"tensorflow-cpu": "2.10.0"}, ["tensorflow=2.10.0", "tensorflow=2.16.1"]),
        ({"keras"}, {"keras": "2.10.0"}, ["tensorflow=2.10.0,keras=2.10.0", "tensorflow=2.16.1,keras=3.1.0"]),
        ({"scikit-learn"}, {"scikit-learn": "1.6.0"}, ["scikit-learn=1.6.0", "scikit-learn=1.7.0"]),
        ({"scikit-learn"}, {"scikit-learn": "1.4.0"}, ["scikit-learn=1.4.0", "scikit-learn=1.5.2"]),
        (
            {"keras"},
            {"keras": "3.6.0", "tensorflow": "2.18.0"},
            [
                "tensorflow=2.18.0,keras=3.6.0",
                "tensorflow=2.18.0,keras=3.9.0",
                "tensorflow=2.19.0,keras=3.6.0",
                "tensorflow=2.19.0,keras=3.9.0",
            ],
        ),
    ],
)
def test_a_version_that_the_project_pins_comes_first_and_older_ones_are_left_out(
    tmp_path: Path, imported: set[str], pins: dict[str, str], found: list[str]
) -> None:
    assert cells(tmp_path, imported, pins) == found


@pytest.mark.parametrize("script", ["my train.py", "été: 1.py", "'a\".py", "# x.py", "{x}.py", "1.0", "true"])
def test_any_script_name_is_read_back(tmp_path: Path, script: str) -> None:
    text = template(Proposal(script=script, axes=KERAS))
    assert loaded(tmp_path, text, script).experiment.script == script


@pytest.mark.parametrize("questions", [(), ("- foo     # what is it?",)])
@pytest.mark.parametrize("packages", [(), ("pandas<3,>=1", "pillow")])
def test_packages_are_live_and_questions_are_comments(
    tmp_path: Path, packages: tuple[str, ...], questions: tuple[str, ...]
) -> None:
    found = Proposal(
        script="train.py",
        axes=KERAS,
        packages=packages,
        questions=questions,
        requirements=ProjectRequirements(others=("requirements.txt",)),
        metrics={"loss": r"it's: (\S+)"},
    )
    text = template(found)
    assert tuple(one.text for one in loaded(tmp_path, text).packages) == packages
    assert all(f"# {question}" in text or f"#   {question}" in text for question in questions)


def test_every_line_that_is_commented_out_loads_when_it_is_not(tmp_path: Path) -> None:
    lines = template(Proposal(script="train.py", axes=KERAS)).splitlines()
    keys = (
        "python:",
        "env:",
        "args:",
        "artifacts:",
        "network:",
        "packages:",
        "criterion:",
        "seeds:",
        "expect:",
        "  - {",
    )
    active = []
    for line in lines:
        text = line.lstrip()
        wanted = text.startswith("# ") and text[2:].startswith(keys)
        active.append(line.replace("# ", "", 1) if wanted else line)
    matrix = loaded(tmp_path, "\n".join(active))
    assert [axis.name for axis in matrix.axes] == ["tensorflow", "keras", "python", "env"]
    assert matrix.experiment.args == ("--epochs", "10")
    assert [str(comparison) for comparison in matrix.criterion] == [
        "loss < 0.0001",
        "val_accuracy >= 0.9 within 5 epochs",
    ]
    assert matrix.expect[0].outcome == "converges"
    assert [one.text for one in matrix.packages] == ["pandas", "scikit-learn>=0.20"]


def test_the_rules_that_the_comments_show_load_in_place_of_the_versions(tmp_path: Path) -> None:
    lines = template(Proposal(script="train.py", axes=KERAS)).splitlines()
    shown = {line.lstrip(" #").partition(":")[0]: line.replace("# ", "", 1) for line in lines if "  # " in line[:4]}
    text = f"axes:\n{shown['tensorflow']}\n{shown['keras']}\nexperiment: {{script: train.py}}\n"
    assert [value.text for axis in loaded(tmp_path, text).axes for value in axis.values] == [
        ">=1.13,<2.17 every minor",
        "era",
    ]


def test_the_condition_that_a_comment_shows_loads_as_an_entry_of_packages(tmp_path: Path) -> None:
    text = template(Proposal(script="train.py", axes=KERAS))
    shown = next(line.partition("some of them: ")[2].rstrip(".") for line in text.splitlines() if "when:" in line)
    assert loaded(tmp_path, f"{text}packages: [{shown}]\n").packages[0].when[0].axis == "tensorflow"
