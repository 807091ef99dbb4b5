"""What environments stand on and where they are made, on a cluster whose workers come, go and fail."""

from __future__ import annotations

import threading
from concurrent.futures import Future, ThreadPoolExecutor, wait
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest

pytest.importorskip("distributed")

from answering_client import Answered, AnsweringClient, crew_of, facts, workers
from waiting import PATIENCE_S

from runner.engines.protocol import EngineKind, Image
from runner.environments.lock import Ground
from runner.errors import MachineError, RunnerError, StoppedError, UsageError
from runner.laboratory.bench import ImageOrder
from runner.laboratory.cluster import cluster as cluster_module
from runner.laboratory.cluster.cluster import Cluster
from runner.laboratory.cluster.cluster_engine import ClusterEngine
from runner.laboratory.cluster.errand import Made, Refusal
from runner.laboratory.cluster.placement import Station
from runner.laboratory.request import Silence
from runner.matrix.model import Resources
from runner.trials.job_files import Workplace

if TYPE_CHECKING:
    from pathlib import Path

    from runner.laboratory.cluster.crew import Crew


def opened(client: AnsweringClient, folder: Path, *machines: str) -> tuple[Cluster, Crew]:
    """A cluster that has workers, each of its own machine."""
    cluster = Cluster(
        client,  # type: ignore[arg-type]
        engine="venv",
        base="auto",
        runtime="",
        workplace=Workplace.beside(folder),
        observer=Silence(),
        catalog=lambda: None,  # type: ignore[arg-type, return-value]
        registry="here:1/cm",
    )
    crew = crew_of(client)
    for machine in machines:
        join(crew, machine)
    supply = SimpleNamespace(sent=lambda _: 0, send=lambda *_: False)
    steward: Any = SimpleNamespace(look=lambda: None, stop=crew.stop, supply=supply)
    cluster._opened = (client, crew, steward)  # type: ignore[assignment]
    return cluster, crew


def join(crew: Crew, machine: str, **identities: str) -> None:
    address = f"tcp://{machine}"
    crew.names[address] = machine
    crew.facts[address] = facts(machine, **identities)
    crew.stations[address] = Station(address=address, name=machine, machine=machine, processors=1)


def image_at(address: str = "") -> Image:
    return Image(
        engine=EngineKind.DOCKER,
        reference="env:1",
        lock_digest="a",
        base_identity="build",
        python_full="3.11.7",
        address=address,
    )


def image_order() -> ImageOrder:
    environment = type("E", (), {"own": None, "name": "six"})
    return ImageOrder(
        lock=type(
            "L",
            (),
            {
                "python": "3.11",
                "ground": Ground("3.11"),
                "digest": "a",
                "image_digest": "a",
                "environment": environment,
            },
        )()
    )  # type: ignore[arg-type]


def test_a_worker_that_joins_while_a_base_is_made_is_asked_too(tmp_path: Path) -> None:
    client = AnsweringClient()
    cluster, crew = opened(client, tmp_path, "one")
    asked: list[str] = []

    def answers(_: str, address: str) -> str:
        asked.append(address)
        if len(asked) == 1:
            join(crew, "two")
        return "build"

    client.answers = answers
    assert cluster.base_identity(Ground("3.11")) == "build"
    assert asked == ["tcp://one", "tcp://one", "tcp://two"]


def test_a_base_that_is_made_for_long_keeps_no_other_one_waiting(tmp_path: Path) -> None:
    client = AnsweringClient()
    cluster, _ = opened(client, tmp_path, "one")
    begun, other_is_known = threading.Event(), threading.Event()

    def while_it_is_made() -> None:
        client.afterwards = lambda: None
        begun.set()
        other_is_known.wait(PATIENCE_S)

    client.afterwards, client.answers = while_it_is_made, lambda *_: "build"
    with ThreadPoolExecutor(2) as threads:
        long = threads.submit(cluster.base_identity, Ground("3.11"))
        assert begun.wait(PATIENCE_S)
        other = threads.submit(cluster.base_identity, Ground("3.12"))
        wait([other], timeout=10)
        is_known = other.done()
        other_is_known.set()
        assert (long.result(PATIENCE_S), other.result(PATIENCE_S), is_known) == ("build", "build", True)


