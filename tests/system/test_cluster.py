"""A matrix on a real Dask cluster: the same table as on one machine, whatever happens to workers and to home."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from command import runner, started, table
from dask_cluster import DaskCluster, dask_cluster
from waiting import PATIENCE_S, until

from runner import Matrix, Options, open_session
from runner.session.options import Unwatched
from runner.trials.store import Store

if TYPE_CHECKING:
    from collections.abc import Iterator

    from runner.trials.record import Record

pytestmark = [pytest.mark.network, pytest.mark.usefixtures("cpython_3_7"), pytest.mark.filterwarnings("default")]
MATRIX = """\
axes:
  six: [1.15.0, 1.16.0]
  python: ["3.7"]
experiment: {script: trains.py, timeout: 2m, artifacts: [kept.bin], data: [numbers.txt]}
criterion: loss < 1
seeds: 3
"""
SCRIPT = """\
import json, os, pathlib, signal, sys, time
import six
from beside import scale
seed = int(os.environ["PYTHONHASHSEED"])
start = float(pathlib.Path("numbers.txt").read_text())
bound = 1 if six.__version__ == "1.16.0" else 100
pathlib.Path("kept.bin").write_bytes(bytes([seed]) * (5 * 1024 ** 2 if seed == 0 else 10))
print("seed", seed)
with open(os.environ["RUNNER_METRICS"], "a") as metrics:
    for epoch in range(3):
        metrics.write(json.dumps({"epoch": epoch + 1, "loss": scale(bound * start / (1 + epoch + seed))}) + "\\n")
"""
WAITS = (
    SCRIPT
    + """
while seed == 2 and not pathlib.Path(GO).exists():
    time.sleep(0.05)
"""
)
IN_TURN = """\
import json, os, pathlib, time
import six
seed = int(os.environ["PYTHONHASHSEED"])
print(time.time(), *sorted(os.sched_getaffinity(0)))
half = pathlib.Path(GO + six.__version__ + str(seed))
half.touch()
while seed == 2 and len(list(half.parent.glob("go1.*2"))) == 2 and not pathlib.Path(GO).exists():
    time.sleep(0.05)  # the second half of the third pair
with open(os.environ["RUNNER_METRICS"], "a") as metrics:
    for epoch in range(3):
        metrics.write(json.dumps({"epoch": epoch + 1, "loss": 0.1 / (1 + epoch + seed)}) + "\\n")
"""
KILLS = """\
import os, signal
def parent(pid):
    return int(open(f"/proc/{pid}/stat").read().rpartition(")")[2].split()[1])
chain = [os.getpid()]
while chain[-1] > 1:
    chain.append(parent(chain[-1]))
