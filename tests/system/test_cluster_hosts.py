"""A matrix on a Dask cluster of hosts of their own, each of which is hurt: nothing is lost, and nothing is left.

One worker is killed in mid-trial, one is cut off until its scheduler has given it up, one has a full disk, home is
killed, the scheduler is killed and started again: with TensorFlow too, and with a Docker engine on each host. It runs
with RUNNER_ALL_STACKS=1 (`tox -e full`); `reports/cluster` has what came of it.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import subprocess
import tempfile
import time
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Self

import psutil
import pytest
from command import REPOSITORY, runner, started
from dask_cluster import DaskCluster, dask_cluster
from distributed import Client
from host_network import host_network, why_no_hosts
from small_engine import SmallEngine
from test_cluster import MATRIX, SCRIPT, matrix, records, told
from waiting import PATIENCE_S, until

from runner.cache import cache_folder

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from host_network import Host

    from runner.engines.docker.docker_engine import DockerEngine

pytestmark = [
    pytest.mark.slow,
    pytest.mark.network,
    pytest.mark.usefixtures("cpython_3_7"),
    pytest.mark.filterwarnings("default"),
]
HOSTS = ("scheduler", "one", "two", "full")
GATED = SCRIPT + "while seed >= 0 and not pathlib.Path(GATES, str(seed // 2)).exists():\n    time.sleep(0.05)\n"


@pytest.fixture(autouse=True)
def hosts_can_be_made(not_run: Callable[[str], None]) -> None:
    """Run on request alone: two drills take many minutes, the third one and a half."""
    if os.environ.get("RUNNER_ALL_STACKS") != "1":
        pytest.skip("one of the long proofs: RUNNER_ALL_STACKS=1")
    if reason := why_no_hosts():
        not_run(reason)


@dataclass
class Drill:
    """A matrix on hosts that are hurt, one after the other, and what each hurt came to."""

    cluster: DaskCluster
    folder: Path
    engine: str
    release: Callable[[int], None] = lambda _: None
    """Lets trials end that wait to be hurt: of the first round, of the second."""
    variables: dict[str, dict[str, str]] = field(default_factory=dict)
    """Those of a worker, by its name."""
    begun: float = field(default_factory=time.monotonic)
    home: subprocess.Popen[str] | None = None
    runs: int = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        """Where something failed end home, and show all that it, the scheduler and the workers wrote."""
        if kind:
            print(f"home's exit code: {self.home and self.home.poll()}")
            if self.home is not None:
                self.home.kill()
            for log in sorted(self.cluster.folder.glob("*.log")):
                print(f"==== {log.name}\n{log.read_text('utf-8', 'replace')}")

    @property
    def log(self) -> Path:
        """What home wrote in its last run."""
        return self.cluster.folder / f"home-{self.runs}.log"

    def say(self, text: str) -> None:
        """Tell of a step for the report."""
        print(f"{time.monotonic() - self.begun:6.1f} s  {text}", flush=True)

    def run(self) -> subprocess.Popen[str]:
        """Start the run at home."""
        cluster = ("--cluster", self.cluster.address)
        self.runs += 1
        with self.log.open("w") as errors:
            self.home = started(self.folder, "matrix.yaml", "--engine", self.engine, *cluster, errors=errors)
        return self.home

    def add(self, *names: str) -> None:
        """Start workers, each on its own host."""
        for name in names:
            self.cluster.add(name, **self.variables.get(name, {}))

    def busy(self, name: str) -> list[str]:
        """The folders on a host in which a job or a container of a trial works."""
        place = f"{self.cluster.folder}/{name}/"
        if socket := self.variables.get(name, {}).get("DOCKER_HOST"):
            return [one for one in containers(socket) if one.startswith(place)]
        return [cwd for pid in self.cluster.jobs() if (cwd := _cwd(pid)).startswith(place)]

    def known(self) -> set[str]:
        """The names of the workers that the scheduler has."""
        with Client(self.cluster.address, set_as_default=False) as client:
            return {str(one["name"]) for one in client.scheduler_info(n_workers=-1)["workers"].values()}

    def quiet(self) -> bool:
        """True where no job, container or folder of a run is on any host."""
        return not (any(self.busy(name) for name in HOSTS) or self.cluster.jobs() or self.cluster.left())

    def after(self, fact: Callable[[], object], what: str) -> None:
        """Wait for a fact, as long as home is not ended by itself."""
        begun = time.monotonic()
        until(lambda: fact() or self.has_failed(), what)
        self.say(f"{what}: {time.monotonic() - begun:.1f} s, {len(records(self.folder))} trials stored")

    def has_failed(self) -> bool:
        """False, unless home ended where nothing was done to it: that fails the test."""
        if self.home is not None and self.home.poll() is not None:
            pytest.fail(f"home exits {self.home.returncode}: {self.log.read_text()}")
        return False

    def lose_workers(self) -> None:
        """Kill a worker in mid-trial, and cut another one off until the scheduler has given it up."""
        self.after(lambda: self.busy("one"), "a trial on one")
        self.cluster.kill("one")
        self.say("one is killed, and started again")
        self.add("one")
        self.after(lambda: self.busy("one") and self.busy("two"), "trials on one and two")
        self.cluster.hosts["two"].cut()
        self.after(lambda: "two" not in self.known(), "two is cut off; its scheduler gives it up")
        self.after(lambda: not self.busy("two"), "two ends its own trials")
        self.cluster.hosts["two"].mend()
        process = self.cluster.workers["two"]
        self.after(lambda: process.poll() is not None or "two" in self.known(), "the cable is in again")
        if process.poll() is not None:
            self.say("its worker has ended itself, and is started again")
            self.add("two")
        self.after(lambda: self.busy("two"), "a trial on two")

    def lose_home_and_scheduler(self) -> None:
        """Kill home, then in the next run the scheduler, in mid-trial; all workers end with it, and are started anew.

        One whose disk is full was told of in the first run.
        """
        home = self.run()
        self.lose_workers()
        self.release(0)
        self.after(lambda: records(self.folder), "a trial stored")
        self.after(lambda: self.busy("one") or self.busy("two"), "a trial under way")
        self.home = None
        home.kill()
        home.communicate(timeout=PATIENCE_S)
        self.after(self.quiet, "home is killed; no job, container or folder is left")
        (full,) = [line for line in self.log.read_text().splitlines() if "full gets no more work" in line]
        self.say(full.partition("] ")[2])
        home = self.run()
        self.after(lambda: self.busy("one") or self.busy("two"), "the same command goes on; a trial under way")
        assert self.cluster.scheduler is not None
        self.cluster.scheduler.kill()
        self.cluster.scheduler.wait()
        home.communicate(timeout=PATIENCE_S)
        self.home = None
        errors = self.log.read_text()
        self.say(f"the scheduler is killed; home exits {home.returncode}: {errors.splitlines()[-1]}")
        assert (home.returncode, "Traceback" in errors) == (4, False), errors
        self.after(self.quiet, "no job, container or folder is left")
        for process in self.cluster.workers.values():
            process.wait(PATIENCE_S)
        self.cluster.start()
        self.say("the scheduler is started again at its address, and workers with it")
        self.add("one", "two", "full")

    def finish(self) -> None:
        """Run to the end, and see that nothing but workers is left."""
        self.release(1)
        done = runner(
            self.folder, "matrix.yaml", "--engine", self.engine, "--cluster", self.cluster.address, timeout_s=1800
        )
        self.say(f"the same command goes on to its end: exit {done.returncode}")
        until(self.quiet, "nothing under way")
        found = records(self.folder)
        assert set(Counter((*sorted(one.cell.items()), one.seed) for one in found).values()) == {1}
        ran, lost = Counter(one.worker for one in found), Counter(one.lost_workers for one in found)
        assert not {*ran} - {"one", "two"}
        self.say(f"{len(found)} trials, by worker {dict(ran)}, by the workers that they lost {dict(lost)}")


def _cwd(pid: int) -> str:
    with contextlib.suppress(psutil.Error, OSError):
        return psutil.Process(pid).cwd()
    return ""


def containers(socket: str) -> list[str]:
    """The folders that the containers of an engine work in; one without such a folder by its id."""
    import docker

    client = docker.DockerClient(base_url=socket)
    try:
        found = client.containers.list(all=True, ignore_removed=True)
        return [next((m["Source"] for m in one.attrs["Mounts"] if m["Source"]), str(one.id)) for one in found]
    finally:
        client.close()


@pytest.fixture
def hosts() -> Iterator[dict[str, Host]]:
    with host_network(*HOSTS) as hosts:
        yield hosts
        left = {name: host.processes() for name, host in hosts.items()}
    assert not any(left.values()), left


@pytest.fixture
def cluster(tmp_path: Path, hosts: dict[str, Host]) -> Iterator[DaskCluster]:
    """A scheduler on its host; the cache of `full` is a disk that has room for nothing."""
    with dask_cluster(tmp_path / "cluster", hosts) as cluster:
        disk = cluster.folder / "cache-full"
        disk.mkdir()
        subprocess.run(["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", disk], check=True)
        try:
            yield cluster
        finally:
            cluster.stop()
            subprocess.run(["umount", disk], check=True)


KERAS = """\
axes:
  tensorflow: [2.10.1, 2.16.1]
  keras: [2.10.0, 3.3.3]
  args: ["0.1", "1e9"]
