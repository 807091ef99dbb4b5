"""The steward of a cluster's trials, over a client without a scheduler: what happens when workers fail or go."""

from __future__ import annotations

import threading
from concurrent.futures import Future
from functools import partial
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest

pytest.importorskip("distributed")

from waiting import PATIENCE_S, until

from runner.errors import BuildFailedError, MachineError, RunnerError, UsageError
from runner.laboratory.bench import nothing
from runner.laboratory.cluster import steward as steward_module
from runner.laboratory.cluster.cargo import Supply
from runner.laboratory.cluster.crew import Crew
from runner.laboratory.cluster.errand import Finished, Refusal, Terms
from runner.laboratory.cluster.homecoming import HomeError
from runner.laboratory.cluster.ordered_trial import Ordered, TrialLot
from runner.laboratory.cluster.placement import Needs, Station, Waits
from runner.laboratory.cluster.steward import ALONE_S, Steward
from runner.laboratory.cluster.worker_files import DataMissingError
from runner.laboratory.request import Silence
from runner.trials.job_files import Workplace

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

TERMS = Terms(run="run", engine="venv", base="auto")


class TaskFuture(Future[Any]):
    """A task of the fake client."""

    def cancel(self, reason: str = "") -> bool:
        return super().cancel()


class FakeClient:
    """Takes tasks, and answers none."""

    status = "running"

    def __init__(self) -> None:
        self.tasks: list[tuple[str, TaskFuture]] = []
        self.lacking: list[list[str]] = []

    def submit(self, *_: object, workers: list[str], **__: object) -> TaskFuture:
        self.tasks.append((workers[0], TaskFuture()))
        return self.tasks[-1][1]

    def run(self, function: Any, *_: object, workers: list[str], **__: object) -> dict[str, object]:
        """Every worker answers, and lacks the files that are said next."""
        return {workers[0]: self.lacking.pop(0) if function.__name__ == "lacking" else 1}

    def scheduler_info(self, **_: object) -> dict[str, Any]:
        return {"workers": {}}

    def subscribe_topic(self, *_: object) -> None:
        pass

    def unsubscribe_topic(self, *_: object) -> None:
        pass


class Place:
    """A steward whose clock and thread stand still: what it does is called here."""

    def __init__(self, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.now = 0.0
        self.all: list[Ordered] = []
        monkeypatch.setattr(steward_module, "_LOOK_EVERY_S", 60.0)
        monkeypatch.setattr(steward_module, "_ANSWERS", 1)
        monkeypatch.setattr(steward_module, "time", SimpleNamespace(monotonic=lambda: self.now, time=lambda: self.now))
        monkeypatch.setattr(steward_module, "packed_errand", lambda *_: b"")
        self.client = FakeClient()
        self.crew = Crew(self.client, TERMS, lambda _: None)  # type: ignore[arg-type]
        self.steward = Steward(
            self.client,  # type: ignore[arg-type]
            TERMS,
            crew=self.crew,
            waits=Waits(),
            supply=Supply(self.client, self.crew, lambda: None, Silence()),  # type: ignore[arg-type, return-value]
            workplace=Workplace.beside(folder),
            observer=Silence(),
        )

    def add(self, *stations: Station) -> None:
        """Have workers."""
        for one in stations:
            self.crew.stations[one.address] = one
            self.crew.names[one.address] = one.name

    def ordered(self, key: str, **needs: Any) -> Ordered:
        """A trial that waits."""
        cell, lock = (
            SimpleNamespace(id=SimpleNamespace(brief="cell")),
            SimpleNamespace(image_digest="a", packages=(), environment=SimpleNamespace(name="a", own=None)),
        )
        trial = SimpleNamespace(key=key, seed=0, setting=SimpleNamespace(cell=cell, lock=lock, script=None))
        order: Any = SimpleNamespace(trial=trial)
        one = Ordered(order=order, turn=(0,), needs=Needs(**needs), begun=lambda _: None, lot=TrialLot(jobs=None))
        self.steward.order(one)
        self.done()
        self.all.append(one)
        return one

    def done(self, event: Callable[[], None] = nothing) -> None:
        """Have the steward's thread do something, and all that came before."""
        passed = threading.Event()
        self.steward._events.put(event)
        self.steward._events.put(passed.set)
        assert passed.wait(10)

    def lose(self, address: str) -> None:
        """Let a worker go, unannounced, and its trials wait again."""
        self.done(partial(self.steward._left, address, counts=True))
        self.steward._answers.submit(nothing).result(10)
        self.done()


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Place]:
    place = Place(tmp_path, monkeypatch)
    yield place
    place.steward.close()


