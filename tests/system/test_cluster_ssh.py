"""A matrix on the cluster that docs/cluster.md makes by SSH: its own code, against a real sshd on loopback."""

from __future__ import annotations

import contextlib
import getpass
import os
import shutil
import socket
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import psutil
import pytest
from command import REPOSITORY, environment
from dask_cluster import documented
from waiting import until

from runner.trials.store import Store

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

HOSTS = ("127.0.0.2", "127.0.0.3", "127.0.0.4")
CONFIG = """\
Port {port}
ListenAddress 127.0.0.2
ListenAddress 127.0.0.3
ListenAddress 127.0.0.4
HostKey {folder}/host
AuthorizedKeysFile {folder}/user.pub
PidFile none
StrictModes no
UsePAM no
PasswordAuthentication no
SetEnv PYTHONPATH={sources} RUNNER_CACHE={folder}/cache
"""
MATRIX = """\
axes:
  six: [1.15.0, 1.16.0]
  python: ["3.7"]
experiment: {script: trains.py, timeout: 2m, artifacts: [kept.bin]}
criterion: loss < 1
seeds: 2
"""
SCRIPT = """\
import json, os, pathlib
import six
seed = int(os.environ["PYTHONHASHSEED"])
pathlib.Path("kept.bin").write_bytes(bytes([seed]) * 10)
with open(os.environ["RUNNER_METRICS"], "a") as metrics:
    for epoch in range(3):
        loss = (1 if six.__version__ == "1.16.0" else 100) / (1 + epoch + seed)
        metrics.write(json.dumps({"epoch": epoch + 1, "loss": loss}) + "\\n")
"""


@pytest.fixture
def port(tmp_path: Path, not_run: Callable[[str], None]) -> Iterator[int]:
    """The port of an sshd that lets this user in by the key `user`."""
    program = shutil.which("sshd", path=f"{os.environ['PATH']}:/usr/sbin")
    if program is None:
        not_run("Debian's openssh-server is not installed")
    if os.geteuid() == 0:
        Path("/run/sshd").mkdir(exist_ok=True)  # a service makes it, and sshd asks for it
    for name in ("host", "user"):
        subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", tmp_path / name], check=True)
    with socket.socket() as free:
        free.bind(("127.0.0.2", 0))
        found: int = free.getsockname()[1]
    (tmp_path / "config").write_text(CONFIG.format(port=found, folder=tmp_path, sources=REPOSITORY))
    with (tmp_path / "log").open("wb") as log:
        process = subprocess.Popen([str(program), "-D", "-e", "-f", tmp_path / "config"], stderr=log)
    try:
        until(lambda: all(_greets(host, found) for host in HOSTS), "the greeting of sshd")
        yield found
    finally:
        process.terminate()
        process.wait()


def _greets(host: str, port: int) -> bool:
    with contextlib.suppress(OSError), socket.create_connection((host, port), 5) as line:
        return line.recv(4) == b"SSH-"
    return False


@pytest.mark.slow
@pytest.mark.network
@pytest.mark.usefixtures("cpython_3_7")
def test_the_code_of_the_page_runs_a_matrix_by_ssh_and_leaves_no_worker(port: int, tmp_path: Path) -> None:
    folder = tmp_path / "there"
    folder.mkdir()
    (folder / "matrix.yaml").write_text(MATRIX)
    (folder / "trains.py").write_text(SCRIPT)
    login = {
        "username": getpass.getuser(),
        "port": port,
        "client_keys": [str(tmp_path / "user")],
        "known_hosts": None,
        "config": [],
    }
    changes = {
        **dict(zip(("10.0.0.1", "10.0.0.2", "10.0.0.3"), HOSTS, strict=True)),
        '{"username": "me"}': repr(login),
        "/srv/cm/bin/python": sys.executable,
        "Options(cluster=client)": 'Options(cluster=client, engine="venv")',
    }
    (folder / "by_ssh.py").write_text(documented("`SSHCluster`", changes))
    done = subprocess.run(
        [sys.executable, "by_ssh.py"],
        cwd=folder,
        env={**environment(), "PYTHONPATH": str(REPOSITORY)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    rows = [line.split() for line in done.stdout.splitlines() if "1.1" in line]
    assert [(row[1], row[3]) for row in rows] == [("1.15.0", "fails"), ("1.16.0", "converges")], done.stdout
    with Store(folder / ".runner" / "records.sqlite") as store:
        found = sorted(store.get(store.keys()).values(), key=lambda one: (one.cell["six"], one.seed))
    assert [(one.cell["six"], one.seed) for one in found] == [(six, n) for six in ("1.15.0", "1.16.0") for n in (0, 1)]
    assert len({one.worker for one in found}) == 2
    for one in found:
        assert (folder / ".runner" / "artifacts" / one.key / "kept.bin").read_bytes() == bytes([one.seed]) * 10
    assert (tmp_path / "cache" / "environments").is_dir()
    until(lambda: not left(tmp_path), "the end of all workers")


def left(folder: Path) -> list[str]:
    """The processes with the workers' cache."""
    found = []
    for process in psutil.process_iter():
        with contextlib.suppress(psutil.Error):
            if process.environ().get("RUNNER_CACHE") == str(folder / "cache"):
                found.append(" ".join(process.cmdline()))
    return found
