"""What a Dask cluster costs: a trial of 0 s beside a bare `Client.submit`, a warm matrix beside its bound.

    python benchmarks/cluster.py [cluster-trial] [cluster-matrix] [--venv]

The rival of the first is a function that starts the same script in the same environment, handed to the same worker with
`Client.submit`, one after the other; a trial's time is what a run of 12 takes longer than one of 2, by 10, and all
sides take turns. The bound of the second is the longest chain or all work divided by the slots,
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
ROUNDS, FEW, MANY = 5, 2, 10
NOTHING = {"releases": "1.16.0", "nap": 0}


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
    place, here, (one_s, alone_s, bare_s) = folder / "none", folder / "here", ([], [], [])
    with LocalCluster(n_workers=1, threads_per_worker=1, dashboard_address=None) as cluster, Client(cluster) as client:
        _, _, (reference,) = ran(folder_with(place, **NOTHING, seeds=2), engine, client, 1)
        ran(folder_with(here, **NOTHING, seeds=2), engine, None, 1)
        for number in range(ROUNDS):
            one_s.append(per_trial(place, number, engine, client))
            bare_s.append(statistics.fmean(handed_in(client, engine, reference, place) for _ in range(MANY)))
            alone_s.append(per_trial(here, number, engine, None))
            print(
                f"round {number + 1}: {one_s[-1]:.3f} s, bare {bare_s[-1]:.3f} s, here {alone_s[-1]:.3f} s", flush=True
            )
    one, bare_one, alone = map(statistics.median, (one_s, bare_s, alone_s))
    print(f"a trial of 0 s under {engine}: {one:.3f} s on a cluster, {alone:.3f} s on this machine ({one / alone:.2f})")
    tell("cluster-trial", one, bare_one)


def per_trial(place: Path, number: int, engine: str, client: Client | None) -> float:
    """What a run of FEW + MANY trials takes longer than one of FEW, by MANY; all new, one after the other."""
    seeds = 2 + number * (2 * FEW + MANY) + FEW
    few_s, executed, _ = ran(folder_with(place, **NOTHING, seeds=seeds), engine, client, 1)
    many_s, more, _ = ran(folder_with(place, **NOTHING, seeds=seeds + FEW + MANY), engine, client, 1)
    assert (executed, more) == (FEW, FEW + MANY)
    return (many_s - few_s) / MANY


def handed_in(client: Client, engine: str, reference: str, place: Path) -> float:
    """The seconds of a bare `Client.submit` of a function that starts the same script."""
    begun = time.perf_counter()
    client.submit(bare, engine, reference, str(place / "naps.py"), pure=False).result()
    return time.perf_counter() - begun


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
