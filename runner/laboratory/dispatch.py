"""One call of `Laboratory.run`: environments are made and trials run side by side, and told of in one order.

All that begins or ends is put into one queue and taken from it by the thread that called: so what is told of a cell
comes in the order in which it happened, and the customer is never called twice at once.
"""

from __future__ import annotations

import heapq
import math
import queue
import threading
from collections import Counter
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from functools import partial
from itertools import count
from typing import TYPE_CHECKING, Any, TypeVar

from runner.environments.lock import Lock
from runner.errors import BuildFailedError, RunnerError, StoppedError
from runner.laboratory.executor import HeldTrial, TrialOrder
from runner.laboratory.records import FOR_NOW
from runner.laboratory.request import Answer
from runner.plurals import counted
from runner.trials.record import Record
from runner.trials.trial import Trial

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence
    from concurrent.futures import Future, ThreadPoolExecutor

    from runner.engines.protocol import Engine, Image
    from runner.environments.lock import Environment
    from runner.laboratory.equipment import Equipment
    from runner.laboratory.executor import Executor, Turn
    from runner.laboratory.provision import Preparation
    from runner.laboratory.records import Records
    from runner.laboratory.request import More, Request
    from runner.laboratory.setup import Setup
    from runner.matrix.cell_id import CellId
    from runner.trials.trial import Setting


IMAGES_AT_ONCE = 2
"""The trials of one run while the next is made."""
LOOKS_BEFORE_ALL_ARE_SEEN = 2
"""A cell gets so many trials while another one has none yet: first a look at everything, then certainty. The second
waits for a free slot, and while an environment is installed: that takes less time than most trials."""
_LOOK_EVERY_S = 0.2


class Pruning:
    """The images of one run; `environments` are all that will be made. `wait` is called from several threads."""

    def __init__(self, environments: Iterable[Environment], *, engine: Engine, stopping: threading.Event) -> None:
        """Nothing is held yet."""
        self._engine = engine
        self._stopping = stopping
        self._places = threading.Semaphore(IMAGES_AT_ONCE)
        self._coming = Counter(environment.base for environment in environments)
        self._last: dict[tuple[str, str], Image] = {}
        """By base, the image that is done with and keeps the shared layers."""

    def wait(self) -> None:
        """Wait for room to hold one more image. Raises StoppedError where the run is stopping."""
        while not self._places.acquire(timeout=_LOOK_EVERY_S):
            if self._stopping.is_set():
                raise StoppedError

    def end(self, environment: Environment, image: Image | None) -> None:
        """Free a place, and drop what no environment to come will stand on; `image` is None where none was made."""
        base = environment.base
        gone: list[Image | None] = []
        self._coming[base] -= 1
        if image is not None:
            gone.append(self._last.pop(base, None))
            self._last[base] = image
        if not self._coming[base]:
            gone.append(self._last.pop(base, None))
        for one in gone:
            if one is not None:
                self._engine.remove_image(one.reference)
        self._places.release()


Made = TypeVar("Made")


@dataclass(frozen=True, kw_only=True)
class _Obstacle:
    """Why an environment can't be made."""

    stage: str
    message: str
    unresolvable: bool = False
    passing: bool = False
    """True where the next run may find it gone."""

    def record(self, key: str, *, cell: CellId, engine: str, lock: str) -> Record:
        """The record of a cell for which no trial can run, by the name of its lock."""
        return Record.model_validate(
            {
                "key": key,
                "cell": dict(cell.values),
                "seed": 0,
                "engine": engine,
                "stage": self.stage,
                "unresolvable": self.unresolvable,
                "exit_code": 1,
                "lock": lock,
                "message": self.message,
                "started_at": datetime.now(UTC).isoformat(timespec="seconds"),
                "duration_s": 0.0,
            }
        )


