"""What a project's files name, and the distributions of import names: nothing is invented."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from runner.scripts.project_needs import distribution_of, project_needs

if TYPE_CHECKING:
    from pathlib import Path

FILES = {
    "requirements.txt": "Pandas==2.0.3  # why\n-r other.txt\n\nnumpy>=1.20,<2 ; python_version > '3.6'\n"
    "six==1.16.0 --hash=sha256:00\n-e git+https://host.example/x#egg=own_thing\n",
    "requirements-dev.txt": "pytest\npandas==1.0\n",
    "pyproject.toml": "[project]\nname = 'x'\ndependencies = ['scipy~=1.9', 'lib @ https://host.example/lib.zip']\n"
    "[project.optional-dependencies]\nplot = ['matplotlib']\n[dependency-groups]\n"
    "dev = ['ruff', {include-group = 'x'}]\n"
    "[tool.poetry.dependencies]\npython = '^3.9'\ntqdm = '^4.0'\nrich = '>=13'\n",
    "environment.yml": "dependencies:\n  - python=3.9\n  - conda-forge::pytorch=1.13.1=build\n  - scikit-learn=1.2\n"
    "  - pip:\n    - einops==0.6.0\n",
    "setup.cfg": "[options]\ninstall_requires =\n    requests>=2\n[options.extras_require]\nx = click\n",
}


def test_every_file_of_the_project_is_read(tmp_path: Path) -> None:
    for name, text in FILES.items():
        (tmp_path / name).write_text(text)
    found = project_needs([tmp_path, tmp_path])
    assert {name: need.versions for name, need in found.items()} == {
        "pandas": "==2.0.3",
        "numpy": "<2,>=1.20",
        "six": "==1.16.0",
        "own-thing": "",
        "scipy": "~=1.9",
        "lib": "",
        "matplotlib": "",
        "ruff": "",
        "tqdm": "",
        "rich": ">=13",
        "torch": "==1.13.1",
        "scikit-learn": "==1.2.*",
        "einops": "==0.6.0",
        "requests": ">=2",
        "click": "",
        "pytest": "",
    }
    assert {name for name, need in found.items() if need.address} == {"own-thing", "lib"}
    assert {name: need.pin for name, need in found.items() if need.pin} == {
        "pandas": "2.0.3",
        "six": "1.16.0",
        "torch": "1.13.1",
        "einops": "0.6.0",
    }


@pytest.mark.parametrize("name", [*FILES, "requirements.txt"])
@pytest.mark.parametrize(
    "content", [b"\xff\xfe\x00", b"[", b"dependencies: 3\n", b"[project]\ndependencies = 3\n", b""]
)
def test_a_file_that_is_not_what_its_name_says_names_nothing(tmp_path: Path, name: str, content: bytes) -> None:
    (tmp_path / name).write_bytes(content)
    assert project_needs([tmp_path]) == {}


@pytest.mark.parametrize(
    ("name", "named", "found"),
    [
        ("sklearn", (), "scikit-learn"),
        ("cv2", (), "opencv-python-headless"),
        ("cv2", ("opencv-python",), "opencv-python"),
        ("PIL", (), "pillow"),
        ("numpy", (), "numpy"),
        ("pytorch_lightning", ("lightning",), "lightning"),
        ("my_tools", ("my-tools",), "my-tools"),
        ("my_tools", (), None),
        ("mypkg", (), None),
        ("google", (), None),
    ],
)
def test_a_distribution_is_named_by_the_project_or_well_known(
    name: str, named: tuple[str, ...], found: str | None
) -> None:
    assert distribution_of(name, named) == found