exclude: [{tensorflow: 2.10.1, keras: 3.3.3}, {tensorflow: 2.16.1, keras: 2.10.0}]
experiment: {script: trains.py, timeout: 10m}
criterion: loss < 1e-2
seeds: 6
"""
TRAINS = """\
import sys
import numpy as np
import tensorflow as tf
x = np.linspace(-1, 1, 256).reshape(-1, 1).astype("float32")
model = tf.keras.Sequential([tf.keras.Input((1,)), tf.keras.layers.Dense(1)])
model.compile(tf.keras.optimizers.SGD(float(sys.argv[1])), "mse")
model.fit(x, 3 * x + 1, epochs=8, batch_size=16, verbose=0)
"""


def test_tensorflow_on_hosts_that_are_killed_cut_off_and_full_comes_to_the_table_of_one_machine(
    cluster: DaskCluster, tmp_path: Path
) -> None:
    there, here = matrix(tmp_path / "there", TRAINS, KERAS), matrix(tmp_path / "here", TRAINS, KERAS)
    for folder in (there, here):
        shutil.copytree(REPOSITORY / "locks", folder / "locks")
    with Drill(cluster, there, "venv") as drill:
        drill.add("one", "two", "full")
        drill.lose_home_and_scheduler()
        drill.finish()
    begun = time.monotonic()
    alone = runner(here, "matrix.yaml", "--engine", "venv", timeout_s=3600)
    drill.say(f"the same matrix on one machine: exit {alone.returncode}, {time.monotonic() - begun:.1f} s")
    assert (told(there), keys(there)) == (told(here), keys(here))
    drill.say(f"the same table, of {len(told(there))} cells, and the same keys")


@pytest.mark.docker
def test_hosts_with_a_docker_engine_each_keep_no_container(
    cluster: DaskCluster, hosts: dict[str, Host], docker_engine: DockerEngine, tmp_path: Path
) -> None:
    assert docker_engine.base_identity("3.7")
    script, text = SCRIPT + "time.sleep(6)\n", MATRIX.replace("seeds: 3", "seeds: 12")
    there, here = matrix(tmp_path / "there", script, text), matrix(tmp_path / "here", script, text)
    with contextlib.ExitStack() as engines:
        drill = engines.enter_context(Drill(cluster, there, "docker"))
        for name in ("one", "two", "full"):
            engine = SmallEngine(folder=Path(tempfile.mkdtemp(prefix="engine-")), within=hosts[name].command())
            engines.callback(shutil.rmtree, engine.folder)
            engine.disk.mkdir()
            engines.enter_context(engine.running())
            give_bases(engine, cluster.folder / f"cache-{name}")
            drill.variables[name] = {"DOCKER_HOST": engine.host}
        drill.add("one", "two", "full")
        drill.lose_home_and_scheduler()
        drill.finish()
        cluster.stop()
        assert [containers(one["DOCKER_HOST"]) for one in drill.variables.values()] == [[], [], []]
    alone = runner(here, "matrix.yaml", "--engine", "docker", timeout_s=3600)
    assert (told(there, "docker"), keys(there)) == (told(here, "docker"), keys(here)), alone.stderr
    drill.say(f"the same table, of {len(told(there, 'docker'))} cells, and the same keys")


def give_bases(engine: SmallEngine, cache: Path) -> None:
    """Give an engine, and its worker's cache, what this machine's has of base images: a host can't make them."""
    asked = [f"--filter=reference=convergence-matrix/{name}" for name in ("debian", "base:3.7-*", "interpreter:3.7-*")]
    command = ["docker", "images", "--format={{.Repository}}:{{.Tag}}", *asked]
    found = subprocess.run(command, check=True, capture_output=True, text=True).stdout.split()
    with subprocess.Popen(["docker", "save", *found], stdout=-1) as saved:
        subprocess.run(["docker", "-H", engine.host, "load"], stdin=saved.stdout, check=True, capture_output=True)
    (cache / "docker").mkdir(parents=True)
    shutil.copy(cache_folder() / "docker" / "offline-base-3.7.json", cache / "docker")


def keys(folder: Path) -> list[str]:
    """Those of the stored trials."""
    return [one.key for one in records(folder)]


def test_hosts_that_are_killed_cut_off_and_full_lose_no_trial(cluster: DaskCluster, tmp_path: Path) -> None:
    gates = tmp_path / "gates"
    gates.mkdir()
    text, script = MATRIX.replace("seeds: 3", "seeds: 4"), GATED.replace("GATES", repr(str(gates)))
    folder = matrix(tmp_path / "there", script, text)
    with Drill(cluster, folder, "venv", release=lambda number: (gates / str(number)).touch()) as drill:
        drill.add("one", "two", "full")
        drill.lose_home_and_scheduler()
        drill.finish()
    here = matrix(tmp_path / "here", script, text)
    alone = runner(here, "matrix.yaml", "--engine", "venv")
    assert (told(folder), keys(folder)) == (told(here), keys(here)), alone.stderr
