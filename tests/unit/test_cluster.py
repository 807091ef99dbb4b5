"""The values that travel to the workers of a cluster, and what is refused before anything runs there."""

from __future__ import annotations

import importlib.metadata
import pickle
import platform
import socketserver
import sys
import threading
from datetime import UTC, datetime
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest
from fake_engine import write_matrix

from runner.environments.lock import Lock
from runner.environments.times import undated_in
from runner.errors import (
    BuildFailedError,
    EngineLostError,
    MachineError,
    NoEngineError,
    RunnerError,
    StoppedError,
    UsageError,
)
from runner.laboratory.equipment import World
from runner.laboratory.laboratory import Laboratory, Named, open_laboratory
from runner.laboratory.setup import Settings, Setup
from runner.matrix.cells import expand
from runner.matrix.matrix_file import Matrix
from runner.session.options import Options
from runner.session.session import open_session
from runner.trials.store import Store
from runner.trials.trial import Trial, probe_version

pytest.importorskip("distributed")

from runner.engines.protocol import EngineKind
from runner.laboratory.cluster.crew import Crew
from runner.laboratory.cluster.errand import Errand, Facts, Refusal, Terms, bundled
from runner.laboratory.cluster.line import connected, refuse_others
from runner.scripts.script import copy_script

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

TERMS = Terms(run="run", engine="venv", base="auto", undated=undated_in("release", ()))


@pytest.fixture
def matrix(tmp_path: Path) -> Matrix:
    return Matrix.load(write_matrix(tmp_path / "here"))


def trial_of(matrix: Matrix) -> Trial:
    with open_laboratory(matrix.folder, world=World()) as laboratory:
        lock = laboratory.environments.locked(Setup.of(matrix).environment(expand(matrix)[0]))
    assert isinstance(lock, Lock)
    with Store(matrix.folder / "records.sqlite") as store:
        origin = EngineKind.VENV, "build"
        setting = Settings(matrix.folder).of(expand(matrix)[0], Setup.of(matrix), lock, origin, store)
    return Trial(setting=setting, seed=7)


def test_an_errand_is_whole_where_the_script_is_not(matrix: Matrix, tmp_path: Path) -> None:
    trial = trial_of(matrix)
    key = trial.key
    script = bundled(trial.setting.script)
    errand = Errand(trial=trial, processors=1)
    came = pickle.loads(pickle.dumps(errand))
    assert (came.trial.key, pickle.loads(pickle.dumps(TERMS)).undated("six")) == (key, TERMS.undated("six"))  # type: ignore[misc]
    (matrix.folder / "a.py").unlink()
    copy_script(pickle.loads(pickle.dumps(script)), tmp_path / "work")
    assert (tmp_path / "work" / "a.py").read_text() == "print('a.py')\n"
    assert script.digest == trial.setting.script.digest


@pytest.mark.parametrize(
    "error",
    [
        BuildFailedError("install", "no wheel", passing=True),
        MachineError("disk full"),
        EngineLostError("gone"),
        StoppedError(),
    ],
    ids=lambda error: type(error).__name__,
)
def test_an_error_comes_home_as_what_it_is(error: RunnerError) -> None:
    came = pickle.loads(pickle.dumps(Refusal.of(error))).error("w1")
    assert type(came) is type(error)
    assert str(error) in str(came)
    if isinstance(error, BuildFailedError):
        assert (came.stage, came.passing) == ("install", True)
    elif isinstance(error, MachineError):
        assert "worker w1" in str(came)


def facts(**changes: Any) -> Facts:
    values = {
        "host": "host",
        "machine": "machine",
        "engine": "venv",
        "base": "",
        "described": "venv",
        "platform": "linux/amd64",
        "emulated": "",
        "pythons": ("3.11",),
        "identities": {"3.11": "one build"},
        "processors": 2,
        "memory_bytes": 1,
        "free_bytes": 1,
    }
    return Facts(**{**values, **changes})


