"""A matrix on the cluster that docs/cluster.md gets from Slurm: its own code, with a Slurm of this machine.

It is of the long proofs (RUNNER_ALL_CLUSTERS=1, as `tox -e full` says): `apt-get install slurm-wlm munge`.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import socket
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest
from command import REPOSITORY, environment
from dask_cluster import documented
from waiting import PATIENCE_S, until

from runner.trials.store import Store

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from runner.trials.record import Record

CONFIG = """\
ClusterName=here
SlurmctldHost={host}(127.0.0.1)
SlurmUser=root
AuthType=auth/munge
AuthInfo=socket={folder}/munge.socket
SlurmctldPort={ports[0]}
SlurmctldPidFile={folder}/slurmctld.pid
SlurmctldLogFile={folder}/slurmctld.log
StateSaveLocation={folder}/state
SlurmdPidFile={folder}/slurmd-%n.pid
SlurmdLogFile={folder}/slurmd-%n.log
SlurmdSpoolDir={folder}/spool-%n
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
MpiDefault=none
SelectType=select/cons_tres
SelectTypeParameters=CR_CPU
SlurmdParameters=config_overrides
KillWait=5
JobAcctGatherType=jobacct_gather/none
NodeName=n1 NodeHostname={host} NodeAddr=127.0.0.1 Port={ports[1]} CPUs=2 RealMemory=4000
NodeName=n2 NodeHostname={host} NodeAddr=127.0.0.1 Port={ports[2]} CPUs=2 RealMemory=4000
PartitionName=cpu Nodes=n1,n2 Default=YES MaxTime=60 State=UP
"""
MATRIX = """\
axes:
  six: [1.15.0, 1.16.0]
  python: ["3.7"]
experiment: {script: trains.py, timeout: 5m}
criterion: loss < 1
seeds: 2
"""
SCRIPT = """\
import json, os, pathlib, time
import six
seed = int(os.environ["PYTHONHASHSEED"])
with open(os.environ["RUNNER_METRICS"], "a") as metrics:
    metrics.write(json.dumps({"epoch": 1, "loss": seed / 10 if six.__version__ == "1.16.0" else 2 + seed}) + "\\n")
while seed == 1 and not pathlib.Path(GO).exists():
    time.sleep(0.05)
"""


@pytest.fixture
def slurm(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, not_run: Callable[[str], None]) -> Iterator[None]:
    """A Slurm with two nodes, each of two processors, which its commands find by SLURM_CONF."""
    if os.environ.get("RUNNER_ALL_CLUSTERS") != "1":
        pytest.skip("one of the long proofs: RUNNER_ALL_CLUSTERS=1")
    lacking = [name for name in ("munged", "slurmctld", "slurmd", "sbatch") if shutil.which(name) is None]
    if lacking or os.geteuid() != 0:
        not_run(f"Slurm needs root, and {', '.join(lacking) or 'all of it is here'}: apt-get install slurm-wlm munge")
    folder = tmp_path / "slurm"
    for name in ("state", "spool-n1", "spool-n2"):
        (folder / name).mkdir(parents=True)
    with contextlib.ExitStack() as free:
        ports = [free.enter_context(socket.create_server(("127.0.0.1", 0))).getsockname()[1] for _ in range(3)]
    config = folder / "slurm.conf"
    config.write_text(CONFIG.format(folder=folder, host=socket.gethostname(), ports=ports))
    monkeypatch.setenv("SLURM_CONF", str(config))
    key = folder / "munge.key-file"
    key.write_bytes(os.urandom(128))
    key.chmod(0o400)
    names = ("socket", "key-file", "pid-file", "log-file", "seed-file")
    munge = [f"--{name}={folder}/munge.{name}" for name in names]
    with contextlib.ExitStack() as started:
        for command in (
            ["munged", "--foreground", "--force", *munge],
            ["slurmctld", "-D", "-f", str(config)],
            *(["slurmd", "-D", "-N", node, "-f", str(config)] for node in ("n1", "n2")),
        ):
            started.enter_context(at_work(command, folder / f"{command[0]}.out"))
        until(lambda: said("sinfo", "-h", "-o", "%t %D") == "idle 2", "two nodes")
        yield
        said("scancel", "--user", "root", "--full")
        until(lambda: not jobs(), "the end of all jobs")


@contextlib.contextmanager
def at_work(command: list[str], log: Path) -> Iterator[None]:
    with log.open("ab") as stream:
        process = subprocess.Popen(command, stdout=stream, stderr=stream)
    try:
        yield
    finally:
        process.terminate()
        process.wait()


def said(*command: str) -> str:
    return subprocess.run(command, capture_output=True, text=True, check=False).stdout.strip()


def jobs() -> list[str]:
    """The ids of the jobs that Slurm runs or ends, by their nodes."""
    return said("squeue", "-h", "-o", "%i", "--sort=N", "--states=running,completing").split()


def records(folder: Path) -> list[Record]:
    path = folder / ".runner" / "records.sqlite"
    if not path.exists():
        return []
    with Store(path) as store:
        return sorted(store.get(store.keys()).values(), key=lambda one: (one.cell["six"], one.seed))


@pytest.mark.slow
@pytest.mark.network
@pytest.mark.usefixtures("slurm", "cpython_3_7")
def test_a_job_that_slurm_ends_in_the_middle_of_a_trial_costs_that_trial_a_second_run(tmp_path: Path) -> None:
    folder, go = tmp_path / "there", tmp_path / "go"
    folder.mkdir()
    (folder / "matrix.yaml").write_text(MATRIX)
    (folder / "trains.py").write_text(SCRIPT.replace("GO", repr(str(go))))
    changes = {
        "cores=8": "cores=2",
        "64GB": "2GB",
        "04:00:00": "00:20:00",
        "/srv/cm/bin/python": sys.executable,
        '"235m"': '"15m"',
        "minimum_jobs=12, maximum_jobs=12": "minimum_jobs=2, maximum_jobs=2",
    }
    (folder / "by_slurm.py").write_text(documented("Slurm, PBS, LSF, SGE", changes))
    process = subprocess.Popen(
        [sys.executable, "by_slurm.py"],
        cwd=folder,
        env={**environment(), "PYTHONPATH": str(REPOSITORY), "TMPDIR": str(tmp_path)},
        stderr=subprocess.PIPE,
        text=True,
    )
    until(lambda: len(records(folder)) == 2 or process.poll() is not None, "the trials that wait for nothing")
    assert process.poll() is None, process.communicate()[1]
    first = jobs()[0]
    assert not said("scontrol", "update", f"JobId={first}", "TimeLimit=1")
    until(lambda: first not in jobs(), "the end of a job by its limit of time")
    go.touch()
    _, errors = process.communicate(timeout=PATIENCE_S)
    assert process.returncode == 0, errors
    found = records(folder)
    assert [(one.cell["six"], one.seed) for one in found] == [(six, n) for six in ("1.15.0", "1.16.0") for n in (0, 1)]
    lost = [name for one in found for name in one.lost_workers]
    assert lost
    assert len(set(lost)) == 1, lost
    assert all(one.worker not in one.lost_workers for one in found)
    assert list(tmp_path.glob("cm-*/environments/*")) != []
    until(lambda: not jobs(), "the end of all jobs")
