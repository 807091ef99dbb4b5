"""Decides when trials run: environments are prepared one after another while the trials of earlier ones already run.

Takes functions and executors, knows neither engines nor verdicts; what must go round comes in as `next_work`.
"""

from __future__ import annotations

from concurrent.futures import FIRST_COMPLETED, Executor, Future, wait
from functools import partial
from typing import TYPE_CHECKING, Any, Generic, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

Group = TypeVar("Group")
Work = TypeVar("Work")
Result = TypeVar("Result")


class Schedule(Generic[Group, Work, Result]):
    """One run: `prepare` turns a group into its first work, `next_work` says what a result of `execute` asks for."""

    def __init__(
        self,
        *,
        prepare: Callable[[Group], Sequence[Work]],
        execute: Callable[[Work], Result],
        next_work: Callable[[Work, Result], Sequence[Work]],
        builder: Executor,
        executor: Executor,
    ) -> None:
        """Prepare on `builder`, execute on `executor`; `next_work` is called on the caller's thread."""
        self._prepare = prepare
        self._execute = execute
        self._next_work = next_work
        self._builder = builder
        self._executor = executor
        self._pending: dict[Future[Any], Callable[[Any], Sequence[Work]]] = {}

    def run(self, groups: Sequence[Group]) -> None:
        """Work through all groups. The first exception of any part is raised after what was not begun is cancelled."""
        try:
            for group in groups:
                self._pending[self._builder.submit(self._prepare, group)] = list
            while self._pending:
                done, _ = wait(self._pending, return_when=FIRST_COMPLETED)
                for future in done:
                    then = self._pending.pop(future)
                    for work in then(future.result()):
                        self._pending[self._executor.submit(self._execute, work)] = partial(self._next_work, work)
        except BaseException:
            for future in self._pending:
                future.cancel()
            raise
