"""The schedule: preparing and running overlap, results ask for more, nothing is begun after a failure."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import pytest

from runner.trials.schedule import Schedule

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence


def run(
    groups: Sequence[str],
    prepare: Callable[[str], Sequence[int]],
    execute: Callable[[int], int],
    next_work: Callable[[int, int], Sequence[int]] = lambda _work, _result: (),
) -> None:
    with ThreadPoolExecutor(1) as builder, ThreadPoolExecutor(2) as executor:
        Schedule[str, int, int](
            prepare=prepare, execute=execute, next_work=next_work, builder=builder, executor=executor
        ).run(groups)


def test_every_group_is_prepared_and_all_its_work_is_done() -> None:
    done: list[int] = []
    run(["a", "b"], lambda group: [1, 2] if group == "a" else [3], lambda work: done.append(work) or work)
    assert sorted(done) == [1, 2, 3]


def test_a_result_may_ask_for_more_work() -> None:
    done: list[int] = []
    run(
        ["a"],
        lambda _: [1],
        lambda work: done.append(work) or work,
        lambda _work, result: [result + 1] if result < 4 else [],
    )
    assert done == [1, 2, 3, 4]


def test_work_of_a_ready_group_runs_while_the_next_group_is_prepared() -> None:
    ran = threading.Event()

    def prepare(group: str) -> list[int]:
        if group == "b":
            assert ran.wait(10), "the first group's work did not run while the second was prepared"
        return [1] if group == "a" else []

    run(["a", "b"], prepare, lambda work: ran.set() or work)


def test_a_failure_is_raised_and_what_was_not_begun_is_cancelled() -> None:
    done: list[int] = []
    gate = threading.Event()

    def execute(work: int) -> int:
        if work == 1:
            raise ValueError("engine lost")
        gate.wait(10)
        done.append(work)
        return work

    def prepare(_: str) -> list[int]:
        return list(range(1, 20))

    threading.Timer(0.2, gate.set).start()
    with pytest.raises(ValueError, match="engine lost"):
        run(["a"], prepare, execute)
    assert len(done) < 18
