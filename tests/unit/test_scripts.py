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


@pytest.mark.parametrize(
    "line",
    [
        "sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.abspath(__file__))))",
        "sys.path.append(os.path.join(os.path.dirname(__file__), '..'))",
        "sys.path.append('..' if False else os.path.join(HERE, os.pardir))",
        "sys.path.append(str(Path(__file__).resolve().parents[1]))",
        "sys.path = [str(Path(__file__).parent.parent)] + sys.path",
        "sys.path += [os.getcwd()]",
        "sys.path.extend([f'{HERE}/..'])",
        "sys.path[0:0] = [str(Path(__file__).parent / '..')]",
        "sys.path.append('.')",
        "sys.path.insert(1, str(Path.cwd()))",
        "site.addsitedir(os.path.realpath(os.path.dirname(inspect.getfile(inspect.currentframe())) + '/..'))",
        "sys.path.append(somewhere())",
        "print 'Python 2'; sys.path.append('..')",
    ],
)
def test_a_line_on_the_search_path_reaches_modules_above_the_script(tmp_path: Path, line: str) -> None:
    head = "import inspect, os, site, sys\nfrom pathlib import Path\nHERE = os.path.abspath(__file__ + '/..')\n"
    write(tmp_path, sub__train=f"{head}{line}\nimport shared\n", shared="import deep\n", deep="", other="")
    assert paths(tmp_path, "sub/train.py") == ["sub/train.py", "deep.py", "shared.py"]
    assert read_script(tmp_path, "sub/train.py").imports.isdisjoint({"shared", "deep"})


def test_a_search_path_that_is_known_makes_no_other_folder_local(tmp_path: Path) -> None:
    source = "import sys\nsys.path.insert(0, __file__ + '/../../lib')\nimport shared, keras\n"
    write(tmp_path, sub__train=source, lib__shared="", keras="", shared="")
    read = read_script(tmp_path, "sub/train.py")
    assert [file.path for file in read.files] == ["sub/train.py", "lib/shared.py"]
    assert read.imports == {"sys", "keras"}


def test_a_folder_outside_of_the_project_is_not_reached(tmp_path: Path) -> None:
    write(tmp_path, outside="", project__train="import sys\nsys.path.append('..')\nimport outside\n")
    assert paths(tmp_path / "project", "train.py") == ["train.py"]


def test_modules_are_found_along_pythonpath(tmp_path: Path) -> None:
    write(tmp_path, train="import net\n", src__net="")
    read = read_script(tmp_path, "train.py", pythonpath="/elsewhere:src:")
    assert [file.path for file in read.files] == ["train.py", "src/net.py"]


def test_a_module_brings_its_package_and_finds_the_others_from_the_folder_itself(tmp_path: Path) -> None:
    write(tmp_path, nets__train="from .big import x\nimport tools, near\n", nets__big="", nets__near="", tools="")
    (tmp_path / "nets/__init__.py").touch()
    read = read_script(tmp_path, "nets/train.py", module="nets.train")
    assert [file.path for file in read.files] == [
        "nets/train.py",
        "nets/__init__.py",
        "nets/big.py",
        "nets/near.py",
        "tools.py",
    ]
    assert read.imports == {"near"}


def test_a_literal_call_that_imports_is_an_import(tmp_path: Path) -> None:
    write(tmp_path, train="import importlib\nimportlib.import_module('nets.a')\n__import__('b')\n", nets__a="", b="")
    assert paths(tmp_path, "train.py") == ["train.py", "b.py", "nets/a.py"]


def test_files_are_copied_with_the_script_and_python_ones_among_them_bring_what_they_import(tmp_path: Path) -> None:
    folder, work = tmp_path / "matrix", tmp_path / "work"
    write(folder, train="", plugins__one="import helper\n", helper="")
    for name in ("conf/a.yaml", "conf/deep/b.yaml", "conf/.hidden", "conf/__pycache__/c.yaml", "x.csv", "y.txt"):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(name)
    script = read_script(folder, "train.py", files=["conf", "*.csv", "**/*.py"])
    names = ["train.py", "conf/a.yaml", "conf/deep/b.yaml", "helper.py", "plugins/one.py", "x.csv"]
    assert [file.path for file in script.files] == names
    assert [file.path for file in script.sources] == ["train.py", "helper.py", "plugins/one.py"]
    copy_script(script, work)
    assert sorted(path.relative_to(work).as_posix() for path in work.rglob("*") if path.is_file()) == sorted(names)
    (folder / "conf/a.yaml").write_text("changed")
    changed = read_script(folder, "train.py", files=["conf", "*.csv", "**/*.py"])
    assert changed.digest != script.digest
    with pytest.raises(UsageError, match=r"conf/a\.yaml changed while the matrix was running"):
        copy_script(script, work)


def test_files_that_are_too_large_to_copy_are_refused(tmp_path: Path) -> None:
    write(tmp_path, train="")
    with (tmp_path / "big.bin").open("wb") as big:
        big.truncate(257 * 1024**2)
    with pytest.raises(UsageError, match=r"have 257 MB; 256 are the most.*Give large ones as `data:`"):
        read_script(tmp_path, "train.py", files=["*.bin"])
