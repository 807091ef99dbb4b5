"""The files of `requirements:`: what is taken of them, what is left to an axis, and what is refused by line."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from matrix_files import loaded, mistakes_in

from runner.matrix.model import Condition, Requirement

if TYPE_CHECKING:
    from pathlib import Path

    from runner.matrix.matrix_file import Matrix

HEAD = "axes: {tensorflow: [1.13.1]}\nexperiment: {script: train.py}\n"
HASH = f"sha256:{'a' * 64}"
OTHER_HASH = f"sha256:{'b' * 64}"


def read(folder: Path, files: dict[str, str], named: str = "needs.txt") -> Matrix:
    written(folder, files)
    return loaded(folder, f"{HEAD}requirements: {named}\n")


def written(folder: Path, files: dict[str, str]) -> None:
    for name, text in files.items():
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).write_text(text)


def lines(matrix: Matrix) -> list[str]:
    return [one.text for one in matrix.packages]


def test_a_requirements_file_gives_its_requirements_without_comments_none_twice(tmp_path: Path) -> None:
    text = "# needed\npandas  # tables\n\nSciPy [extra] >=1.2 ; python_version >= '3.7'\npandas\n--require-hashes\n"
    matrix = read(tmp_path, {"needs.txt": text})
    assert lines(matrix) == ["pandas", 'scipy[extra]>=1.2; python_version >= "3.7"']
    assert matrix.notes == ()


def test_lines_are_joined_and_their_hashes_kept_in_one_order(tmp_path: Path) -> None:
    text = f"six==1.16 \\\n  --hash={OTHER_HASH} \\\n    --hash={HASH}\npandas\n"
    assert lines(read(tmp_path, {"needs.txt": text})) == [f"six==1.16 --hash={HASH} --hash={OTHER_HASH}", "pandas"]


def test_other_files_are_read_from_where_they_are_named_and_constraints_stay_constraints(tmp_path: Path) -> None:
    files = {
        "needs/train.txt": "-r base.txt\n--requirement=more.txt\n-c limits.txt\nscipy\n",
        "needs/base.txt": "numpy",
        "needs/more.txt": "pandas",
        "needs/limits.txt": "protobuf<4\n-r base.txt\n",
    }
    assert lines(read(tmp_path, files, "needs/train.txt")) == ["numpy", "pandas", "-c protobuf<4", "-c numpy", "scipy"]


@pytest.mark.parametrize(
    "name", ["tensorflow==2.4", "tensorflow-gpu>=1.13", "TensorFlow_cpu", "tensorflow @ http://x/y"]
)
def test_a_package_that_is_an_axis_is_left_to_it_with_a_note(tmp_path: Path, name: str) -> None:
    matrix = read(tmp_path, {"needs.txt": f"pandas\n{name}\n"})
    assert lines(matrix) == ["pandas"]
    assert matrix.notes == (f"needs.txt:2: {name} is left to the axis tensorflow",)


PROJECT = """
[project]
name = "My_Project"
dependencies = ["numpy", "tensorflow>=2"]
[project.optional-dependencies]
train = ["tqdm>=4"]
All = ["my-project[train,plots]", "scipy"]
plots = ["matplotlib"]
[dependency-groups]
test = ["pytest"]
dev = ["ruff", {include-group = "test"}]
"""


@pytest.mark.parametrize(
    ("named", "expected"),
    [
        ("pyproject.toml", ["numpy"]),
        ("'pyproject.toml[train]'", ["numpy", "tqdm>=4"]),
        ("'pyproject.toml[all]'", ["numpy", "scipy", "matplotlib", "tqdm>=4"]),
        ("{file: pyproject.toml, extras: [plots], groups: [dev]}", ["numpy", "matplotlib", "ruff", "pytest"]),
    ],
)
def test_a_pyproject_gives_its_dependencies_with_extras_and_groups(
    tmp_path: Path, named: str, expected: list[str]
) -> None:
    matrix = read(tmp_path, {"pyproject.toml": PROJECT}, named)
    assert lines(matrix) == expected
    assert matrix.notes == ("pyproject.toml:4: tensorflow>=2 is left to the axis tensorflow",)


def test_of_an_environment_the_pip_part_is_taken_and_the_rest_is_told(tmp_path: Path) -> None:
    text = "name: x\ndependencies:\n  - python=3.7\n  - numpy>=1\n  - pip:\n    - pandas\n    - tensorflow==2.4\n"
    matrix = read(tmp_path, {"environment.yml": text}, "environment.yml")
    assert lines(matrix) == ["pandas"]
    assert matrix.notes == (
        "environment.yml:7: tensorflow==2.4 is left to the axis tensorflow",
        "environment.yml:3: only the pip part is taken: conda's own packages are not (python, numpy)",
    )


def test_a_file_may_be_of_some_cells(tmp_path: Path) -> None:
    matrix = read(tmp_path, {"needs.txt": "pandas"}, "[{file: needs.txt, when: tensorflow<2}]")
    when = (Condition(axis="tensorflow", specifiers="<2"),)
    assert matrix.packages == (Requirement(text="pandas", when=when),)


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("-e ../other", "'-e ../other' is an option of pip that has no meaning here"),
        ("--editable=git+https://h/x.git#egg=x", "'--editable=git+https://h/x.git#egg=x' is an option of pip"),
        ("git+https://me:secret@h/x.git", "'git+https://h/x.git' is a repository"),
        ("x @ git+ssh://git@h/x.git@main", "is a repository"),
        ("x @ https://h/x.whl", "'x @ https://h/x.whl' is an address"),
        ("https://h/x.tar.gz", "'https://h/x.tar.gz' is an address or a path"),
        ("./wheels/x.whl", "'./wheels/x.whl' is an address or a path"),
        ("sub/project", "'sub/project' is an address or a path"),
        ("--extra-index-url https://me:secret@h/simple", "'--extra-index-url https://h/simple' is an option of pip"),
        ("x --config-settings=a=b", "'--config-settings=a=b' is an option that has no meaning here"),
        ("x==1 --hash=md5:abc", "'x' has no hash of the kind sha256"),
        ("-r https://h/needs.txt", "'https://h/needs.txt' is an address"),
        ("-r absent.txt", "absent.txt can't be read"),
        ("-r needs.txt", "'needs.txt' leads back to this file"),
        ("<>", "'<>' is not a requirement (PEP 508)"),
    ],
)
def test_what_can_not_be_locked_is_refused_with_file_and_line(tmp_path: Path, line: str, message: str) -> None:
    written(tmp_path, {"needs.txt": f"pandas\n\n{line}\n"})
    (mistake,) = mistakes_in(tmp_path, f"{HEAD}requirements: needs.txt\n")
    assert mistake.startswith("needs.txt:3:1: ")
    assert message in mistake.replace("FOLDER/", "")
    assert "secret" not in mistake


@pytest.mark.parametrize(
    ("files", "named", "expected"),
    [
        (
            {},
            "pyproject.toml",
            "matrix.yaml:3:15: requirements: pyproject.toml can't be read: ",
        ),
        ({"a.txt": ""}, "'a.txt[x]'", "matrix.yaml:3:15: requirements: 'a.txt[x]' has neither extras nor groups"),
        ({"pyproject.toml": PROJECT}, "'pyproject.toml[trian]'", "did you mean 'train'?"),
        ({"pyproject.toml": PROJECT}, "{file: pyproject.toml, groups: [prod]}", "there is no dependency group 'prod'"),
        ({"pyproject.toml": "[tool.poetry]"}, "pyproject.toml", "pyproject.toml has no [project] with dependencies"),
        (
            {"pyproject.toml": "[project]\ndynamic=['dependencies']"},
            "pyproject.toml",
            "leaves its dependencies to",
        ),
        ({"pyproject.toml": "a\n= 1"}, "pyproject.toml", "pyproject.toml:1:2: "),
        (
            {"pyproject.toml": '[project]\ndependencies=[\n"a @ git+h://h"]'},
            "pyproject.toml",
            "pyproject.toml:3:1: ",
        ),
        ({"e.yml": "dependencies:\n- pip:\n  - -e .\n"}, "e.yml", "e.yml:3:1: '-e .' is an option"),
        ({"pyproject.toml": "project = 3"}, "pyproject.toml", "'project' is no table"),
        ({"pyproject.toml": "[project]\ndependencies = 3"}, "pyproject.toml", "'dependencies' is no list"),
        ({"pyproject.toml": "[project]\ndynamic = [3]"}, "pyproject.toml", "'dynamic' is no list of texts"),
        ({"pyproject.toml": "[project.optional-dependencies]\na = 3"}, "'pyproject.toml[a]'", "'a' is no list"),
        ({"pyproject.toml": "dependency-groups = 3"}, "{file: pyproject.toml, groups: [a]}", "groups' is no table"),
        ({"pyproject.toml": f"x = {'[' * 3000}"}, "pyproject.toml", "pyproject.toml:1:1: a number is too"),
        ({"pyproject.toml": f"x = {'1' * 5000}"}, "pyproject.toml", "pyproject.toml:1:1: a number is too long"),
        ({"a.txt": "-r \0"}, "a.txt", "can't be found"),
        ({"a.txt": f"numpy<{'1' * 5000}"}, "a.txt", "is not a requirement (PEP 508)"),
    ],
)
def test_a_mistake_in_a_file_or_in_what_is_asked_of_it_has_its_place(
    tmp_path: Path, files: dict[str, str], named: str, expected: str
) -> None:
    written(tmp_path, files)
    (mistake,) = mistakes_in(tmp_path, f"{HEAD}requirements: {named}\n")
    assert expected in mistake
