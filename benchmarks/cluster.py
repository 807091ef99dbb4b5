"""What a Dask cluster costs: a trial of 0 s beside a bare `Client.submit`, a warm matrix beside its bound.

    python benchmarks/cluster.py [cluster-trial] [cluster-matrix] [--venv]

The rival of the first is a function that starts the same script in the same environment, handed to the same worker with
`Client.submit`, one after the other. The bound of the second is the longest chain or all work divided by the slots,
whichever is larger; its trials sleep, so that what is measured is the placement and not this machine's processors.
"""

from __future__ import annotations

import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from distributed import Client, LocalCluster
from figures import tell

from runner import Matrix, Options, open_session
from runner.environments.lock import Lock
from runner.trials.store import Store

MATRIX = """\
axes:
  six: [{releases}]
  python: ["3.11"]
experiment: {{script: naps.py, timeout: 2m, env: {{NAP: "{nap}"}}}}
criterion: loss < 1
seeds: {seeds}
"""
SCRIPT = """\
import json, os, time
seed = int(os.environ.get("PYTHONHASHSEED", "0"))
time.sleep(float(os.environ["NAP"]) * (1 + seed % 3 / 2))
if "RUNNER_METRICS" in os.environ:
    with open(os.environ["RUNNER_METRICS"], "a") as metrics:
        metrics.write(json.dumps({"epoch": 1, "loss": 0.5 + seed / 1000}) + "\\n")
"""
TRIALS = 30


def folder_with(place: Path, **values: object) -> Path:
    place.mkdir(exist_ok=True)
    (place / "naps.py").write_text(SCRIPT)
    (place / "matrix.yaml").write_text(MATRIX.format(**values))
    return place


def ran(folder: Path, engine: str, client: Client | None, jobs: int | None) -> tuple[float, int, list[str]]:
    """The seconds of a run, its trials, and the environments that it ran in."""
    options = Options(engine=engine, cluster=client, jobs=jobs, base="auto" if engine == "venv" else "offline")
    with open_session(Matrix.load(folder / "matrix.yaml"), options) as session:
        session.laboratory.equipment.engine.describe()  # connected
        begun = time.perf_counter()
        executed = session.run().executed
        took_s = time.perf_counter() - begun
        locks = [session.laboratory.environments.locked(group.environment) for group in session.groups]
        found = [session.laboratory.equipment.engine.find(lock) for lock in locks if isinstance(lock, Lock)]
        return took_s, executed, [image.reference for image in found if image is not None]


def bare(engine: str, reference: str, script: str) -> int:
    if engine == "docker":
        command = ["docker", "run", "--rm", "--network=none", "-v", f"{script}:/w/naps.py:ro", "-e", "NAP=0", reference]
        return subprocess.run([*command, "python", "/w/naps.py"], check=True).returncode
    return subprocess.run([f"{reference}/bin/python", script], check=True, env={"NAP": "0"}).returncode


def of_no_work(engine: str, folder: Path) -> None:
    place = folder_with(folder / "none", releases="1.16.0", nap=0, seeds=2)
    with LocalCluster(n_workers=1, threads_per_worker=1, dashboard_address=None) as cluster, Client(cluster) as client:
        _, _, (reference,) = ran(place, engine, client, 1)
        here = folder_with(folder / "here", releases="1.16.0", nap=0, seeds=2)
        ran(here, engine, None, 1)
        for one in (place, here):
            folder_with(one, releases="1.16.0", nap=0, seeds=2 + TRIALS)
        took_s, executed, _ = ran(place, engine, client, 1)
        here_s, executed_here, _ = ran(here, engine, None, 1)
        times = []
        for number in range(TRIALS):
            begun = time.perf_counter()
            client.submit(bare, engine, reference, str(place / "naps.py"), key=f"bare-{number}", pure=False).result()
            times.append(time.perf_counter() - begun)
    one_s, alone_s, bare_s = took_s / executed, here_s / executed_here, statistics.mean(times)
    print(f"a trial of 0 s under {engine}, one after the other, {executed} trials: {one_s:.3f} s on a cluster,")
    print(f"  {alone_s:.3f} s on this machine, {bare_s:.3f} s for a bare Client.submit of the same start:")
    print(f"  {one_s / alone_s:.2f} times this machine")
    tell("cluster-trial", one_s, bare_s)


def of_a_matrix(engine: str, folder: Path) -> None:
    releases = "1.11.0, 1.12.0, 1.13.0, 1.14.0, 1.15.0, 1.16.0"
    place = folder_with(folder / "matrix", releases=releases, nap=2, seeds=1)
    with LocalCluster(n_workers=3, threads_per_worker=2, dashboard_address=None) as cluster, Client(cluster) as client:
        ran(place, engine, client, None)
        with Store(place / ".runner" / "records.sqlite") as store:
            before = set(store.keys())
        folder_with(place, releases=releases, nap=2, seeds=9)
        took_s, executed, _ = ran(place, engine, client, None)
    with Store(place / ".runner" / "records.sqlite") as store:
        durations = [one.duration_s for key, one in store.get(store.keys()).items() if key not in before]
    bound_s = max(*durations, sum(durations) / 6)
    print(f"a warm matrix under {engine}, {executed} trials over 3 workers with 2 slots each: {took_s:.1f} s")
    tell("cluster-matrix", took_s, bound_s)


if __name__ == "__main__":
    chosen = "venv" if "--venv" in sys.argv else "docker"
    named = [one for one in sys.argv[1:] if not one.startswith("-")]
    work = Path(tempfile.mkdtemp())
    try:
        if not named or "cluster-trial" in named:
            of_no_work(chosen, work)
        if not named or "cluster-matrix" in named:
            of_a_matrix(chosen, work)
    finally:
        shutil.rmtree(work)