def test_a_named_base_image_is_asked_for_once_apart_from_the_usual_one_and_must_be_the_same_everywhere(
    tmp_path: Path,
) -> None:
    client = AnsweringClient()
    cluster, crew = opened(client, tmp_path, "one", "two")
    asked: list[str] = []

    def answers(question: str, address: str) -> Any:
        asked.append(question)
        return ("3.8",) if question == "pythons" else said.get((question, address), "image")

    said: dict[tuple[str, str], str | None] = {("known_identity", "tcp://two"): None}
    client.answers = answers
    assert [cluster.known_identity(Ground("3.8", "mine:1")) for _ in range(2)] == [None, None]
    assert cluster.base_identity(Ground("3.8", "mine:1")) == "image"
    assert cluster.known_identity(Ground("3.8", "mine:1")) == "image"
    assert cluster.known_identity(Ground("3.8")) is None
    assert asked == ["known_identity"] * 2 + ["base_identity"] * 2
    said.clear()
    assert cluster.known_identity(Ground("3.9", "mine:2")) == "image"
    assert cluster.pythons("mine:1") == ("3.8",)
    said["base_identity", "tcp://two"] = "another image"
    with pytest.raises(MachineError, match="builds of CPython on other:1") as caught:
        cluster.pythons("other:1")
    assert "another image" in str(caught.value)
    assert list(crew.stations) == ["tcp://one", "tcp://two"]


def test_what_a_worker_without_work_does_not_know_is_not_waited_for(tmp_path: Path) -> None:
    client = AnsweringClient()
    cluster, crew = opened(client, tmp_path, "one", "two")
    client.answers = lambda _, address: "build"
    assert crew.exclude("tcp://two", MachineError("disk full"))
    assert cluster.base_identity(Ground("3.11")) == "build"


def test_a_worker_that_can_not_make_a_base_gets_no_work_and_the_others_do(tmp_path: Path) -> None:
    client = AnsweringClient()
    cluster, crew = opened(client, tmp_path, "full", "other")
    client.answers = lambda _, address: "build" if address == "tcp://other" else Refusal.of(MachineError("disk full"))
    assert cluster.base_identity(Ground("3.11")) == "build"
    assert list(crew.stations) == ["tcp://other"]
    with pytest.raises(MachineError, match="On worker full: disk full"):
        opened(client, tmp_path, "full")[0].base_identity(Ground("3.11"))


def test_an_environment_waits_for_a_worker_where_all_are_gone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    client = AnsweringClient()
    cluster, crew = opened(client, tmp_path)

    def wait(_: float) -> bool:
        join(crew, "late", **{"3.11": "build"})
        return False

    monkeypatch.setattr(cluster._stopping, "wait", wait)
    image = image_at()
    client.answers = lambda function, _: Made(image=image, took_s=1.0) if function == "make_image" else "build"
    order = image_order()
    assert cluster.image(order) is image
    monkeypatch.setattr(cluster_module, "ALONE_S", -1.0)
    crew.leave("tcp://late", counts=True)
    with pytest.raises(MachineError, match="has lost all its workers"):
        cluster.image(order)


@pytest.mark.parametrize(("address", "known"), [("here:1/cm/env@1", True), ("there/env@1", False), ("", False)])
def test_where_an_image_was_pushed_is_told_to_the_next_worker_unless_it_is_another_registry(
    tmp_path: Path, address: str, known: bool
) -> None:
    client = AnsweringClient()
    cluster, _ = opened(client, tmp_path, "one")
    image = image_at(address)
    client.answers = lambda function, _: image if function == "find" else "build"
    lock: Any = type("L", (), {"python": "3.11", "image_digest": "a"})()
    assert cluster.find(lock) is image
    assert cluster._waits.addresses == ({"a": address} if known else {})