def station(name: str, **more: Any) -> Station:
    return Station(address=f"tcp://{name}", name=name, machine=name, processors=1, **more)


def test_after_much_work_trials_wait_five_minutes_for_a_worker_too(place: Place) -> None:
    place.add(station("x"))
    place.now = 10_000
    one = place.ordered("one")
    place.lose("tcp://x")
    place.done(place.steward._check_line)
    assert not one.future.done()
    place.now += ALONE_S + 1
    place.done(place.steward._check_line)
    with pytest.raises(MachineError, match="has had no workers for 300 s"):
        one.future.result(0)


def test_a_trial_that_no_worker_has_room_for_any_more_does_not_wait_for_ever(place: Place) -> None:
    place.add(station("small", memory_bytes=1), station("large", memory_bytes=9))
    one = place.ordered("one", memory_bytes=5)
    place.lose("tcp://large")
    place.done(place.steward._check_line)
    assert not one.future.done()
    place.now += ALONE_S + 1
    place.done(place.steward._check_line)
    with pytest.raises(MachineError, match="no worker with room"):
        one.future.result(0)


@pytest.mark.parametrize("wrong", [BuildFailedError("install", "no compiler"), UsageError("its own config.toml")])
def test_where_a_worker_can_not_make_what_another_one_made_the_trial_goes_on_elsewhere(
    place: Place, wrong: RunnerError
) -> None:
    place.add(station("x"), station("y"))
    one = place.ordered("one")
    ((first, task),) = place.client.tasks
    task.set_result(Refusal.of(wrong))
    place.steward._answers.submit(nothing).result(10)
    place.done()
    assert [address for address, _ in place.client.tasks] == [first, *({"tcp://x", "tcp://y"} - {first})]
    assert not one.future.done()


def test_a_scheduler_that_is_gone_is_no_workers_fault(place: Place) -> None:
    place.add(station("x"), station("y"))
    one = place.ordered("one")
    ((_, task),) = place.client.tasks
    task.cancel()
    until(one.future.done, "the end")
    with pytest.raises(MachineError, match="The scheduler of the cluster is gone"):
        one.future.result(0)
    assert len(place.crew.stations) == 2