worker = next(pid for pid in chain if b"multiprocessing" in open(f"/proc/{pid}/cmdline", "rb").read())
os.kill(worker, signal.SIGKILL)
"""


def matrix(folder: Path, script: str = SCRIPT, text: str = MATRIX) -> Path:
    """A folder with a matrix, where nothing has run."""
    folder.mkdir()
    (folder / "matrix.yaml").write_text(text)
    (folder / "trains.py").write_text(script)
    (folder / "beside.py").write_text("def scale(number):\n    return number / 10\n")
    (folder / "numbers.txt").write_text("0.5")
    return folder


@pytest.fixture
def cluster(tmp_path: Path) -> Iterator[DaskCluster]:
    with dask_cluster(tmp_path / "cluster") as cluster:
        yield cluster


def records(folder: Path) -> list[Record]:
    """The stored records, by cell and seed."""
    path = folder / ".runner" / "records.sqlite"
    if not path.exists():
        return []
    with Store(path) as store:
        found = store.get(store.keys()).values()
    return sorted(found, key=lambda one: (sorted(one.cell.items()), one.seed))


def told(folder: Path, engine: str = "venv") -> list[dict[str, Any]]:
    """The table without what is measured."""
    measured = ("epoch_s", "memory", "image")  # a folder of the cache
    return [
        {name: value for name, value in row.items() if not any(word in name for word in measured)}
        for row in table(folder, engine)
    ]


def test_a_matrix_comes_to_the_same_on_three_workers_and_all_that_it_kept_is_at_home(
    cluster: DaskCluster, tmp_path: Path
) -> None:
    here, there = matrix(tmp_path / "here"), matrix(tmp_path / "there")
    for name, machine in (("one", "a"), ("two", "a"), ("three", "b")):
        cluster.add(name, machine=machine)
    alone = runner(here, "matrix.yaml", "--engine", "venv")
    assert alone.returncode == 0, alone.stderr
    done = runner(there, "matrix.yaml", "--engine", "venv", "--cluster", cluster.address)
    assert done.returncode == 0, done.stderr
    assert done.stdout == alone.stdout
    assert told(there) == told(here)
    found = records(there)
    assert [(one.cell["six"], one.seed) for one in found] == [
        (version, seed) for version in ("1.15.0", "1.16.0") for seed in range(3)
    ]
    assert [one.key for one in found] == [one.key for one in records(here)]
    assert {one.worker for one in found} <= {"one", "two", "three"}
    for one in found:
        kept = there / ".runner" / "artifacts" / one.key / "kept.bin"
        assert kept.read_bytes() == bytes([one.seed]) * (5 * 1024**2 if one.seed == 0 else 10)
        assert (there / ".runner" / "logs" / f"{one.key}.log").read_text() == f"seed {one.seed}\n"
    for cache in cluster.folder.glob("cache-*"):  # two workers of a machine made each environment once
        assert len(list(cache.glob("environments/*/"))) <= 2
    assert cluster.left() == []


@pytest.mark.slow
def test_a_worker_that_is_killed_costs_its_trials_and_nothing_else(cluster: DaskCluster, tmp_path: Path) -> None:
    go = tmp_path / "go"
    folder = matrix(tmp_path / "there", WAITS.replace("GO", repr(str(go))))
    cluster.add("one")
    cluster.add("two")
    with started(folder, "matrix.yaml", "--engine", "venv", "--cluster", cluster.address) as process:
        until(lambda: len(records(folder)) == 4 and len(cluster.jobs()) == 2, "the trials that wait")
        killed = next(name for name in ("one", "two") if any(f"/{name}/" in place for place in places(cluster)))
        cluster.kill(killed)
        go.touch()
        _, errors = process.communicate(timeout=PATIENCE_S)
    found = records(folder)
    assert [(one.cell["six"], one.seed) for one in found] == [
        (version, seed) for version in ("1.15.0", "1.16.0") for seed in range(3)
    ], errors
    assert (killed,) in {one.lost_workers for one in found}
    until(lambda: cluster.jobs() == [], "the end of all jobs")


@pytest.mark.slow
def test_pairs_run_in_turn_on_one_worker_and_where_that_is_lost_the_rest_on_another_with_one_pair_less(
    cluster: DaskCluster, tmp_path: Path
) -> None:
    go = tmp_path / "go"
    text = MATRIX.replace(", artifacts: [kept.bin], data: [numbers.txt]", "")
    folder = matrix(tmp_path / "there", IN_TURN.replace("GO", repr(str(go))), text)
    every = sorted(os.sched_getaffinity(0))
    for name, processor in (("one", every[0]), ("two", every[-1])):
        os.sched_setaffinity(0, {processor})  # a worker's is that of the thread that starts it
        cluster.add(name)
    os.sched_setaffinity(0, every)
    options = ("--engine", "venv", "--cluster", cluster.address, "--pair", "--seeds", "9")
    with started(folder, "matrix.yaml", *options) as process:
        until(lambda: len(records(folder)) == 5 and cluster.jobs(), "the trial that waits")
        killed = records(folder)[0].worker
        made = {place.parent.parent.name for place in cluster.folder.glob("cache-*/environments/[!.]*")}
        assert made == {f"cache-{killed}"}, "no environment is made where nothing runs"
        cluster.kill(killed)
        go.touch()
        output, errors = process.communicate(timeout=PATIENCE_S)
    assert process.returncode == 0, errors
    found = [(*(folder / ".runner" / "logs" / f"{one.key}.log").read_text().split(), one) for one in records(folder)]
    found.sort(key=lambda one: float(one[0]))
    order = [(one.cell["six"], one.seed) for _, _, one in found]
    first, second = order[0][0], order[1][0]
    assert order == [(version, seed) for seed in range(9) for version in (first, second)], "A B A B, one at a time"
    assert [one.worker == killed for _, _, one in found] == [True] * 5 + [False] * 13
    assert len({processor for _, processor, _ in found[:5]}) == len({processor for _, processor, _ in found[5:]}) == 1
    assert [one.lost_workers for _, _, one in found if one.lost_workers] == [(killed,)]
    pairs = [(one.pair, other.pair) for (_, _, one), (_, _, other) in zip(found[::2], found[1::2], strict=True)]
    assert [one == other for one, other in pairs] == [True, True, len(every) == 1, *[True] * 6]
    assert len({one for both in pairs for one in both}) == (10 if len(every) > 1 else 9)
    assert f"side by side in {8 if len(every) > 1 else 9} pairs" in output


def places(cluster: DaskCluster) -> list[str]:
    """The folders that jobs work in."""
    import psutil

    return [psutil.Process(pid).cwd() for pid in cluster.jobs()]


@pytest.mark.parametrize("how", [signal.SIGINT, pytest.param(signal.SIGKILL, marks=pytest.mark.slow)])
def test_where_home_is_interrupted_or_killed_the_workers_stop_and_the_next_run_goes_on(
    cluster: DaskCluster, tmp_path: Path, how: signal.Signals
) -> None:
    go = tmp_path / "go"
    folder = matrix(tmp_path / "there", WAITS.replace("GO", repr(str(go))))
    cluster.add("one")
    with started(folder, "matrix.yaml", "--engine", "venv", "--cluster", cluster.address) as process:
        until(lambda: len(records(folder)) == 4 and len(cluster.jobs()) == 2, "the trials that wait")
        stopped = time.monotonic()
        process.send_signal(how)
        until(lambda: cluster.jobs() == [] and cluster.left() == [], "the end of all jobs")
        took_s = time.monotonic() - stopped
        _, errors = process.communicate(timeout=PATIENCE_S)
    assert process.returncode == (130 if how is signal.SIGINT else -how), errors
    assert took_s < 10
    assert len(records(folder)) == 4
    go.touch()
    done = runner(folder, "matrix.yaml", "--engine", "venv", "--cluster", cluster.address)
    assert done.returncode == 0, done.stderr
    assert "4 finished trials stored" in done.stderr
    assert len(records(folder)) == 6


@pytest.mark.slow
def test_where_the_scheduler_is_gone_one_message_says_so_and_nothing_is_left(
    cluster: DaskCluster, tmp_path: Path
) -> None:
    folder = matrix(tmp_path / "there", WAITS.replace("GO", repr(str(tmp_path / "go"))))
    cluster.add("one")
    with started(folder, "matrix.yaml", "--engine", "venv", "--cluster", cluster.address) as process:
        until(lambda: len(records(folder)) == 4 and len(cluster.jobs()) == 2, "the trials that wait")
        assert cluster.scheduler is not None
        cluster.scheduler.kill()
        _, errors = process.communicate(timeout=PATIENCE_S)
    assert (process.returncode, "Traceback" in errors) == (4, False), errors
    assert errors.splitlines()[-1].startswith("The scheduler of the cluster is gone")
    assert len(records(folder)) == 4
    until(lambda: cluster.jobs() == [], "the end of all jobs")


@pytest.mark.slow
@pytest.mark.skipif(os.geteuid() != 0, reason="a control group is made, which needs root")
def test_a_worker_that_could_start_no_thread_for_a_while_gets_work_again(cluster: DaskCluster, tmp_path: Path) -> None:
    if os.environ.get("RUNNER_ALL_CLUSTERS") != "1":
        pytest.skip("one of the long proofs: RUNNER_ALL_CLUSTERS=1")
    go = tmp_path / "go"
    script = WAITS.replace("GO", repr(str(go))).replace("seed == 2", "seed >= 2")
    folder = matrix(tmp_path / "there", script, MATRIX.replace("seeds: 3", "seeds: 6"))
    for name in ("one", "two"):
        cluster.add(name, machine="a")
    command = (folder, "matrix.yaml", "--engine", "venv", "--cluster", cluster.address)
    with cluster.crowded("two"):
        log = tmp_path / "errors"
        with log.open("w") as errors:
            process = started(*command, errors=errors)
        until(lambda: "two gets no work: " in log.read_text() or process.poll() is not None, "what home says of two")
    until(lambda: any("/two/" in place for place in places(cluster)) or process.poll() is not None, "a trial on two")
    go.touch()
    process.communicate(timeout=PATIENCE_S)
    said = log.read_text()
    assert said.count("two gets no work: ") == 1, said
    assert len(records(folder)) == 12, said
    assert "two gets no work: No more processes or threads can be started" in said
    assert "two joined the cluster." in said
    assert {one.worker for one in records(folder)} == {"one", "two"}


@pytest.mark.slow
@pytest.mark.skipif(os.geteuid() != 0, reason="a small disk is mounted, which needs root")
def test_a_disk_that_is_full_at_home_is_said_once_and_is_no_workers_fault(cluster: DaskCluster, tmp_path: Path) -> None:
    folder = matrix(tmp_path / "there")
    for name in ("one", "two"):
        cluster.add(name)
    disk = folder / ".runner"
    disk.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=3m", "tmpfs", disk], check=True)
    command = (folder, "matrix.yaml", "--engine", "venv", "--cluster", cluster.address)
    try:
        done = runner(*command)
        assert (done.returncode, "Traceback" in done.stderr) == (4, False), done.stderr
        assert done.stderr.count("can't be kept") == 1, done.stderr
        assert "gets no more work" not in done.stderr
        assert "No space left on device" in done.stderr.splitlines()[-1]
        subprocess.run(["mount", "-o", "remount,size=64m", disk], check=True)
        done = runner(*command)
        assert done.returncode == 0, done.stderr
        assert len(records(folder)) == 6
    finally:
        subprocess.run(["umount", disk], check=True)


def containers(cluster: DaskCluster) -> list[str]:
    """The containers of the workers' trials, by the folder that each works in."""
    import docker

    client = docker.from_env()
    try:
        found = client.containers.list(all=True, ignore_removed=True, filters={"label": "convergence-matrix.trial"})
        mounts = [mount["Source"] for container in found for mount in container.attrs["Mounts"]]
        return [source for source in mounts if source.startswith(f"{cluster.folder}/") and source.endswith("/work")]
    finally:
        client.close()