def test_a_worker_that_goes_while_a_run_begins_is_not_waited_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    client = AnsweringClient()
    monkeypatch.setattr(cluster_module, "connected", lambda _: client)
    cluster, _ = opened(client, tmp_path)
    cluster._opened = None
    gone = {"action": "remove-worker", "worker": "tcp://one", "expected": False}

    def asked(*_: object, workers: list[str], **__: object) -> Future[Any]:
        if workers != ["tcp://one"]:
            return answered(*_, workers=workers)
        waits = Answered()
        waits.afterwards = lambda: client.heard["all"]((0.0, gone))
        return waits

    answered, client.submit = client.submit, asked  # type: ignore[assignment, method-assign]
    with pytest.raises(MachineError, match="Worker one was lost"):
        cluster.base_identity(Ground("3.11"))
    client.is_closed = False
    client.names = ["one", "two"]
    client.answers = lambda function, address: facts(address, **{"3.11": "build"})
    assert cluster.base_identity(Ground("3.11")) == "build"
    assert list(cluster.facts()) == ["two"]
    cluster.close()


@pytest.mark.parametrize("wrong", [MachineError("disk full"), UsageError("its own config.toml is wrong")])
def test_what_one_worker_lacks_or_has_wrong_ends_no_environment_that_another_one_can_make(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, wrong: RunnerError
) -> None:
    client = AnsweringClient()
    cluster, crew = opened(client, tmp_path)
    join(crew, "a-full", **{"3.11": "build"})
    join(crew, "without-index", **{"3.11": "build"})
    image = image_at()
    sent: list[str] = []

    def send(station: Station, *_: object) -> bool:
        sent.append(station.address)
        return True

    def answers(_: str, address: str) -> object:
        if address == "tcp://a-full":
            return Refusal.of(wrong)
        return Made(image=image, took_s=1.0) if address in sent else Refusal.of(MachineError("no index"))

    monkeypatch.setattr(cluster._steward.supply, "send", send)
    client.answers = answers
    assert cluster.image(image_order()) is image
    assert sent[-1] == "tcp://without-index"
    assert list(crew.stations) == ["tcp://without-index"]


def test_a_run_that_stops_waits_for_no_environment_on_a_worker_that_is_cut_off(tmp_path: Path) -> None:
    client = AnsweringClient()
    cluster, crew = opened(client, tmp_path)
    join(crew, "cut", **{"3.11": "build"})
    asked = threading.Event()

    def cut(*_: object, **__: object) -> Future[Any]:
        future = Answered()
        future.afterwards = asked.set
        return future

    client.submit = cut  # type: ignore[method-assign]
    client.run = lambda *_, **__: threading.Event().wait(PATIENCE_S)  # type: ignore[assignment, method-assign, return-value]
    with ThreadPoolExecutor(1) as makers, pytest.MonkeyPatch.context() as patch:
        patch.setattr(cluster_module, "_STOP_S", 0.1)
        making = makers.submit(cluster.image, image_order())
        assert asked.wait(PATIENCE_S)
        cluster.stop()
        with pytest.raises(StoppedError):
            making.result(PATIENCE_S)
    assert cluster._ending == []


def test_where_the_worker_that_is_asked_for_a_base_goes_another_one_of_its_machine_is_asked(tmp_path: Path) -> None:
    client = AnsweringClient()
    cluster, crew = opened(client, tmp_path)
    for name in ("one", "two"):
        crew.names[f"tcp://{name}"] = name
        crew.facts[f"tcp://{name}"] = facts("shared")
        crew.stations[f"tcp://{name}"] = Station(address=f"tcp://{name}", name=name, machine="shared", processors=1)
    asked: list[str] = []

    def answers(_: str, address: str) -> str | Refusal:
        asked.append(address)
        return "build" if len(asked) > 1 else Refusal.of(StoppedError())  # as it is closed

    client.answers = answers
    assert cluster.base_identity(Ground("3.11")) == "build"
    assert sorted(asked) == ["tcp://one", "tcp://two"]


