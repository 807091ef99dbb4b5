"""Environments of the venv engine: made whole or not at all, shared by lock, removed when nobody uses them."""

from __future__ import annotations

import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest
from tiny_lock import LIMITS, THIS_PYTHON, job_of, tiny_lock, tiny_wheelhouse
from waiting import PATIENCE_S, until

from runner.engines.protocol import EngineKind
from runner.engines.venv.venv_engine import VenvEngine
from runner.environments.interpreters import find_interpreters
from runner.environments.wheelhouse import Wheelhouse
from runner.errors import BuildFailedError

PYTHON = THIS_PYTHON


@pytest.fixture
def wheelhouse(tmp_path: Path) -> Wheelhouse:
    return tiny_wheelhouse(tmp_path)


def silent(_: str) -> None:
    """Take a line of progress."""


@pytest.mark.parametrize("python", sorted({interpreter.minor for interpreter in find_interpreters()}))
def test_an_environment_has_the_locks_packages_and_no_others_on_every_cpython(
    python: str, lone_engine: VenvEngine, wheelhouse: Wheelhouse
) -> None:
    image = lone_engine.make(tiny_lock(wheelhouse, python), wheelhouse, silent, labels={})
    assert image.engine is EngineKind.VENV
    assert image.base_identity == lone_engine.base_identity(python)
    assert image.python_full.startswith(f"{python}.")
    (packages,) = Path(image.reference).glob("lib/python*/site-packages")
    names = {file.name for file in packages.iterdir()}
    assert names == {"tiny.py", "tiny_template.py", "tiny-1.0.dist-info", "__pycache__"}
    assert {file.name.split(".")[0] for file in (packages / "__pycache__").iterdir()} == {"tiny"}
    assert not (packages / "tiny-1.0.dist-info" / "direct_url.json").exists()


def test_a_lock_is_installed_once_and_found_from_then_on(lone_engine: VenvEngine, wheelhouse: Wheelhouse) -> None:
    lock = tiny_lock(wheelhouse, PYTHON)
    said: list[str] = []
    assert lone_engine.find(lock) is None
    image = lone_engine.make(lock, wheelhouse, said.append, labels={})
    assert said == [f"installing 1 package for CPython {image.python_full}"]
    assert lone_engine.make(lock, wheelhouse, said.append, labels={}) == image
    assert VenvEngine().find(lock) == image
    assert len(said) == 1


@pytest.mark.parametrize("python", sorted({interpreter.minor for interpreter in find_interpreters()}))
def test_bytecode_of_a_wheel_is_compiled_once_a_cpython_and_linked_from_then_on(
    python: str, lone_engine: VenvEngine, wheelhouse: Wheelhouse
) -> None:
    lock = tiny_lock(wheelhouse, python)
    (package,) = lock.packages
    other = replace(lock, packages=(replace(package, hashes=(*package.hashes, f"sha256:{'0' * 64}")),))
    images = [lone_engine.make(one, wheelhouse, silent, labels={}) for one in (lock, other)]
    first, second = (next(Path(one.reference).glob("lib/*/*/__pycache__/tiny.*.pyc")) for one in images)
    assert images[0].reference != images[1].reference
    assert first.stat().st_ino == second.stat().st_ino
    code = "import tiny, sys; print(tiny.__cached__, tiny.__loader__.get_code('tiny').co_filename)"
    python_of_second = Path(images[1].reference) / "bin" / "python"
    said = subprocess.run([python_of_second, "-v", "-c", code], capture_output=True, text=True, check=True)
    assert f"matches {second.parent.parent / 'tiny.py'}" in said.stderr  # it was loaded, and not compiled again
    assert said.stdout.split() == [str(second), str(second.parent.parent / "tiny.py")]
    for image in images:
        assert lone_engine.remove_image(image.reference)
    assert not list(Path(images[0].reference).parent.rglob("*.pyc"))


def test_threads_that_want_the_same_lock_install_it_once(lone_engine: VenvEngine, wheelhouse: Wheelhouse) -> None:
    lock = tiny_lock(wheelhouse, PYTHON)
    said: list[str] = []
    with ThreadPoolExecutor() as pool:
        images = {
            image.reference
            for image in pool.map(lambda _: lone_engine.make(lock, wheelhouse, said.append, labels={}), range(4))
        }
    assert len(images) == 1
    assert len(said) == 1


