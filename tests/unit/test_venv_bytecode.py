"""The bytecode that environments share: whose it is, where two wheels write the same file."""

from __future__ import annotations

import hashlib
import marshal
import sys
from pathlib import Path

import pytest

from runner.engines.venv import bytecode
from runner.environments.lock import Layer
from runner.environments.processes import Processes
from runner.environments.wheelhouse import WheelFile
from runner.errors import MachineError


@pytest.fixture
def kept(tmp_path: Path) -> Path:
    return tmp_path / "kept"


def answers(root: Path, kept: Path, **wheels: dict[str, str]) -> dict[str, object]:
    """By module what its bytecode computes, where these wheels are installed one after another."""
    packages = root / f"python{sys.version_info.major}.{sys.version_info.minor}" / "site-packages"
    files = []
    for name, sources in wheels.items():
        info = packages / f"{name}-1.0.dist-info"
        info.mkdir(parents=True)
        (info / "RECORD").write_text("".join(f"{path},,\n" for path in sources))
        for path, source in sources.items():
            (packages / path).parent.mkdir(exist_ok=True)
            (packages / path).write_text(source)
        digest = hashlib.sha256(repr((name, sources)).encode()).hexdigest()
        files.append(WheelFile(path=Path(f"{name}-1.0-py3-none-any.whl"), sha256=digest, layer=Layer.BASE))
    bytecode.provide(packages, Path(sys.executable), files, kept, Processes())
    found: dict[str, object] = {}
    for file in packages.rglob("*.pyc"):
        namespace: dict[str, object] = {}
        exec(marshal.loads(file.read_bytes()[16:]), namespace)
        found[file.parent.parent.name if file.name.startswith("__init__") else file.name.split(".")[0]] = namespace["A"]
    return found


def test_a_file_that_two_wheels_write_has_the_bytecode_of_the_one_that_is_there(tmp_path: Path, kept: Path) -> None:
    one = {"one.py": "A = 1", "tests/__init__.py": "A = 'of one'"}
    two = {"two.py": "A = 2", "tests/__init__.py": "A = 'of two'"}
    assert answers(tmp_path / "a", kept, one=one) == {"one": 1, "tests": "of one"}
    assert answers(tmp_path / "b", kept, two=two, one=one) == {"one": 1, "two": 2, "tests": "of one"}
    assert answers(tmp_path / "c", kept, two=two) == {"two": 2, "tests": "of two"}
    assert answers(tmp_path / "d", kept, one=one, two=two) == {"one": 1, "two": 2, "tests": "of two"}


def test_bytecode_stays_as_long_as_an_environment_has_it(tmp_path: Path, kept: Path) -> None:
    assert answers(tmp_path / "a", kept / "cpython", one={"one.py": "A = 1"}) == {"one": 1}
    bytecode.forget_unused(kept)
    (compiled,) = kept.rglob("*.pyc")
    (made,) = (tmp_path / "a").rglob("*.pyc")
    assert compiled.samefile(made)
    made.unlink()
    bytecode.forget_unused(kept)
    assert list(kept.rglob("*.pyc")) == []


def test_bytecode_that_cant_be_written_is_the_machines_trouble(tmp_path: Path, kept: Path) -> None:
    packages = tmp_path / "a" / f"python{sys.version_info.major}.{sys.version_info.minor}" / "site-packages"
    packages.mkdir(parents=True)
    (packages / "__pycache__").write_text("a file where a folder is wanted")
    with pytest.raises(MachineError, match=r"^Bytecode can't be written to .*site-packages: \w+Error: .*__pycache__"):
        answers(tmp_path / "a", kept, one={"one.py": "A = 1"})
    assert not kept.exists()


def test_a_file_that_is_no_source_is_passed_over(tmp_path: Path, kept: Path) -> None:
    sources = {"one.py": "A = 1", "template.py": "{{ A }} =", "zero.py": "\0", "deep.py": "A = " + "-" * 100_000 + "1"}
    assert answers(tmp_path / "a", kept, one=sources) == {"one": 1}
    assert answers(tmp_path / "b", kept, one=sources) == {"one": 1}
