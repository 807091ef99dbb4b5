"""The base that environments of the venv engine share: installed once, seen by each as its own, gone with the last."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from pathlib import Path

import pytest
from tiny_lock import THIS_PYTHON, job_of, tiny_lock, wheel_of

from runner.engines.venv.venv_engine import VenvEngine
from runner.environments.interpreters import find_interpreters
from runner.environments.lock import Layer
from runner.environments.wheelhouse import Wheelhouse

GROUND = {
    "ground/__init__.py": "from ground.deep import DEPTH\n",
    "ground/deep/__init__.py": "DEPTH = 2\n",
    "ground/deep/data.txt": "data\n",
    "ground/native/lib.so.1": "a library\n",
    "ground/native/data/more.txt": "more\n",
    "shared/of_ground/__init__.py": "OF = 'ground'\n",
    "shared/both/ground.py": "OF = 'ground'\n",
    "shared/both/ground/data.txt": "data\n",
    "single.py": "SINGLE = True\n",
}
LOOK = """
import csv, json, os, sys
import {name}, ground, ground.deep, single, shared.of_ground, shared.both.ground, shared.both.{name}
packages = os.path.dirname(single.__file__)
own = lambda path: os.path.realpath(path).startswith(os.path.realpath(sys.prefix) + os.sep)
native = os.path.realpath(os.path.join(packages, "ground", "native"))
with open(os.path.join(packages, "ground-1.0.dist-info", "RECORD")) as record:
    listed = [row[0] for row in csv.reader(record)]
try:
    from importlib.metadata import distributions
except ImportError:
    installed = sorted(name.split("-")[0] for name in os.listdir(packages) if name.endswith(".dist-info"))
else:
    installed = sorted(each.metadata["Name"] for each in distributions(path=[packages]))