def test_a_wheel_whose_bytes_changed_is_refused_and_nothing_stays(
    lone_engine: VenvEngine, wheelhouse: Wheelhouse, tmp_path: Path
) -> None:
    lock = tiny_lock(wheelhouse, PYTHON)
    wheelhouse = Wheelhouse(wheels=tuple(replace(wheel, sha256="0" * 64) for wheel in wheelhouse.wheels))
    with pytest.raises(BuildFailedError, match=r"tiny(.|\n)*sha256:0000000000") as failure:
        lone_engine.make(lock, wheelhouse, silent, labels={})
    assert failure.value.stage == "install"
    assert lone_engine.find(lock) is None
    assert [path.suffix for path in (tmp_path / "cache" / "environments").iterdir()] == [".lock"]


def test_a_cpython_that_is_not_here_and_may_not_be_downloaded_is_named(
    lone_engine: VenvEngine, wheelhouse: Wheelhouse, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("UV_PYTHON_DOWNLOADS", "never")
    with pytest.raises(BuildFailedError, match=r"CPython 3\.5 is not on this machine"):
        lone_engine.make(tiny_lock(wheelhouse, "3.5"), wheelhouse, silent, labels={})


def test_what_a_killed_runner_left_half_made_is_swept_and_made_anew(
    lone_engine: VenvEngine, wheelhouse: Wheelhouse, tmp_path: Path
) -> None:
    lock = tiny_lock(wheelhouse, PYTHON)
    image = lone_engine.make(lock, wheelhouse, silent, labels={})
    whole = Path(image.reference)
    half = whole.with_name(f"{whole.name}.unfinished")
    whole.rename(half)
    (half / "environment.json").unlink()
    assert lone_engine.find(lock) is None
    assert lone_engine.images() == ()
    assert lone_engine.sweep() == 1
    assert not half.exists()
    assert lone_engine.make(lock, wheelhouse, silent, labels={}) == image


def test_an_environment_in_the_making_is_not_swept(lone_engine: VenvEngine, tmp_path: Path) -> None:
    half = tmp_path / "cache" / "environments" / "0-0.unfinished"
    half.mkdir(parents=True)
    code = (
        "import sys, pathlib; from runner.engines.venv.venv_folder import held\n"
        f"with held(pathlib.Path({str(half)!r}).with_suffix(''), alone=True):\n"
        "    print('held', flush=True); sys.stdin.read()"
    )
    with subprocess.Popen([sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as maker:
        assert maker.stdout is not None
        maker.stdout.readline()
        assert lone_engine.sweep() == 0
        maker.kill()
    assert lone_engine.sweep() == 1


def test_clean_is_told_the_size_and_last_use_and_removes(
    lone_engine: VenvEngine, wheelhouse: Wheelhouse, tmp_path: Path
) -> None:
    before = datetime.now(UTC)
    image = lone_engine.make(tiny_lock(wheelhouse, PYTHON), wheelhouse, silent, labels={})
    lone_engine.run(image, job_of("exit_with_3.py", tmp_path))
    (stored,) = lone_engine.images()
    assert stored.reference == image.reference
    assert stored.lock_name == "tiny-1.0"
    assert stored.size_bytes > 1_000
    assert before <= stored.last_used <= datetime.now(UTC)
    assert lone_engine.remove_image(image.reference)
    assert lone_engine.images() == ()
    assert not Path(image.reference).exists()


def test_an_environment_that_a_job_runs_in_is_not_removed(
    lone_engine: VenvEngine, wheelhouse: Wheelhouse, tmp_path: Path
) -> None:
    image = lone_engine.make(tiny_lock(wheelhouse, PYTHON), wheelhouse, silent, labels={})
    job = job_of("ignore_sigterm.py", tmp_path, limits=LIMITS)
    with ThreadPoolExecutor() as pool:
        running = pool.submit(lone_engine.run, image, job)
        until(lambda: job.folder.log.exists() and job.folder.log.read_text(), "its first line")
        assert not lone_engine.remove_image(image.reference)
        lone_engine.stop_all()
        running.result(PATIENCE_S)
    assert lone_engine.remove_image(image.reference)


def test_only_environments_of_the_cache_are_removed(lone_engine: VenvEngine, tmp_path: Path) -> None:
    (tmp_path / "precious").mkdir()
    assert not lone_engine.remove_image(str(tmp_path / "precious"))
    assert (tmp_path / "precious").is_dir()


def test_a_shell_finds_the_environments_python_and_packages(
    lone_engine: VenvEngine, wheelhouse: Wheelhouse, tmp_path: Path
) -> None:
    image = lone_engine.make(tiny_lock(wheelhouse, PYTHON), wheelhouse, silent, labels={})
    job = job_of("abort.py", tmp_path)
    argv, env = lone_engine.shell_command(image, job)
    typed = "python -c 'import tiny, sys; print(tiny.ANSWER, sys.prefix)'"
    done = subprocess.run(argv, input=typed, env=env, cwd=job.folder.work, capture_output=True, text=True, check=True)
    assert done.stdout == f"42 {image.reference}\n"
