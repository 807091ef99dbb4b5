"""The script as a value: which files belong to it, when its digest changes, how it is copied."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

import pytest

from runner.errors import UsageError
from runner.scripts.script import copy_script, read_script

if TYPE_CHECKING:
    from pathlib import Path


def write(folder: Path, **files: str) -> None:
    for name, text in files.items():
        path = folder / f"{name.replace('__', '/')}.py"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)


def paths(folder: Path, script: str) -> list[str]:
    return [file.path for file in read_script(folder, script).files]


def test_local_modules_are_found_through_one_another_and_lazily(tmp_path: Path) -> None:
    write(
        tmp_path,
        train="import model\ndef f():\n    from tools import x\n",
        model="import layers\n",
        layers="",
        tools="",
        other="",
    )
    assert paths(tmp_path, "train.py") == ["train.py", "layers.py", "model.py", "tools.py"]


def test_a_local_package_comes_whole(tmp_path: Path) -> None:
    write(
        tmp_path,
        train="from nets.small import net\n",
        nets__init="",
        nets__small="from . import big\n",
        nets__big="import extra\n",
        extra="",
    )
    assert paths(tmp_path, "train.py") == ["train.py", "extra.py", "nets/big.py", "nets/init.py", "nets/small.py"]


def test_a_module_wins_over_a_folder_of_its_name_that_is_no_package(tmp_path: Path) -> None:
    write(tmp_path, train="import tools\n", tools="", tools__more="")
    assert paths(tmp_path, "train.py") == ["train.py", "tools.py"]
    (tmp_path / "tools" / "__init__.py").write_text("")
    assert paths(tmp_path, "train.py") == ["train.py", "tools/__init__.py", "tools/more.py"]


def test_modules_are_looked_for_beside_the_script_as_python_does(tmp_path: Path) -> None:
    write(tmp_path, sub__train="import near, far\n", sub__near="", far="")
    assert paths(tmp_path, "sub/train.py") == ["sub/train.py", "sub/near.py"]


def test_what_is_not_local_is_named(tmp_path: Path) -> None:
    write(
        tmp_path,
        train="import keras, numpy as np\nfrom sklearn.datasets import load_iris\nimport local\nfrom . import x\n",
        local="",
    )
    assert read_script(tmp_path, "train.py").imports == {"keras", "numpy", "sklearn"}


def test_a_script_of_another_python_still_has_its_modules(tmp_path: Path) -> None:
    write(tmp_path, train="import model\nprint 'Python 2'\n  from late import x\n", model="", late="")
    assert paths(tmp_path, "train.py") == ["train.py", "late.py", "model.py"]


@pytest.mark.parametrize("changed", ["train.py", "model.py"])
def test_the_digest_changes_with_any_of_its_files(tmp_path: Path, changed: str) -> None:
    write(tmp_path, train="import model\n", model="", other="")
    before = read_script(tmp_path, "train.py").digest
    (tmp_path / "other.py").write_text("# not imported\n")
    assert read_script(tmp_path, "train.py").digest == before
    original = (tmp_path / changed).read_text()
    (tmp_path / changed).write_text(f"{original}# a comment does nothing\n")
    assert read_script(tmp_path, "train.py").digest == before
    (tmp_path / changed).write_text(f"{original}changed = 1\n")
    assert read_script(tmp_path, "train.py").digest != before


def test_a_copy_has_the_same_bytes_in_the_same_places(tmp_path: Path) -> None:
    folder, work = tmp_path / "matrix", tmp_path / "work"
    write(folder, sub__train="import model\r\n", sub__model="")
    (folder / "sub" / "model.py").write_bytes(b"\xef\xbb\xbfx = 1\r\n")
    copy_script(read_script(folder, "sub/train.py"), work)
    copied = {path.relative_to(work).as_posix(): path.read_bytes() for path in work.rglob("*.py")}
    assert copied == {"sub/train.py": (folder / "sub/train.py").read_bytes(), "sub/model.py": b"\xef\xbb\xbfx = 1\r\n"}


def test_a_script_that_changes_after_it_was_read_is_not_run_under_the_old_key(tmp_path: Path) -> None:
    write(tmp_path, train="x = 1\n")
    script = read_script(tmp_path, "train.py")
    assert script.files[0].sha256 == hashlib.sha256(b"x = 1\n").hexdigest()
    (tmp_path / "train.py").write_text("x = 2\n")
    with pytest.raises(UsageError, match=r"train\.py changed while the matrix was running"):
        copy_script(script, tmp_path / "work")


def test_a_script_that_can_not_be_read_is_named(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"train\.py can't be read: No such file"):
        read_script(tmp_path, "train.py")