@dataclass(kw_only=True)
class _Group:
    """The requests of one environment, and how many of its trials are under way."""

    environment: Environment
    requests: list[Request] = field(default_factory=list)
    image: Image | None = None
    under_way: int = 0
    is_installing: bool = False
    """True while its installation is under way."""
    asked: Counter[CellId] = field(default_factory=Counter)
    """The number of trials that each cell has had or is to have."""
    places: dict[CellId, int] = field(default_factory=dict)
    """The place of each cell's request among these."""

    def take(self, request: Request) -> None:
        """Add a request, after those that are here."""
        self.places.setdefault(request.cell.id, len(self.requests))
        self.requests.append(request)

    def begin_installation(self) -> None:
        """Take note that it is under way."""
        self.is_installing = True


@dataclass(kw_only=True, eq=False)
class Dispatch:
    """The state of one call; nothing starts before `run`, at whose end executor and makers are shut down."""

    equipment: Equipment
    environments: Preparation
    records: Records
    setup: Setup
    executor: Executor
    makers: ThreadPoolExecutor
    """Threads that see to environments: they make locks, and wait for images."""
    more: More
    _events: queue.SimpleQueue[Callable[[], None]] = field(init=False, default_factory=queue.SimpleQueue)
    """Events, each as the call that answers it."""
    _open: set[Future[Any]] = field(init=False, default_factory=set)
    _left: int = field(init=False, default=0)
    """The number of tasks that have not been heard to end."""
    _pruning: Pruning | None = field(init=False, default=None)
    _unmade: set[CellId] = field(init=False, default_factory=set)
    _unseen: set[CellId] = field(init=False, default_factory=set)
    """The cells that have no answer yet."""
    _held: list[HeldTrial] = field(init=False, default_factory=list)
    """The trials that wait, as a heap; before they have begun they are not in the executor's hands."""
    _places: Iterator[int] = field(init=False, default_factory=count)
    _handed_over: int = field(init=False, default=0)
    """The number of trials that the executor has and has not ended."""
    _groups: list[_Group] = field(init=False, default_factory=list)
    _order: dict[CellId, int] = field(init=False, default_factory=dict)
    """The place of each cell in the turns of those that run side by side: of the one that began first the first."""
    _paired: Counter[CellId] = field(init=False, default_factory=Counter)
    """The number of trials of each cell that run in turn with those of others."""
    _expected: dict[CellId, float] = field(init=False, default_factory=dict)
    """The seconds that trials of a cell took before, else its first one now; a cell that has none may take any."""

    def run(self, requests: Sequence[Request], *, prune_images: bool) -> frozenset[CellId]:
        """Work through all requests; the cells of further ones whose environment could not be made again."""
        groups = sorted(self._grouped(requests), key=lambda one: self.environments.still_to_do(one.environment))
        self._groups, self._expected = groups, self.equipment.store.seconds()
        if prune_images:
            environments = [group.environment for group in groups]
            self._pruning = Pruning(environments, engine=self.equipment.engine, stopping=self.equipment.stopping)
        else:
            self._unseen = {one.cell.id for one in requests if one.seeds and (one.pair or not one.before)}
        try:
            for group in groups:
                self._begin(self.makers.submit(self._prepare, group), partial(self._prepared, group))
            while self._left:
                self._events.get()()
                self._start_held()
        except BaseException:
            for future in self._open:
                future.cancel()
            self.equipment.stop()
            raise
        finally:
            self.makers.shutdown(cancel_futures=True)
            self.executor.shut_down()
        return frozenset(self._unmade)

    def _grouped(self, requests: Iterable[Request]) -> list[_Group]:
        found: dict[tuple[object, ...], _Group] = {}
        for request in requests:
            cell = request.cell
            if cell.surroundings not in found:
                found[cell.surroundings] = _Group(environment=self.setup.environment(cell))
            found[cell.surroundings].take(request)
        return list(found.values())

    def _begin(
        self, future: Future[Made], then: Callable[[Made], None], keep: Callable[[Made], None] | None = None
    ) -> None:
        """Have `then` called with what a task gives, in its turn; what the task raises is raised in its turn.

        `keep` is called with it at once, wherever the task ended.
        """
        self._left += 1
        self._open.add(future)

        def ended(done: Future[Made]) -> None:
            refused: RunnerError | None = None
            try:
                if keep and not done.cancelled() and done.exception() is None:
                    keep(done.result())
            except RunnerError as error:
                refused = error
            self._events.put(partial(self._ended, done, then, refused))

        future.add_done_callback(ended)

    def _ended(self, future: Future[Made], then: Callable[[Made], None], refused: RunnerError | None) -> None:
        self._left -= 1
        self._open.discard(future)
        if refused:
            raise refused
        then(future.result())

    # -- environments ------------------------------------------------------------------------------------------------

    def _prepare(self, group: _Group) -> Image | _Obstacle:
        """Make a group's environment, or say why there can be none. Runs beside everything else."""
        if self._pruning:
            self._pruning.wait()
        try:
            lock = self.environments.lock(group.environment)
            if not isinstance(lock, Lock):
                return _Obstacle(
                    stage="install", message=lock.reason, unresolvable=not lock.passing, passing=lock.passing
                )
            again = any(request.fresh for request in group.requests)
            installing = partial(self._events.put, group.begin_installation)
            return self.environments.image(lock, purpose=self.setup.name, again=again, installing=installing)
        except BuildFailedError as error:
            return _Obstacle(stage=error.stage, message=str(error), passing=error.passing)

    def _prepared(self, group: _Group, made: Image | _Obstacle) -> None:
        group.is_installing = False
        if isinstance(made, _Obstacle):
            self._block(group, made)
            self._end_if_done(group)
            return
        group.image = made
        group.under_way += 1  # its image stays until every request has begun
        asked = [(request, self._setting(request, made)) for request in group.requests]
        for part in (slice(1), slice(1, None)):  # first a look at each
            for request, setting in asked:
                self._ask(group, request, setting, request.seeds[part])
        group.under_way -= 1
        self._end_if_done(group)

    def _setting(self, request: Request, image: Image) -> Setting:
        lock = self.environments.locked(self.setup.environment(request.cell))
        assert lock is not None  # noqa: S101 - the image was made of it
        identity = self.equipment.engine.known_identity(*lock.ground) or image.base_identity
        return self.records.setting(request.cell, self.setup, lock, (image.engine, identity))

    def _block(self, group: _Group, obstacle: _Obstacle) -> None:
        """Answer with the record that says why no trial can run; a further request keeps what its cell came to."""
        further = [request for request in group.requests if request.further]
        if further:
            self._unmade |= {request.cell.id for request in further}
            self.equipment.observer.note(
                f"{group.environment.name} can't be made again, its cells get no more trials: {obstacle.message}"
            )
        for request in group.requests:
            if not request.further:
                record = self._blocked(group.environment, request, obstacle)
                self._tell(Answer(cell=request.cell, seed=0, record=record))
            self._unseen.discard(request.cell.id)

    def _blocked(self, environment: Environment, request: Request, obstacle: _Obstacle) -> Record:
        engine = self.equipment.engine
        key = self.records.blocked_key(environment, request.cell)
        record = obstacle.record(key, cell=request.cell.id, engine=engine.kind.value, lock=environment.name)
        lock = self.environments.locked(environment)
        passing = obstacle.passing or (lock is not None and not engine.known_identity(*lock.ground))
        record = record.model_copy(update={"key": f"{key}{FOR_NOW}", "passing": True} if passing else {})
        self.equipment.store.put(record)
        return record

    # -- trials ------------------------------------------------------------------------------------------------------

    def _ask(self, group: _Group, request: Request, setting: Setting, seeds: Iterable[int]) -> None:
        """Hand over the trials that are stored, and run the others."""
        wanted = list(seeds)
        while wanted:
            stored = {} if request.again else self.records.stored(setting, wanted)
            for seed in wanted:
                group.asked[request.cell.id] += 1
                if seed not in stored:
                    self._start(group, request, Trial(setting=setting, seed=seed))
            wanted = [
                seed
                for old, record in sorted(stored.items())
                for seed in self._tell(Answer(cell=request.cell, seed=old, record=record, stored=True))
            ]

    def _start(self, group: _Group, request: Request, trial: Trial) -> None:
        """Run a trial in its turn: the first of every cell before the second of any.

        Of those with the same number the longest, by what trials took; then environments alternate.
        """
        group.under_way += 1
        cell = request.cell.id
        before = request.before + group.asked[cell] - 1
        turn: Callable[[], Turn] = partial(self._turn, cell, before, group.places[cell])
        if request.pair:
            before = self._paired[cell]
            self._paired[cell] += 1
            turn = partial(tuple, (before, self._order.setdefault(cell, len(self._order))))
            trial = replace(trial, pair=f"{request.pair}-{before}")
        start = partial(self._execute_in, turn, group, request, trial)
        if request.pair or (before and self._unseen):
            heapq.heappush(self._held, HeldTrial(turn=turn(), place=next(self._places), now=turn, start=start))
        else:
            start()

    def _turn(self, cell: CellId, before: int, place: int) -> Turn:
        return before, -self._expected.get(cell, math.inf), place

    def _start_held(self) -> None:
        """Start what waited and need not wait any longer."""
        while self._held and self._may_begin(held := self._held[0]):
            if (turn := held.now()) > held.turn:
                heapq.heapreplace(self._held, replace(held, turn=turn))
            else:
                heapq.heappop(self._held).start()

    def _may_begin(self, held: HeldTrial) -> bool:
        if self._paired:  # one at a time, and handed over only when all that came before is heard of
            return not self._handed_over and not (held.turn[0] and self._unseen)
        if not self._unseen:
            return True
        is_free = self._handed_over < self.executor.side_by_side
        is_near = any(group.is_installing for group in self._groups)
        return held.turn[0] < LOOKS_BEFORE_ALL_ARE_SEEN and is_free and not is_near

    def _execute_in(self, turn: Callable[[], Turn], group: _Group, request: Request, trial: Trial) -> None:
        assert group.image is not None  # noqa: S101 - trials begin after the environment was made
        order = TrialOrder(trial=trial, image=group.image)
        future = self.executor.execute(order, partial(self._began, trial), turn())
        self._handed_over += 1
        # kept where it ended: a finished trial is never lost
        self._begin(future, partial(self._finished, group, request, trial), self.equipment.store.put)

    def _tell(self, answer: Answer) -> Sequence[int]:
        """Hand over an answer; the further seeds that are asked for."""
        further = self.more(answer)
        self._unseen.discard(answer.cell.id)
        return further

    def _began(self, trial: Trial, worker: str) -> None:
        """Tell of a beginning in its turn. Called beside everything else."""
        self._events.put(partial(self._begun, trial, worker))

    def _begun(self, trial: Trial, worker: str) -> None:
        if worker:
            self.equipment.observer.trial_placed(trial, worker)
        self.equipment.observer.trial_started(trial, self.equipment.workplace.job(trial))

    def _finished(self, group: _Group, request: Request, trial: Trial, record: Record) -> None:
        self._handed_over -= 1
        self._expected.setdefault(request.cell.id, record.duration_s)
        if record.artifacts_left_out:
            self.equipment.observer.note(
                f"{trial.setting.cell.id} seed {trial.seed}: {counted(record.artifacts_left_out, 'artifact')} not kept:"
                " more than `keep:` allows, too many, or of a name that can't be had here."
            )
        read = self.records.read(record, self.setup.experiment.metrics)
        further = self._tell(Answer(cell=request.cell, seed=trial.seed, record=read))
        self._ask(group, request, trial.setting, further)
        group.under_way -= 1
        self._end_if_done(group)

    def _end_if_done(self, group: _Group) -> None:
        if self._pruning and not group.under_way:
            self._pruning.end(group.environment, group.image)