def crew(*found: Facts) -> Crew:
    made = Crew(None, TERMS, lambda _: None)  # type: ignore[arg-type]
    for number, one in enumerate(found):
        made.names[f"tcp://{number}"] = f"w{number}"
        made.facts[f"tcp://{number}"] = one
    return made


def test_workers_with_different_base_images_are_told_apart_before_anything_runs() -> None:
    other = facts(identities={"3.11": "another build"})
    with pytest.raises(MachineError) as caught:
        crew(facts(), other, facts()).identity("3.11")
    assert str(caught.value) == (
        "The workers of the cluster have different builds of CPython 3.11: one build on w0, w2; another build on w1."
        " Trials would not be comparable: give all the same base images (or interpreters), or name the workers that are"
        " alike."
    )


def test_what_a_lock_does_not_pin_is_known_where_every_worker_knows_it_and_stays() -> None:
    assert crew(facts(), facts(identities={})).identity("3.11") is None
    two = crew(facts(), facts())
    assert two.identity("3.11") == "one build"
    two.facts.clear()  # all are gone for a moment
    assert two.identity("3.11") == "one build"


class FakeClient:
    """A client whose one worker answers functions by their names; None: it does not."""

    def __init__(self, **answers: object) -> None:
        self.answers = {"python_version": platform.python_version(), "version": MINE[0], "probe_version": MINE[1]}
        self.answers |= answers  # type: ignore[arg-type]

    def scheduler_info(self, n_workers: int) -> dict[str, object]:
        return {"workers": {"tcp://w": {}}}

    def run(self, function: Any, *values: object, workers: list[str], on_error: str) -> dict[str, object]:
        assert pickle.dumps(function).count(function.__name__.encode())  # by its name, not as its code
        answer = self.answers[function.__name__]
        return {} if answer is None else {"tcp://w": answer}


MINE = importlib.metadata.version("convergence-matrix"), probe_version()
LACKING = ModuleNotFoundError("No module named 'runner'")


@pytest.mark.parametrize(
    ("answers", "told"),
    [
        (
            {"version": "9.9", "probe_version": "probe"},
            f"{MINE[0]} (probe {MINE[1]}), and worker w has 9.9 (probe probe)",
        ),
        ({"probe_version": "probe"}, f"and worker w has {MINE[0]} (probe probe)"),
        ({"version": importlib.metadata.PackageNotFoundError("x")}, "worker w has no convergence-matrix"),
        ({"probe_version": LACKING}, "worker w has no convergence-matrix"),
        ({"version": OSError("broken")}, "worker w could not say its version"),
        ({"version": None}, "worker w did not say its version within"),
    ],
)
def test_a_worker_with_another_version_is_refused_with_both_numbers(answers: dict[str, object], told: str) -> None:
    with pytest.raises(UsageError, match="Install the same version everywhere") as caught:
        refuse_others(FakeClient(**answers), {"tcp://w": "w"}, threading.Event())  # type: ignore[arg-type]
    assert told in str(caught.value)
    refuse_others(FakeClient(), {"tcp://w": "w"}, threading.Event())  # type: ignore[arg-type]


def test_a_worker_that_went_before_it_said_its_version_is_not_refused() -> None:
    client: Any = FakeClient(version=OSError("closed"), probe_version=None)
    refuse_others(client, {"tcp://gone": "gone"}, threading.Event())


def test_a_worker_of_another_cpython_is_refused_and_one_of_another_patch_is_not() -> None:
    mine = platform.python_version()
    with pytest.raises(UsageError, match=f"This machine has CPython {mine}, and worker w has 3.99.1. Give all"):
        refuse_others(FakeClient(python_version="3.99.1"), {"tcp://w": "w"}, threading.Event())  # type: ignore[arg-type]
    patch = f"{mine.rpartition('.')[0]}.99"
    refuse_others(FakeClient(python_version=patch), {"tcp://w": "w"}, threading.Event())  # type: ignore[arg-type]


