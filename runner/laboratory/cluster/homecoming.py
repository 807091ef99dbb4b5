"""The way home of a trial that ended on a worker: its artifacts piece by piece, its log, then its record."""

from __future__ import annotations

import errno
import os
from functools import partial
from typing import TYPE_CHECKING

from runner.errors import MachineError
from runner.laboratory.cluster import worker_bench
from runner.laboratory.cluster.line import ask
from runner.own_folder import write_file

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from distributed import Client

    from runner.laboratory.cluster.errand import Finished
    from runner.trials.job_files import Workplace
    from runner.trials.record import Record

PIECE_BYTES = 4 * 1024**2
_OF_THE_DISK = frozenset({errno.ENOSPC, getattr(errno, "EDQUOT", errno.ENOSPC), errno.EROFS, errno.EIO})


class HomeError(MachineError):
    """Home itself failed, such as by a full disk: that is no worker's fault."""


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
    when `ends` says so. Raises HomeError where the disk here is full or fails: nothing of the trial is kept then.
    """
    record = finished.record
    if record.key != key:
        raise MachineError(f"A worker answers for the trial {record.key} where {key} was asked for.")
    files = workplace.files
    target = f"artifacts/{record.key}"
    try:
        files.remove(target)  # of an earlier run of the same trial
        for name, size in finished.artifacts:
            folder, _, last = f"{target}/{name}".rpartition("/")
            with files.opened(folder, make=True) as inside:
                inside.save(last, _pieces(client, address, (run, record.key, name), size, ends))
        with files.opened("logs", make=True) as inside:
            write_file(f"{record.key}.log", inside, finished.log)
    except OSError as error:
        if error.errno not in _OF_THE_DISK:
            raise MachineError(f"A worker gives artifacts that can't be kept: {error}.") from error
        files.remove(target)
        raise HomeError(
            f"What came of a trial can't be kept in {files.path}: {os.strerror(error.errno or 0)}. What is finished is"
            " kept: free some of that disk, and the same command goes on from there."
        ) from error
    if finished.artifacts:
        ask(client, worker_bench.drop_trial, run, record.key, workers=[address])
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
