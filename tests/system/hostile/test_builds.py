"""What a source distribution's own code can reach while it is built: next to nothing."""

from __future__ import annotations

import json
import tarfile
import zipfile
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import pytest
from conftest import CONTAINER_PYTHON
from tiny_lock import containers_with

from runner.cache import cache_folder, passing_folder
from runner.engines.docker.container import OWNER
from runner.environments.index.connection import index_address
from runner.environments.source_builds import built
from runner.environments.times import UNDATED
from runner.errors import BuildFailedError
from runner.runner_mark import this_runner

if TYPE_CHECKING:
    from pathlib import Path

    from runner.engines.docker.docker_engine import DockerEngine
    from runner.environments.interpreters import Toolchain

pytestmark = [pytest.mark.docker, pytest.mark.network]
LOOKS = """
import json, os, socket
from setuptools import setup
def tried(act):
    try:
        act()
        return "done"
    except OSError as error:
        return "OSError %d" % error.errno
found = {
    "uid": os.getuid(),
    "capabilities": int([line for line in open("/proc/self/status") if line.startswith("CapEff")][0].split()[1], 16),
    "no new privileges": [line for line in open("/proc/self/status") if line.startswith("NoNewPrivs")][0].split()[1],
    "connect": tried(lambda: socket.create_connection(("192.0.2.1", 80), 2)),
    "vsock": tried(lambda: socket.socket(40, socket.SOCK_STREAM)),
    "interfaces": sorted(name for _, name in socket.if_nameindex()),
    "root": tried(lambda: open("/planted", "w")),
    "interpreter": tried(lambda: open(os.path.join(os.path.dirname(os.__file__), "planted.py"), "w")),
    "environment": dict(os.environ),
    "processes": sorted(int(name) for name in os.listdir("/proc") if name.isdigit()),
}
open("looks.py", "w").write("FOUND = " + repr(json.dumps(found)))
setup(name="looks", version="1.0", py_modules=["looks"], setup_requires=["six"])
"""


def source(folder: Path, setup: str) -> Path:
    """A source distribution of before pyproject.toml."""
    (folder / "setup.py").write_text(setup)
    with tarfile.open(folder / "looks-1.0.tar.gz", "w:gz") as archive:
        archive.add(folder / "setup.py", "looks-1.0/setup.py")
    return folder / "looks-1.0.tar.gz"


@pytest.fixture
def toolchain(docker_engine: DockerEngine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Toolchain:
    """That of a base image, and then a cache in which nothing is."""
    found = docker_engine.toolchain(CONTAINER_PYTHON)
    monkeypatch.setenv("RUNNER_CACHE", str(tmp_path / "cache"))
    return found


def wheel_of(toolchain: Toolchain, sdist: Path, sha256: str) -> Path:
    return built(
        sdist,
        sha256=sha256,
        uploaded=lambda: UNDATED,
        python=CONTAINER_PYTHON,
        toolchain=lambda: toolchain,
        say=lambda _: None,
    )


@pytest.mark.parametrize("user", ["somebody:of-the-user@", ""])
def test_a_builder_is_alone_without_network_credentials_or_rights(
    toolchain: Toolchain, user: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    address = urlsplit(index_address().url.rstrip("/"))
    monkeypatch.setenv("SECRET_TOKEN", "of-the-user")
    monkeypatch.setenv("UV_DEFAULT_INDEX", address._replace(netloc=f"{user}{address.netloc}").geturl())
    wheel = wheel_of(toolchain, source(tmp_path, LOOKS), "a" * 64)
    with zipfile.ZipFile(wheel) as archive:
        found = json.loads(eval(archive.read("looks.py").decode().removeprefix("FOUND = ")))
    environment = found.pop("environment")
    assert "of-the-user" not in json.dumps(environment)
    assert not {"SECRET_TOKEN", "RUNNER_CHANNEL", "PYTHONPATH", "SSL_CERT_FILE"} & environment.keys()
    assert environment["UV_DEFAULT_INDEX"] == index_address().url
    assert found.pop("uid") != 0
    assert max(found.pop("processes")) < 1000  # its own space of numbers
    assert found == {
        "capabilities": 0,
        "no new privileges": "1",
        "connect": "OSError 101",
        "vsock": "OSError 1",
        "interfaces": ["lo"],
        "root": "OSError 30",
        "interpreter": "OSError 30",
    }
    assert wheel.is_relative_to(cache_folder() / "built")
    assert containers_with(f"{OWNER}={this_runner()}") == []
    assert list((cache_folder() / "passing").iterdir()) == []


@pytest.mark.parametrize("what", ["made", "made/looks-1.0-py3-none-any.whl"])
def test_a_link_to_a_file_of_the_host_in_place_of_the_wheel_brings_nothing_in(
    toolchain: Toolchain, what: str, tmp_path: Path
) -> None:
    secret = tmp_path / "looks-1.0-py3-none-any.whl"
    secret.write_text("of the host")
    setup = f"""
import os, subprocess
place = os.path.join("/work", {what!r})
program = "import os, shutil, time; place = %r; time.sleep(0.5); shutil.rmtree('/work/made', True); "
program += "os.path.dirname(place) != '/work' and os.mkdir('/work/made'); os.symlink(%r, place)"
target = {str(tmp_path)!r} if {what!r} == "made" else {str(secret)!r}
exec(program % (place, target))
os.kill(os.getppid(), 9)
"""
    with pytest.raises(BuildFailedError):
        wheel_of(toolchain, source(tmp_path, setup), "b" * 64)
    assert list((tmp_path / "cache").glob("built/*/*/*")) == []


def test_what_uv_fetches_before_a_build_runs_nobody_s_code(
    toolchain: Toolchain,
) -> None:
    with passing_folder() as folder:
        source(folder, "raise SystemExit('it ran')")
        (folder / "wanted.in").write_text("looks @ file:///folder/looks-1.0.tar.gz\n")
        (folder / "sitecustomize.py").write_text("import os\nos._exit(97)\n")
        done = toolchain.uv(["pip", "compile", "wanted.in"], folder=folder)
        assert done.returncode != 0
        assert "it ran" not in done.stderr
        assert "exit status: 97" in done.stderr