print(json.dumps({{
    "installed": installed,
    "listed": listed,
    "missing": [path for path in listed if not os.path.exists(os.path.join(packages, path))],
    "in place": all(module.__file__.startswith(packages + os.sep) for module in (ground.deep, shared.both.ground)),
    "package": own(ground.__file__),
    "library": own(os.path.join(packages, "ground", "native", "lib.so.1")),
    "neighbour": os.path.samefile(os.path.join(native, "..", "..", "{name}"), os.path.dirname({name}.__file__)),
    "compiled": [os.path.exists(module.__cached__) for module in (ground, ground.deep, single, shared.both.ground)],
}}))
"""


@pytest.fixture
def bases(tmp_path: Path) -> Path:
    return tmp_path / "cache" / "environments" / ".bases"


def layers(folder: Path, name: str) -> Wheelhouse:
    """The base, and an overlay of one wheel of this name."""
    top = {f"{name}/__init__.py": "", f"shared/both/{name}.py": f"OF = '{name}'\n"}
    return Wheelhouse(
        wheels=(wheel_of(folder, "ground", GROUND, Layer.BASE), wheel_of(folder, name, top, Layer.OVERLAY))
    )


def made(lone_engine: VenvEngine, folder: Path, name: str, python: str = THIS_PYTHON) -> Path:
    wheelhouse = layers(folder, name)
    return Path(lone_engine.make(tiny_lock(wheelhouse, python), wheelhouse, lambda _: None, labels={}).reference)


def folders(bases: Path) -> list[Path]:
    return sorted(bases.glob("*/"))


@pytest.mark.parametrize("python", sorted({interpreter.minor for interpreter in find_interpreters()}))
def test_an_environment_has_its_base_as_if_it_were_installed_there(
    python: str, lone_engine: VenvEngine, bases: Path, tmp_path: Path
) -> None:
    environments = {name: made(lone_engine, tmp_path, name, python) for name in ("one", "two")}
    (base,) = folders(bases)
    for name, folder in environments.items():
        done = subprocess.run(
            [folder / "bin" / "python", "-c", LOOK.format(name=name)], capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stderr
        seen = json.loads(done.stdout)
        assert seen.pop("installed") == ["ground", name]
        assert set(GROUND) <= set(seen.pop("listed"))
        assert seen.pop("compiled") == [True] * 4
        assert seen.pop("missing") == []
        assert set(seen.values()) == {True}, seen
        (deep,) = folder.glob("lib/*/site-packages/ground/deep")
        assert deep.is_symlink()
        assert base in deep.resolve().parents


def test_the_size_of_an_environment_is_that_of_one_with_nothing_shared(lone_engine: VenvEngine, tmp_path: Path) -> None:
    folder = made(lone_engine, tmp_path, "one")
    (stored,) = lone_engine.images()
    shared = {
        Path(inner) / file
        for inner, _, files in os.walk(folder, followlinks=True)
        for file in files
        if file != "environment.json" and "lib64" not in Path(inner).relative_to(folder).parts
    }
    assert abs(stored.size_bytes - sum(path.lstat().st_size for path in shared)) < 2000  # the symlinks' own


def test_a_base_goes_with_the_last_environment_that_stands_on_it(
    lone_engine: VenvEngine, bases: Path, tmp_path: Path
) -> None:
    one, two = (made(lone_engine, tmp_path, name) for name in ("one", "two"))
    assert lone_engine.remove_image(str(one))
    assert len(folders(bases)) == 1
    assert lone_engine.find(tiny_lock(layers(tmp_path, "two"), THIS_PYTHON)) is not None
    assert lone_engine.remove_image(str(two))
    assert folders(bases) == []
    assert not list((tmp_path / "cache" / "environments").rglob("*.pyc"))


def test_what_a_runner_left_that_was_killed_between_base_and_environment_is_swept(
    lone_engine: VenvEngine, bases: Path, tmp_path: Path
) -> None:
    one = made(lone_engine, tmp_path, "one")
    (base,) = folders(bases)
    one.rename(one.with_name(f"{one.name}.unfinished"))
    half = base.with_name("0-0.unfinished")
    half.mkdir()
    assert lone_engine.sweep() == 2
    assert folders(bases) == []
    assert not one.with_name(f"{one.name}.unfinished").exists()
    assert made(lone_engine, tmp_path, "one") == one


def test_a_base_that_is_in_the_making_is_not_swept(lone_engine: VenvEngine, bases: Path, tmp_path: Path) -> None:
    from runner.engines.venv.venv_folder import held

    one = made(lone_engine, tmp_path, "one")
    (base,) = folders(bases)
    shutil.rmtree(one)
    with held(base, alone=True):
        assert VenvEngine().sweep() == 0
        assert folders(bases) == [base]
        half = base.rename(base.with_name(f"{base.name}.unfinished"))
        assert VenvEngine().sweep() == 0
        assert folders(bases) == [half], "it is its maker's, who holds it by the name that it will have"
    lone_engine.sweep()
    assert folders(bases) == []


def test_an_environment_that_is_marked_and_not_yet_in_its_place_is_none_to_be_cleaned(
    lone_engine: VenvEngine, tmp_path: Path
) -> None:
    one = made(lone_engine, tmp_path, "one")
    assert [image.reference for image in lone_engine.images()] == [str(one)]
    one.rename(one.with_name(f"{one.name}.unfinished"))
    assert lone_engine.images() == ()


@pytest.mark.parametrize("damage", ["gone", "smaller"])
def test_an_environment_whose_base_was_damaged_is_made_anew(
    lone_engine: VenvEngine, bases: Path, tmp_path: Path, damage: str
) -> None:
    one = made(lone_engine, tmp_path, "one")
    lock = tiny_lock(layers(tmp_path, "one"), THIS_PYTHON)
    (base,) = folders(bases)
    (data,) = base.glob("lib/*/site-packages/ground/deep/data.txt")
    if damage == "gone":
        shutil.rmtree(base)
    else:
        data.parent.chmod(0o755)
        data.unlink()
        base.with_name(f"{base.name}.lock").write_text("an earlier start of the machine")
    assert lone_engine.find(lock) is None
    assert made(lone_engine, tmp_path, "one") == one
    assert data.read_text() == "data\n"
    assert lone_engine.find(lock) is not None


def test_a_trial_writes_nothing_into_the_base_of_others(lone_engine: VenvEngine, tmp_path: Path) -> None:
    wheelhouse = layers(tmp_path, "one")
    image = lone_engine.make(tiny_lock(wheelhouse, THIS_PYTHON), wheelhouse, lambda _: None, labels={})
    job = job_of("write_packages.py", tmp_path)
    lone_engine.run(image, job)
    assert job.folder.log.read_text() in ({"['EROFS']\n"} if os.geteuid() == 0 else {"['EACCES', 'written']\n"})