def test_data_that_is_sent_keeps_no_result_from_coming_home(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    arrived = threading.Event()
    cargo = SimpleNamespace(send_data=lambda _: arrived.wait(PATIENCE_S))
    monkeypatch.setattr(steward_module, "Cargo", lambda *_, **__: cargo)
    record: Any = SimpleNamespace(duration_s=1.0, model_copy=lambda **_: record)
    monkeypatch.setattr(place.steward, "_bring_home", lambda *_, **__: record)
    place.add(station("x"), station("y"))
    place.ordered("one"), place.ordered("other")
    (_, first), (_, second) = place.client.tasks
    first.set_result(Refusal.of(DataMissingError("not here")))
    try:
        second.set_result(record)
        until(lambda: any(one.key not in place.steward._ordered for one in place.all), "the other one's record")
    finally:
        arrived.set()
    until(lambda: len(place.client.tasks) == 3, "the first one's second try")


def test_a_home_that_is_slow_keeps_no_worker_from_its_next_trial_until_much_waits_to_come(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    arrived = threading.Event()
    record: Any = SimpleNamespace(duration_s=1.0, model_copy=lambda **_: record)
    monkeypatch.setattr(place.steward, "_bring_home", lambda *_, **__: arrived.wait(PATIENCE_S) and record)
    monkeypatch.setattr(steward_module, "_MOST_COMING", 1)
    place.add(station("x"))
    for name in ("one", "two", "three"):
        place.ordered(name)
    try:
        place.client.tasks[0][1].set_result(record)
        until(lambda: len(place.client.tasks) == 2, "the second one's begin")
        place.client.tasks[1][1].set_result(record)
        until(lambda: len(place.steward._coming) == 2, "the second one's end")
        place.done()
        assert len(place.client.tasks) == 2
        assert not any(one.future.done() for one in place.all)
    finally:
        arrived.set()
    until(lambda: len(place.client.tasks) == 3, "the third one's begin")
    until(lambda: [one.future.done() for one in place.all] == [True, True, False], "two records")


NO_INDEX = Refusal.of(MachineError("The package index does not answer"))


def test_trials_that_fail_together_for_want_of_the_same_files_are_both_tried_again(place: Place) -> None:
    place.add(Station(address="tcp://x", name="x", machine="x", processors=2))
    place.client.lacking = [["six"], []]  # the second one failed before the first one's files were there
    place.ordered("one"), place.ordered("other")
    (_, first), (_, second) = place.client.tasks
    first.set_result(NO_INDEX)
    until(lambda: len(place.client.tasks) == 3, "the first one's second try")
    second.set_result(NO_INDEX)
    until(lambda: len(place.client.tasks) == 4, "the second one's second try")
    assert not any(one.future.done() for one in place.all)


def test_what_fails_again_with_all_its_files_there_ends_with_what_the_worker_said(place: Place) -> None:
    place.add(station("x"))
    place.client.lacking = [["six"], []]
    one = place.ordered("one")
    place.client.tasks[0][1].set_result(NO_INDEX)
    until(lambda: len(place.client.tasks) == 2, "the second try")
    place.client.tasks[1][1].set_result(NO_INDEX)
    with pytest.raises(MachineError, match="On worker x: The package index does not answer"):
        one.future.result(PATIENCE_S)


def test_a_trial_is_sent_its_files_on_each_worker_that_it_comes_to(place: Place) -> None:
    place.add(station("x"), station("y"))
    place.client.lacking = [["six"], ["six"]]
    one = place.ordered("one")
    place.client.tasks[0][1].set_result(NO_INDEX)
    until(lambda: len(place.client.tasks) == 2, "the second try")
    first = place.client.tasks[1][0]
    place.lose(first)
    until(lambda: len(place.client.tasks) == 3, "the try on the other one")
    place.client.tasks[2][1].set_result(NO_INDEX)
    until(lambda: len(place.client.tasks) == 4, "the second try there")
    assert [address == first for address, _ in place.client.tasks] == [True, True, False, False]
    assert not one.future.done()


def test_a_worker_that_goes_before_all_is_fetched_is_lost_and_its_trial_waits_for_another_one(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fetched(*_: object, **__: object) -> None:
        raise MachineError("The artifact did not come home")

    def wait(_: float) -> bool:  # home meets the silence of a worker before it hears that it is gone
        place.done(partial(place.steward._left, "tcp://x", counts=True))
        return False

    monkeypatch.setattr(place.steward, "_bring_home", fetched)
    monkeypatch.setattr(place.client, "run", lambda *_, **__: {})
    monkeypatch.setattr(place.crew.stopping, "wait", wait)
    place.add(station("x"))
    one = place.ordered("one")
    place.client.tasks[0][1].set_result(Finished(record=None, log=b""))  # type: ignore[arg-type]
    until(lambda: one.lost, "the loss")
    place.add(station("y"))
    place.done()
    assert [address for address, _ in place.client.tasks] == ["tcp://x", "tcp://y"]
    assert (one.lost, one.counted, one.future.done()) == (["x"], 1, False)


def test_a_look_at_the_workers_that_fails_is_told_and_done_again(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    looks = [RuntimeError("can't start new thread"), None]

    def found(**_: object) -> dict[str, Any]:
        if error := looks.pop(0):
            raise error
        return {"workers": {}}

    told: list[str] = []
    monkeypatch.setattr(place.steward._observer, "note", told.append)
    monkeypatch.setattr(place.client, "scheduler_info", found)
    place.lose("tcp://nobody")
    until(lambda: told, "what the first look came to")
    assert "can't start new thread" in told[0]
    place.now += 60
    place.done()
    until(lambda: not looks, "the next look")


def test_a_disk_that_is_full_at_home_ends_a_trial_and_costs_no_worker(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object, **__: object) -> None:
        raise HomeError("can't be kept here")

    monkeypatch.setattr(place.steward, "_bring_home", full)
    place.add(station("x"), station("y"))
    one = place.ordered("one")
    place.client.tasks[0][1].set_result(Finished(record=None, log=b""))  # type: ignore[arg-type]
    with pytest.raises(HomeError, match="can't be kept here"):
        one.future.result(PATIENCE_S)
    assert (len(place.crew.stations), len(place.client.tasks)) == (2, 1)


def test_whatever_is_met_on_a_trials_way_ends_it_and_leaves_nobody_waiting(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    def cargo(*_: object, **__: object) -> None:
        raise OSError("unreadable")

    monkeypatch.setattr(steward_module, "Cargo", cargo)
    place.add(station("x"), station("y"))
    one = place.ordered("one")
    place.client.tasks[0][1].set_result(Refusal.of(DataMissingError("not here")))
    with pytest.raises(MachineError, match=r"For worker [xy]: OSError"):
        one.future.result(PATIENCE_S)
    assert len(place.crew.stations) == 2  # it was met at home