@pytest.mark.slow
@pytest.mark.docker
def test_under_docker_no_container_of_a_worker_that_was_killed_stays(cluster: DaskCluster, tmp_path: Path) -> None:
    folder = matrix(tmp_path / "there", SCRIPT + "time.sleep(10 if seed == 2 else 0)\n")
    for name in ("one", "two"):
        cluster.add(name, machine="here")  # where base images are made already
    with started(folder, "matrix.yaml", "--engine", "docker", "--cluster", cluster.address) as process:
        until(lambda: containers(cluster) and len(records(folder)) == 4, "a trial that takes its time")
        killed = next(name for name in ("one", "two") if any(f"/{name}/" in place for place in containers(cluster)))
        cluster.kill(killed)
        _, errors = process.communicate(timeout=PATIENCE_S)
    assert process.returncode == 0, errors
    found = records(folder)
    assert [(one.cell["six"], one.seed, one.engine) for one in found] == [
        (version, seed, "docker") for version in ("1.15.0", "1.16.0") for seed in range(3)
    ], errors
    assert (killed,) in {one.lost_workers for one in found}
    until(lambda: containers(cluster) == [], "the end of all containers")
    until(lambda: f" {cluster.folder}/" not in Path("/proc/self/mounts").read_text(), "the end of all mounts")


