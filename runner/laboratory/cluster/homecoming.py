"""The way home of a trial that ended on a worker: its artifacts piece by piece, its log, then its record."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from runner.errors import MachineError
from runner.laboratory.cluster import worker_bench
from runner.laboratory.cluster.line import ask

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from distributed import Client

    from runner.laboratory.cluster.errand import Finished
    from runner.trials.job_files import Workplace
    from runner.trials.record import Record

PIECE_BYTES = 4 * 1024**2


def bring_home(
    finished: Finished,
    key: str,
    *,
    client: Client,
    address: str,
    run: str,
    workplace: Workplace,
    ends: Callable[[], bool] = lambda: False,
) -> Record:
    """The record of a trial, whose log and artifacts lie in the workplace now.

    A name that leads elsewhere is refused. Raises MachineError where the worker does not give what it has; at once,
    when `ends` says so.
    """
    record = finished.record
    if record.key != key:
        raise MachineError(f"A worker answers for the trial {record.key} where {key} was asked for.")
    files = workplace.files
    target = f"artifacts/{record.key}"
    files.remove(target)  # of an earlier run of the same trial
    for name, size in finished.artifacts:
        folder, _, last = f"{target}/{name}".rpartition("/")
        with files.opened(folder, make=True) as inside:
            inside.save(last, _pieces(client, address, (run, record.key, name), size, ends))
    if finished.artifacts:
        ask(client, worker_bench.drop_trial, run, record.key, workers=[address])
    files.write(f"logs/{record.key}.log", finished.log)
    return record


def _pieces(
    client: Client, address: str, which: tuple[str, str, str], size: int, ends: Callable[[], bool]
) -> Iterator[bytes]:
    asked = partial(ask, client, worker_bench.read_piece, *which, workers=[address], ends=ends)
    offset = 0
    while offset < size:
        piece = asked(offset, PIECE_BYTES).get(address)
        if not isinstance(piece, bytes) or not piece:
            raise MachineError(f"The artifact {which[-1]} did not come home: {piece!r}.")
        offset += len(piece)
        yield piece
