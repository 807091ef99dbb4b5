from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from runner.matrix.cells import expand
from runner.matrix.matrix_file import load_matrix
from runner.matrix.template import template

if TYPE_CHECKING:
    from pathlib import Path


def loaded_template(folder: Path, script: str, imports: set[str]) -> tuple[list[str], tuple[str, ...], str | None]:
    (folder / script).touch()
    path = folder / "matrix.yaml"
    path.write_text(template(script, imports=imports), encoding="utf-8")
    matrix = load_matrix(path)
    packages = tuple(one.text for one in matrix.packages)
    return [str(cell.id) for cell in expand(matrix)], packages, matrix.experiment.script


def test_a_script_that_imports_keras_gets_pairs_that_go_together(tmp_path: Path) -> None:
    cells, packages, script = loaded_template(tmp_path, "train.py", {"keras", "numpy", "os"})
    assert cells == [
        "tensorflow=1.13.1,keras=2.2.4",
        "tensorflow=2.10.1,keras=2.10.0",
        "tensorflow=2.16.1,keras=3.3.3",
    ]
    assert (packages, script) == ((), "train.py")


def test_a_script_that_imports_tensorflow_alone_gets_one_axis(tmp_path: Path) -> None:
    cells, _, _ = loaded_template(tmp_path, "train.py", {"tensorflow"})
    assert cells == ["tensorflow=1.13.1", "tensorflow=2.10.1", "tensorflow=2.16.1"]


def test_other_imports_become_packages_under_the_names_that_the_index_has(tmp_path: Path) -> None:
    imports = {"keras", "numpy", "sys", "pandas", "sklearn", "PIL", "cv2"}
    _, packages, _ = loaded_template(tmp_path, "train.py", imports)
    assert packages == ("opencv-python-headless", "pandas", "pillow", "scikit-learn")


@pytest.mark.parametrize("script", ["my train.py", "été: 1.py", "'a\".py", "# x.py", "{x}.py", "1.0", "true"])
def test_any_script_name_is_read_back(tmp_path: Path, script: str) -> None:
    assert loaded_template(tmp_path, script, {"keras"})[2] == script


def test_every_line_that_is_commented_out_loads_when_it_is_not(tmp_path: Path) -> None:
    lines = template("train.py", imports={"keras"}).splitlines()
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
    (tmp_path / "train.py").touch()
    path = tmp_path / "matrix.yaml"
    path.write_text("\n".join(active), encoding="utf-8")
    matrix = load_matrix(path)
    assert [axis.name for axis in matrix.axes] == ["tensorflow", "keras", "python", "env"]
    assert matrix.experiment.args == ("--epochs", "10")
    assert [str(comparison) for comparison in matrix.criterion] == [
        "loss < 0.0001",
        "val_accuracy >= 0.9 within 5 epochs",
    ]
    assert matrix.expect[0].outcome == "converges"
    assert [one.text for one in matrix.packages] == ["pandas", "scikit-learn>=0.20"]


def test_the_rules_that_the_comments_show_load_in_place_of_the_versions(tmp_path: Path) -> None:
    lines = template("train.py", imports={"keras"}).splitlines()
    shown = {line.lstrip(" #").partition(":")[0]: line.replace("# ", "", 1) for line in lines if "  # " in line[:4]}
    (tmp_path / "train.py").touch()
    path = tmp_path / "matrix.yaml"
    path.write_text(f"axes:\n{shown['tensorflow']}\n{shown['keras']}\nexperiment: {{script: train.py}}\n")
    assert [value.text for axis in load_matrix(path).axes for value in axis.values] == [
        ">=1.13,<2.17 every minor",
        "era",
    ]


def test_the_condition_that_a_comment_shows_loads_as_an_entry_of_packages(tmp_path: Path) -> None:
    text = template("train.py", imports={"keras"})
    shown = next(line.partition("some of them: ")[2].rstrip(".") for line in text.splitlines() if "when:" in line)
    (tmp_path / "train.py").touch()
    path = tmp_path / "matrix.yaml"
    path.write_text(f"{text}packages: [{shown}]\n")
    assert load_matrix(path).packages[0].when[0].axis == "tensorflow"
