"""Bytecode that images share: it depends on the source alone, and what is kept of it is never trusted blindly."""

from __future__ import annotations

import importlib.util
import marshal
import os
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from types import ModuleType

SCRIPT = Path(__file__).parents[2] / "docker" / "compile_bytecode.py"
SOURCE = b"""\
def outer_name(only_here):
    class Middle:
        class Innermost:
            __slots__ = ('some' 'where', 'another')
    return only_here in {"alpha_first", "beta_second", None}, 1000003, 'x', b'y', ''
"""
ORDERS = """
import importlib.util, hashlib, os, sys
spec = importlib.util.spec_from_file_location("compile_bytecode", sys.argv[1])
module = importlib.util.module_from_spec(spec)
spec.loader.exec_module(module)
folder = os.path.dirname(os.__file__)
paths = [os.path.join(folder, *name.split("/")) for name in sys.argv[3:]]
if sys.argv[2] == "reversed":
    import asyncio, email.message, unittest.mock
    paths.reverse()
found = {path: hashlib.sha256(module.bytecode(module.read(path), path)).hexdigest() for path in paths}
print(sorted(found.items()))
"""
STANDARD = (
    *("argparse.py", "ast.py", "calendar.py", "dataclasses.py", "enum.py", "pickle.py", "typing.py", "tarfile.py"),
    *("email/message.py", "unittest/mock.py", "asyncio/tasks.py", "json/decoder.py", "html/parser.py", "statistics.py"),
)


@pytest.fixture(scope="module")
def script() -> ModuleType:
    spec = importlib.util.spec_from_file_location("compile_bytecode", SCRIPT)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def source(tmp_path: Path) -> Path:
    (tmp_path / "kept").mkdir()
    (tmp_path / "package").mkdir()
    path = tmp_path / "package" / "module.py"
    path.write_bytes(SOURCE)
    return path


def made_of(source: Path) -> bytes:
    return Path(importlib.util.cache_from_source(str(source))).read_bytes()


def test_bytecode_is_the_same_whoever_used_its_names_before(script: ModuleType) -> None:
    before = script.bytecode(SOURCE, "/env/module.py")
    others = [compile(SOURCE, "/env/module.py", "exec"), compile(SOURCE, "/env/other.py", "exec"), Any]
    assert script.bytecode(SOURCE, "/env/module.py") == before
    del others
    assert script.bytecode(SOURCE, "/env/module.py") == before


def test_bytecode_of_the_standard_library_is_the_same_in_any_order() -> None:
    said = [
        subprocess.run(
            [sys.executable, "-S", "-c", ORDERS, SCRIPT, order, *STANDARD],
            env={"PYTHONHASHSEED": "0"},
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        for order in ("as named", "reversed")
    ]
    assert said[0] == said[1]
    assert said[0].count(".py'") == len(STANDARD)


def test_bytecode_is_valid_for_good(script: ModuleType) -> None:
    made = script.bytecode(SOURCE, "/env/module.py")
    assert made[:16] == importlib.util.MAGIC_NUMBER + (1).to_bytes(4, "little") + importlib.util.source_hash(SOURCE)
    world: dict[str, Any] = {}
    exec(marshal.loads(made[16:]), world)
    assert world["outer_name"]("beta_second")[1:] == (1000003, "x", b"y", "")


def test_what_is_kept_is_taken_and_nothing_is_compiled(
    script: ModuleType, source: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    script.provide(str(source), str(tmp_path / "kept"))
    first = made_of(source)
    Path(importlib.util.cache_from_source(str(source))).unlink()
    monkeypatch.setattr(script, "bytecode", None)
    script.provide(str(source), str(tmp_path / "kept"))
    assert made_of(source) == first == script.read(str(next((tmp_path / "kept").iterdir())))[32:]


@pytest.mark.parametrize("damage", [b"", b"short", b"\0" * 200])
def test_what_is_damaged_is_made_again_and_reaches_no_image(
    damage: bytes, script: ModuleType, source: Path, tmp_path: Path
) -> None:
    script.provide(str(source), str(tmp_path / "kept"))
    (kept,) = (tmp_path / "kept").iterdir()
    whole, first = kept.read_bytes(), made_of(source)
    kept.write_bytes(whole[:40] + damage)
    script.provide(str(source), str(tmp_path / "kept"))
    assert made_of(source) == first
    assert kept.read_bytes() == whole


def test_a_source_elsewhere_or_of_other_text_shares_nothing(script: ModuleType, source: Path) -> None:
    keys = {
        script.key(SOURCE, str(source)),
        script.key(SOURCE + b"#", str(source)),
        script.key(SOURCE, "/elsewhere.py"),
    }
    assert len(keys) == 3


def test_a_folder_that_is_missing_costs_no_build(script: ModuleType, source: Path, tmp_path: Path) -> None:
    script.provide(str(source), str(tmp_path / "missing"))
    assert made_of(source) == script.bytecode(SOURCE, str(source))
    assert not (tmp_path / "missing").exists()


def test_a_disk_that_is_full_leaves_nothing_half_kept(
    script: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(path: str, content: bytes) -> None:
        Path(path).write_bytes(content[:10])
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(script, "write", full)
    script.keep(str(tmp_path / "place"), b"bytecode")
    assert list(tmp_path.iterdir()) == []


def test_a_file_that_is_no_source_has_no_bytecode(script: ModuleType, source: Path, tmp_path: Path) -> None:
    source.write_text("this is {{ no }} Python\n")
    script.provide(str(source), str(tmp_path / "kept"))
    assert list(source.parent.iterdir()) == [source]
    assert list((tmp_path / "kept").iterdir()) == []


def test_sources_are_those_without_bytecode_or_newer_than_theirs(script: ModuleType, source: Path) -> None:
    folder = str(source.parent)
    assert [path for _, path in script.sources(folder)] == [str(source)]
    script.provide(str(source), "")
    assert list(script.sources(folder)) == []
    os.utime(source, (2e9 * 2, 2e9 * 2))
    assert [path for _, path in script.sources(folder)] == [str(source)]