@pytest.fixture
def chatty() -> Iterator[str]:
    """The address of a server that is no scheduler, and speaks first, as one of SSH."""

    class Greeting(socketserver.BaseRequestHandler):
        def handle(self) -> None:
            self.request.sendall(b"SSH-2.0-OpenSSH_9.2 " * 20)
            self.request.recv(1)

    with socketserver.ThreadingTCPServer(("127.0.0.1", 0), Greeting) as server:
        threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
        yield f"tcp://127.0.0.1:{server.server_address[1]}"
        server.shutdown()


@pytest.mark.parametrize("where", ["", "host", "http://host:1", "tcp://host:port", "tls://127.0.0.1:1", "chatty"])
def test_an_address_at_which_no_scheduler_answers_is_one_message_and_makes_no_client(
    where: str, chatty: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    made: list[object] = []  # one that could not connect tells of it with a traceback when it is forgotten
    monkeypatch.setattr("runner.laboratory.cluster.line.Client", made.append)
    with pytest.raises(NoEngineError, match="No scheduler answers at ") as met:
        connected(chatty if where == "chatty" else where)
    assert ("COMM__TLS__CA_FILE" in str(met.value)) == where.startswith("tls:")
    assert made == []


def test_runs_that_share_a_client_have_a_connection_each_to_its_scheduler_and_leave_it_alone(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    made: list[tuple[str, object]] = []

    def client(address: str, *, security: object, **_: object) -> object:
        made.append((address, security))
        return object()

    monkeypatch.setattr("runner.laboratory.cluster.line.Client", client)
    handed_in: Any = SimpleNamespace(scheduler=SimpleNamespace(address="inproc://here"), security=object())
    one, other = connected(handed_in), connected(handed_in)  # what one hears would be overwritten by the other
    assert one is not other
    assert made == [("inproc://here", handed_in.security)] * 2
    handed_in.scheduler = None
    with pytest.raises(NoEngineError, match="is closed"):
        connected(handed_in)


def opened_on(folder: Path, **options: Any) -> Laboratory:
    return open_laboratory(folder, Named(cluster="tcp://127.0.0.1:9"), **options)


def test_pruning_is_this_machines_and_refused_on_a_cluster(matrix: Matrix) -> None:
    with pytest.raises(UsageError, match="--prune-images"):
        opened_on(matrix.folder, prune_images=True)


def test_without_dask_a_cluster_is_refused_with_what_to_install(
    matrix: Matrix, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in [name for name in sys.modules if name.startswith("runner.laboratory.cluster")]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "distributed", None)
    with pytest.raises(UsageError, match=r"pip install 'convergence-matrix\[cluster\]'"):
        opened_on(matrix.folder)


def test_nothing_is_connected_to_before_something_is_asked(matrix: Matrix) -> None:
    with open_session(matrix, Options(cluster="tcp://127.0.0.1:9")) as session:
        assert len(session.cells) == 4


def test_a_trial_that_took_workers_down_is_told_with_them(matrix: Matrix) -> None:
    from runner.laboratory.cluster.ordered_trial import Ordered, TrialLot, taking_workers_down
    from runner.laboratory.cluster.placement import Needs
    from runner.laboratory.executor import TrialOrder

    trial = trial_of(matrix)
    one = Ordered(
        order=TrialOrder(trial=trial, image=None),  # type: ignore[arg-type]
        turn=(),
        needs=Needs(),
        begun=lambda _: None,
        lot=TrialLot(jobs=None),
        lost=["w1", "w2", "w1"],
        first_s=datetime(2026, 1, 1, tzinfo=UTC).timestamp(),
    )
    record = taking_workers_down(one)
    assert (record.key, record.signal, record.lost_workers) == (trial.key, 9, ("w1", "w2", "w1"))
    assert record.message == "It took 3 workers down with it: w1, w2, w1"
