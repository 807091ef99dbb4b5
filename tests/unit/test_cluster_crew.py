"""The workers of a cluster over a client without a scheduler: who is taken, who is not, and who goes meanwhile."""

from __future__ import annotations

import threading
from concurrent.futures import Future
from dataclasses import replace

import pytest

pytest.importorskip("distributed")

from answering_client import Answered, AnsweringClient, crew_of, facts, workers
from waiting import PATIENCE_S, until

from runner.errors import CrowdedError, EngineLostError, MachineError, UsageError
from runner.laboratory.cluster import crew as crew_module
from runner.laboratory.cluster import worker_bench
from runner.laboratory.cluster.errand import Refusal
from runner.laboratory.cluster.line import ask
from runner.laboratory.cluster.placement import Needs


def test_a_worker_that_is_not_fit_keeps_no_other_one_out_and_is_told_of_once() -> None:
    told: list[str] = []
    crew = crew_of(AnsweringClient({"tcp://old": "0.0"}), told)
    crew.take(workers("old", "new"), strictly=False)
    crew.take(workers("old", "new", "newer"), strictly=False)
    assert sorted(crew.stations) == ["tcp://new", "tcp://newer"]
    assert [text.partition(":")[0] for text in told] == ["old gets no work"]
    crew.leave("tcp://old", counts=True)
    crew.take(workers("old"), strictly=False)  # another one under its address, no better
    assert len(told) == 2
    assert list(crew.unfit) == ["old"]


def test_a_worker_that_goes_while_it_is_looked_at_gets_no_trial() -> None:
    client = AnsweringClient()
    crew = crew_of(client)
    client.afterwards = lambda: crew.leave("tcp://one", counts=True) and None
    crew.take(workers("one"), strictly=False)
    assert (crew.stations, crew.facts) == ({}, {})


def test_a_worker_that_two_look_at_keeps_its_trials() -> None:
    client = AnsweringClient()
    crew = crew_of(client)

    def meanwhile() -> None:
        client.afterwards = lambda: None
        crew.take(workers("one"), strictly=False)
        crew.stations["tcp://one"].running["trial"] = Needs()

    client.afterwards = meanwhile
    crew.take(workers("one"), strictly=True)
    assert list(crew.stations["tcp://one"].running) == ["trial"]


def test_a_client_that_was_closed_is_one_message() -> None:
    client = AnsweringClient()
    client.is_closed = True
    with pytest.raises(MachineError, match="The scheduler of the cluster is gone"):
        crew_of(client).submit("tcp://one", worker_bench.facts)


def test_one_worker_that_is_cut_off_keeps_no_other_ones_answer() -> None:
    client = AnsweringClient()
    client.run = lambda function, workers, on_error: (  # type: ignore[assignment, method-assign, misc]
        threading.Event().wait(PATIENCE_S) if "tcp://cut" in workers else dict.fromkeys(workers, function())
    )
    answers = ask(client, int, workers=["tcp://cut", "tcp://one", "tcp://two"], answer_s=1)  # type: ignore[arg-type]
    assert answers == {"tcp://one": 0, "tcp://two": 0}


def test_a_worker_whose_own_configuration_is_wrong_is_told_of_and_others_go_on() -> None:
    told: list[str] = []
    client = AnsweringClient()
    crew = crew_of(client, told)
    client.answers = lambda _, address: Refusal.of(UsageError("no")) if address == "tcp://a" else facts(address)
    crew.take(workers("a", "b"), strictly=True)
    assert (list(crew.stations), told) == (["tcp://b"], ["a gets no work: On worker a: no"])
    assert crew.unfit == {"a": "On worker a: no"}
    with pytest.raises(UsageError, match="On worker a: no"):
        crew_of(client).take(workers("a"), strictly=True)


def test_workers_whose_folders_differ_are_one_kind_in_the_line_about_them() -> None:
    crew = crew_of(AnsweringClient())
    crew.take(workers("one", "two"), strictly=True)
    assert crew.describe() == "2 workers on 1 host with 2 processors: venv"
    for address, one in crew.facts.items():
        crew.facts[address] = replace(one, described=f"venv: environments in {address}")
    assert crew.describe() == "2 workers on 1 host with 2 processors: venv"


def test_a_task_was_lost_with_its_worker_also_where_another_one_has_come_to_the_same_address() -> None:
    client = AnsweringClient()
    crew = crew_of(client)
    crew.take(workers("one"), strictly=True)
    asked = Answered()
    asked.afterwards = lambda: None
    answered, client.submit = client.submit, lambda *_, **__: asked  # type: ignore[method-assign, assignment]
    future = crew.submit("tcp://one", worker_bench.run_trial)
    client.submit = answered  # type: ignore[method-assign]
    crew.leave("tcp://one", counts=True)
    crew.take(workers("one"), strictly=False)
    assert list(crew.stations) == ["tcp://one"]
    with pytest.raises(EngineLostError, match="Worker one was lost"):
        crew.answer("tcp://one", future)


def test_a_worker_on_a_crowded_machine_is_told_of_once_and_looked_at_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(crew_module, "_AGAIN_S", 0.0)
    told: list[str] = []
    client = AnsweringClient()
    crew = crew_of(client, told)
    client.answers = lambda _, __: Refusal.of(CrowdedError("no more threads"))
    for _ in range(3):
        until(lambda: not crew._is_excluded("tcp://a"), "the next look")
        crew.take(workers("a"), strictly=False)
        assert not crew.stations
    client.answers = lambda _, address: facts(address)
    until(lambda: not crew._is_excluded("tcp://a"), "the next look")
    crew.take(workers("a"), strictly=False)
    assert (list(crew.stations), told) == (["tcp://a"], ["a gets no work: On worker a: no more threads"])
    station = crew.stations["tcp://a"]
    station.running["trial"] = Needs()
    assert crew.exclude("tcp://a", CrowdedError("no more processes"))  # though nobody else is left
    until(lambda: not crew._is_excluded("tcp://a"), "the next look")
    crew.take(workers("a"), strictly=False)
    assert crew.stations["tcp://a"] is station
    assert not crew.exclude("tcp://a", MachineError("disk full"))
    assert crew._is_excluded("tcp://a")


def test_a_worker_that_takes_long_to_say_what_it_has_keeps_none_out_and_is_not_asked_anew(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(crew_module, "_AGAIN_S", 0.0)
    monkeypatch.setattr(crew_module, "_FACTS_S", 0.01)
    told: list[str] = []
    client = AnsweringClient()
    crew = crew_of(client, told)
    slow: Future[object] = Future()
    answered = client.submit
    client.submit = lambda *asked, workers, **more: (  # type: ignore[method-assign, misc]
        slow if workers == ["tcp://slow"] else answered(*asked, workers=workers, **more)
    )
    crew.take(workers("slow", "quick"), strictly=False)
    assert (list(crew.stations), told) == (
        ["tcp://quick"],
        ["slow gets no work: Worker slow did not answer within 0 s."],
    )
    client.submit = answered  # type: ignore[method-assign]
    client.answers = lambda *_: pytest.fail("it was asked anew")
    slow.set_result(facts("tcp://slow"))
    until(lambda: not crew._is_excluded("tcp://slow"), "the next look")
    crew.take(workers("slow"), strictly=False)
    assert sorted(crew.stations) == ["tcp://quick", "tcp://slow"]