@pytest.mark.slow
def test_a_trial_that_takes_three_workers_down_with_it_has_come_to_that(cluster: DaskCluster, tmp_path: Path) -> None:
    text = MATRIX.replace("1.15.0, ", "").replace("seeds: 3", "seeds: 1")
    folder = matrix(tmp_path / "there", KILLS, text)
    cluster.add("one")
    cluster.add("two")
    done = runner(folder, "matrix.yaml", "--engine", "venv", "--cluster", cluster.address)
    (record,) = records(folder)
    assert (record.signal, len(record.lost_workers), done.returncode) == (signal.SIGKILL, 3, 1), done.stderr
    (row,) = table(folder, "venv")
    assert row["outcome"] == "breaks (crashed-training)"


class Killer(Unwatched):
    """Watches a run, and kills a worker when the making of an environment comes to a step: its maker, or the other."""

    def __init__(self, cluster: DaskCluster, step: str, *, maker: bool) -> None:
        self.cluster, self.step, self.maker = cluster, step, maker
        self.makers: dict[str, str] = {}
        self.killed = ""
        self.notes: list[str] = []

    def note(self, text: str) -> None:
        self.notes.append(text)

    def environment(self, name: str, text: str) -> None:
        if " to worker " in text:
            self.makers[name] = text.rpartition(" ")[2]
        if text.startswith(self.step) and name in self.makers and not self.killed:
            self.killed = next(one for one in ("one", "two") if (one == self.makers[name]) is self.maker)
            self.cluster.kill(self.killed)


NO_INDEX = dict.fromkeys(("HTTPS_PROXY", "https_proxy", "HTTP_PROXY", "http_proxy"), "http://127.0.0.1:9")


@pytest.mark.slow
@pytest.mark.parametrize(
    ("step", "maker"), [("sending", True), ("installing", True), ("ready", True), ("installing", False)]
)
def test_the_loss_of_a_worker_ends_no_run_however_far_an_environment_has_come(
    cluster: DaskCluster, tmp_path: Path, step: str, *, maker: bool
) -> None:
    for name in ("one", "two"):
        cluster.add(name, **NO_INDEX)
    killer = Killer(cluster, step, maker=maker)
    folder = matrix(tmp_path / "there")
    options = Options(engine="venv", cluster=cluster.address)
    with open_session(Matrix.load(folder / "matrix.yaml"), options, killer) as session:
        assert session.run().executed == 6
    assert f"{killer.killed} was lost." in killer.notes
    assert [(one.cell["six"], one.seed) for one in records(folder)] == [
        (version, seed) for version in ("1.15.0", "1.16.0") for seed in range(3)
    ]
