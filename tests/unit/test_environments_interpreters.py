import json
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from runner.environments import interpreters
from runner.environments.interpreters import HostToolchain, download, find_interpreters, newest_of
from runner.environments.processes import Processes
from runner.errors import BuildFailedError


@pytest.fixture
def machine(tmp_path, monkeypatch):
    """A machine without any interpreter but this process's own."""
    monkeypatch.setenv("RUNNER_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("PATH", str(tmp_path / "bin"))
    monkeypatch.setenv("PYENV_ROOT", str(tmp_path / "pyenv"))
    monkeypatch.setenv("UV_PYTHON_INSTALL_DIR", str(tmp_path / "uv"))
    monkeypatch.setenv("UV_DEFAULT_INDEX", "https://index.example/simple")
    return tmp_path


def interpreter(path, version, *, implementation="CPython", own=True, identity="built once"):
    """A program that answers as an interpreter does, and counts how often it was asked."""
    answer = {"implementation": implementation, "version": version, "identity": identity, "own": own}
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f"#!/bin/sh\necho asked >> {path}.asked\necho '{json.dumps(answer)}'\n")
    path.chmod(0o755)
    return path


def versions():
    return [one.version for one in find_interpreters() if one.path != Path(sys.executable).resolve()]


def test_interpreters_are_found_on_path_in_pyenv_and_among_those_of_uv_newest_first(machine):
    interpreter(machine / "bin" / "python3.7", "3.7.16")
    interpreter(machine / "pyenv" / "versions" / "3.10.13" / "bin" / "python3.10", "3.10.13")
    interpreter(machine / "uv" / "cpython-3.9.18-linux" / "bin" / "python3.9", "3.9.18")
    assert versions() == ["3.10.13", "3.9.18", "3.7.16"]


def test_shims_other_pythons_virtual_environments_and_broken_ones_are_left_out(machine, monkeypatch):
    shim = interpreter(machine / "pyenv" / "shims" / "python3.7", "3.7.16")
    monkeypatch.setenv("PATH", f"{machine / 'bin'}:{shim.parent}")
    interpreter(machine / "bin" / "python3.8", "3.8.1", implementation="PyPy")
    interpreter(machine / "bin" / "python3.9", "3.9.1", own=False)
    interpreter(machine / "bin" / "python2", "2.7.18")
    interpreter(machine / "bin" / "python3.5", "3.5.9")
    interpreter(machine / "bin" / "python3.10", "3.10.1").write_text("#!/bin/sh\nexit 1\n")
    interpreter(machine / "bin" / "python3.11", "3.11.1").chmod(stat.S_IRUSR)
    assert versions() == []


def test_this_process_has_an_interpreter_of_its_own(machine):
    running = f"{sys.version_info.major}.{sys.version_info.minor}"
    found = newest_of(running)
    assert found is not None
    assert found.version.startswith(f"{running}.")
    assert found.identity.startswith(f"cpython-{found.version}-")


def test_a_second_look_asks_no_interpreter_again(machine):
    path = interpreter(machine / "bin" / "python3.7", "3.7.16")
    first = find_interpreters()
    assert find_interpreters() == first
    assert Path(f"{path}.asked").read_text() == "asked\n"


def test_an_interpreter_that_was_replaced_is_asked_again(machine):
    path = interpreter(machine / "bin" / "python3.7", "3.7.16")
    before = newest_of("3.7")
    interpreter(path, "3.7.17", identity="built twice")
    after = newest_of("3.7")
    assert (before.version, after.version) == ("3.7.16", "3.7.17")
    assert before.identity != after.identity


def test_the_latest_patch_release_is_taken(machine):
    interpreter(machine / "bin" / "python3.7", "3.7.9")
    interpreter(machine / "pyenv" / "versions" / "3.7.16" / "bin" / "python3.7", "3.7.16")
    assert newest_of("3.7").version == "3.7.16"
    assert newest_of("3.6") is None


def test_a_download_that_is_forbidden_says_what_to_do(machine, monkeypatch):
    monkeypatch.setenv("UV_PYTHON_DOWNLOADS", "never")
    with pytest.raises(
        BuildFailedError, match=r"CPython 3\.7 is not on this machine, and UV_PYTHON_DOWNLOADS .* forbids"
    ) as forbidden:
        download("3.7", Processes())
    assert forbidden.value.passing


def test_a_download_that_fails_gives_the_reason_without_addresses(machine, monkeypatch):
    monkeypatch.delenv("UV_OFFLINE", raising=False)
    monkeypatch.delenv("UV_PYTHON_DOWNLOADS", raising=False)
    failed = subprocess.CompletedProcess([], 1, "", "error: no answer from https://user:token@mirror.example/x\n")
    monkeypatch.setattr(interpreters, "_run_uv", lambda *_: failed)
    with pytest.raises(BuildFailedError, match=r"could not download it: error: no answer from <address>\.") as refused:
        download("3.7", Processes())
    assert refused.value.passing


def test_uv_is_told_index_and_interpreter_and_nothing_that_would_change_a_lock(machine, monkeypatch):
    monkeypatch.setenv("UV_EXCLUDE_NEWER", "2020-01-01")
    monkeypatch.setenv("UV_CONSTRAINT", "/tmp/constraints.txt")
    monkeypatch.setenv("PIP_FIND_LINKS", "/opt/wheels")
    monkeypatch.setenv("PYTHONPATH", "/tmp/elsewhere")
    given = {}

    def run(arguments, env, folder, _processes):
        given.update(env, arguments=arguments, folder=folder)

    monkeypatch.setattr(interpreters, "_run_uv", run)
    path = interpreter(machine / "bin" / "python3.7", "3.7.16")
    HostToolchain(newest_of("3.7")).uv(["pip", "compile"], folder=machine)
    assert given["UV_PYTHON"] == str(path)
    assert given["UV_DEFAULT_INDEX"] == "https://index.example/simple"
    assert given["SOURCE_DATE_EPOCH"] == "315619200"
    assert given["PYTHONPATH"] == str(machine)  # where the resolver's refusal to run anything may lie
    assert not {"UV_EXCLUDE_NEWER", "UV_CONSTRAINT", "PIP_FIND_LINKS"} & set(given)
    given.clear()
    HostToolchain(newest_of("3.7")).build("x.tar.gz", ["--exclude-newer", "2020"], folder=machine)
    assert given["arguments"] == ["build", "--wheel", "x.tar.gz", "--out-dir", "made", "--exclude-newer", "2020"]
    assert "PYTHONPATH" not in given
