"""Which waiting trial goes to which worker of a cluster."""

from __future__ import annotations

import pytest

from runner.laboratory.cluster.placement import LOSSES_ALONE, Needs, Station, Waiting, Waits

ONE = Needs()


def station(name: str, processors: int = 1, *, machine: str = "", **more: object) -> Station:
    return Station(address=f"tcp://{name}", name=name, machine=machine or name, processors=processors, **more)  # type: ignore[arg-type]


def waiting(key: str, *turn: float, lock: str = "a", needs: Needs = ONE, losses: int = 0) -> Waiting:
    return Waiting(turn=turn or (0,), key=key, lock=lock, needs=needs, losses=losses)


def placed(waits: Waits, stations: list[Station]) -> list[tuple[str, str]]:
    """What goes where until nothing fits."""
    found = []
    while (next_one := waits.take(stations)) is not None:
        one, chosen = next_one
        chosen.running[one.key] = one.needs
        chosen.taken_alone = one.losses >= LOSSES_ALONE
        found.append((one.key, chosen.name))
    return found


def test_the_lowest_turn_begins_first_and_of_equal_ones_the_first_that_came() -> None:
    waits = Waits()
    for key, turn in (("late", 1), ("first", 0), ("second", 0)):
        waits.add(waiting(key, turn))
    assert [key for key, _ in placed(waits, [station("x", 3)])] == ["first", "second", "late"]


def test_a_trial_goes_where_its_environment_is_and_the_emptiest_of_those() -> None:
    waits = Waits(made={"a": {"x", "y"}})
    waits.add(waiting("one"))
    waits.add(waiting("two"))
    assert placed(waits, [station("w", 9), station("x", 2), station("y", 3)]) == [("one", "y"), ("two", "y")]


def test_a_machine_that_has_nothing_to_do_takes_a_trial_of_another_one() -> None:
    waits = Waits(made={"a": {"x"}})
    waits.add(waiting("one"))
    waits.add(waiting("two"))
    assert placed(waits, [station("x"), station("y")]) == [("one", "x"), ("two", "y")]


def test_a_machine_that_makes_an_environment_takes_none_of_another_one_meanwhile() -> None:
    waits = Waits(made={"a": {"x"}}, making={"y": 1})
    waits.add(waiting("one"))
    waits.add(waiting("two"))
    assert placed(waits, [station("x"), station("y")]) == [("one", "x")]


@pytest.mark.parametrize(("make_s", "goes"), [(60.0, [("one", "x")]), (1.0, [("one", "x"), ("two", "y")])])
def test_an_environment_is_made_again_only_where_that_is_sooner_than_waiting(
    make_s: float, goes: list[tuple[str, str]]
) -> None:
    waits = Waits(made={"a": {"x"}}, make_s={"a": make_s}, trial_s={"a": 2.0})
    waits.add(waiting("one"))
    waits.add(waiting("two"))
    assert placed(waits, [station("x"), station("y")]) == goes


def test_a_trial_that_can_not_begin_holds_back_no_other() -> None:
    waits = Waits(made={"a": {"x"}, "b": {"y"}}, making={"y": 1})
    waits.add(waiting("large", 0, needs=Needs(processors=4, memory_bytes=8)))
    waits.add(waiting("small", 1, lock="b"))
    assert placed(waits, [station("x", 4, memory_bytes=4), station("y")]) == [("small", "y")]


def test_processors_and_declared_memory_bound_what_runs_at_once() -> None:
    needs = Needs(processors=2, memory_bytes=4)
    assert station("x", 8).capacity(needs) == 4
    assert station("x", 8, memory_bytes=9).capacity(needs) == 2
    assert station("x", 1).capacity(needs) == 1  # a trial that wants more than there is gets what there is
    assert station("x", 1, memory_bytes=3).capacity(needs) == 0
    assert station("x", 8, gpus=frozenset("abc")).capacity(Needs(gpus=2)) == 1
    assert station("x", 8, gpus=frozenset("ab")).capacity(Needs(gpus=1, trials_per_gpu=2)) == 4
    assert station("x", 8).capacity(Needs(gpus=1)) == 0


def test_workers_that_see_the_same_gpus_share_them_whatever_their_caches_and_others_do_not() -> None:
    needs = Needs(gpus=1)
    for gpus, begun in ((("ab", "ab"), 2), (("a", "b"), 2), (("abc", "abc"), 3), (("a", "a"), 1)):
        waits = Waits()
        for key in "123456":
            waits.add(waiting(key, needs=needs))
        both = [station(str(n), 8, gpus=frozenset(ids)) for n, ids in enumerate(gpus)]
        assert len(placed(waits, both)) == begun


def test_a_trial_that_lost_workers_twice_has_the_next_one_alone() -> None:
    waits = Waits()
    busy = station("x", 4)
    busy.running["other"] = ONE
    waits.add(waiting("suspect", losses=LOSSES_ALONE))
    waits.add(waiting("next", 1, lock="b"))
    assert placed(waits, [busy, station("y", 4)]) == [("suspect", "y"), ("next", "x")]


def test_trials_that_were_dropped_are_not_placed() -> None:
    waits = Waits()
    waits.add(waiting("one"))
    waits.add(waiting("two", lock="b"))
    waits.clear()
    assert (len(waits), placed(waits, [station("x", 2)])) == (0, [])


def test_trials_that_run_in_turn_go_to_one_worker_with_room_for_them_where_most_environments_are() -> None:
    needs = Needs(memory_bytes=4)
    small, with_one, with_both = station("x", memory_bytes=3), station("y", 9), station("z")
    waits = Waits(made={"a": {"x", "z"}, "b": {"x", "y", "z"}}, together=needs)
    here = [small, with_one, with_both]
    for key, lock in (("first", "a"), ("second", "c"), ("third", "b")):
        waits.add(waiting(key, lock=lock, needs=needs))
    assert waits.eligible(here) == [with_both]
    assert placed(waits, here) == [("first", "z")]
    with_both.running.clear()
    waits.made["c"] = {"y"}
    waits.made["d"] = {"y"}  # where most are by now
    assert placed(waits, here) == [("second", "z")], "it stays where it was"
    assert waits.eligible([small, with_one]) == [with_one], "its worker is lost"
    assert placed(waits, [small, with_one]) == [("third", "y")]
    assert waits.eligible(here) == [with_one], "and goes back to nobody"


def test_where_no_worker_has_room_for_trials_that_run_in_turn_they_wait() -> None:
    needs = Needs(memory_bytes=4)
    waits = Waits(together=needs)
    waits.add(waiting("one", needs=needs))
    small = station("x", memory_bytes=3)
    assert waits.eligible([small]) == [small]  # environments may be made there
    assert placed(waits, [small]) == []
    assert placed(waits, [small, station("y", memory_bytes=4)]) == [("one", "y")]