def test_the_last_worker_that_is_closed_while_it_makes_an_environment_is_waited_for_not_taken_as_ctrl_c(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    client = AnsweringClient()
    cluster, crew = opened(client, tmp_path)
    join(crew, "closed", **{"3.11": "build"})

    def wait(_: float) -> bool:
        crew.leave("tcp://closed", counts=False)
        join(crew, "next", **{"3.11": "build"})
        return False

    monkeypatch.setattr(cluster._stopping, "wait", wait)
    image = image_at()
    client.answers = lambda _, address: (
        Made(image=image, took_s=1.0) if address == "tcp://next" else Refusal.of(StoppedError())
    )
    assert cluster.image(image_order()) is image


def test_an_environment_is_made_on_the_next_worker_where_one_dies_before_home_hears_that_it_is_gone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    client = AnsweringClient()
    cluster, crew = opened(client, tmp_path)
    join(crew, "dies", **{"3.11": "build"})
    client.run = lambda *_, **__: {}  # type: ignore[assignment, method-assign]
    image = image_at()
    client.answers = lambda _, address: (
        Made(image=image, took_s=1.0) if address == "tcp://next" else Refusal.of(MachineError("no index"))
    )

    def wait(_: float) -> bool:
        crew.leave("tcp://dies", counts=True)
        join(crew, "next", **{"3.11": "build"})
        return False

    monkeypatch.setattr(crew.stopping, "wait", wait)
    assert cluster.image(image_order()) is image


def test_what_all_workers_share_is_known_while_none_is_there(tmp_path: Path) -> None:
    client = AnsweringClient()
    cluster, crew = opened(client, tmp_path)
    client.names = ["one"]
    crew.take(workers("one"), strictly=True)
    engine = ClusterEngine(cluster)
    crew.leave("tcp://one", counts=True)
    assert (engine.platform, engine.emulated, engine.gpus()) == ("linux/amd64", "", ())


def test_environments_of_trials_that_run_in_turn_are_made_on_their_one_worker_and_on_the_next_once_that_is_lost(
    tmp_path: Path,
) -> None:
    client = AnsweringClient()
    cluster, crew = opened(client, tmp_path)
    join(crew, "one", **{"3.11": "build"})
    join(crew, "two", **{"3.11": "build"})
    asked: list[str] = []

    def answers(_: str, address: str) -> Made:
        asked.append(address)
        return Made(image=image_at(), took_s=1.0)

    client.answers = answers
    cluster._pair = True
    cluster.executor(Resources(), 1)
    cluster._waits.making["two"] = 2  # it has the most to make
    for _ in range(3):
        cluster.image(image_order())
    assert asked == ["tcp://two"] * 3
    crew.leave("tcp://two", counts=True)
    join(crew, "three", **{"3.11": "build"})
    for _ in range(2):
        cluster.image(image_order())
    assert asked[3:] == ["tcp://three"] * 2


def test_a_trial_that_no_worker_has_room_for_is_told_with_what_to_do(tmp_path: Path) -> None:
    cluster, crew = opened(AnsweringClient(), tmp_path, "one")
    crew.stations["tcp://one"].memory_bytes = 2 * 1000**3
    with pytest.raises(UsageError, match=r"largest worker declares 2\.0 GB\. Start one .*--resources \"memory=…\""):
        cluster.executor(Resources(memory_bytes=4 * 1000**3), None)
    with pytest.raises(MachineError, match=r"1 GPU, and no worker has so many \(`doctor --cluster`.*leave `gpus`"):
        cluster.executor(Resources(gpus=1), None)
