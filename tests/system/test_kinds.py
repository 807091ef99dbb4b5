"""Each kind of script gets the verdict that it must get, in real environments that all of them share.

The cheap ones on both engines, the others (`slow`) on one; all on both, the long ones too, with RUNNER_ALL_KINDS=1.
"""

from __future__ import annotations

import os
import threading
from collections import defaultdict
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import pytest
from command import runner
from script_kinds import WITH_TORCH, Kind, kinds, lay_out, wrong
from torch_wheel import torch_wheel

if TYPE_CHECKING:
    from collections.abc import Iterator
    from concurrent.futures import Future
    from pathlib import Path
    from subprocess import CompletedProcess

pytestmark = pytest.mark.network

ALL = os.environ.get("RUNNER_ALL_KINDS") == "1"
AT_ONCE = 2


def _chosen() -> Iterator[object]:
    for kind in kinds():
        for engine in ("venv", "docker"):
            if ALL or (not kind.long and (kind.cheap or kind.docker or engine == "venv")):
                marks = [*([] if kind.cheap else [pytest.mark.slow]), *([pytest.mark.docker] * (engine == "docker"))]
                marks += [pytest.mark.torch] * (kind.stack in WITH_TORCH)
                yield pytest.param(kind, engine, marks=marks, id=f"{engine}: {kind.kind}")


class Runs:
    """The runs of the chosen kinds, some at a time; the first of each environment makes it for the others."""

    def __init__(self, folder: Path, chosen: list[tuple[Kind, str]]) -> None:
        self._folder = folder
        self._pool = ThreadPoolExecutor(AT_ONCE)
        self._chosen = chosen
        self._started: dict[str, dict[str, Future[CompletedProcess[str]]]] = {}
        self._made: set[tuple[str, str]] = set()
        self._making: defaultdict[tuple[str, str], threading.Lock] = defaultdict(threading.Lock)

    def of(self, kind: Kind, engine: str) -> CompletedProcess[str]:
        """One of them, at its end; the first that is asked for starts all of its engine."""
        if engine not in self._started:
            mine = [one for one, on in self._chosen if on == engine]
            self._started[engine] = {one.kind: self._pool.submit(self._run, one, engine) for one in mine}
        return self._started[engine][kind.kind].result()

    def close(self) -> None:
        """Start no more of them, and wait for those that run."""
        self._pool.shutdown(cancel_futures=True)

    def _run(self, kind: Kind, engine: str) -> CompletedProcess[str]:
        folder = self._folder / f"{engine}-{len(list(self._folder.iterdir()))}-{threading.get_ident()}"
        lay_out(kind, folder, torch_wheel())
        environment = (kind.stack, engine)
        with self._making[environment]:
            if environment not in self._made:
                done = runner(folder, "matrix.yaml", "--engine", engine, "--format", "json")
                self._made.add(environment)
                return done
        return runner(folder, "matrix.yaml", "--engine", engine, "--format", "json")


@pytest.fixture(scope="module")
def runs(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Runs]:
    """The runs of all kinds that this session's selection has."""
    mine = [item for item in request.session.items if item.parent is request.node]
    chosen = [(item.callspec.params["kind"], item.callspec.params["engine"]) for item in mine]  # type: ignore[attr-defined]
    runs = Runs(tmp_path_factory.mktemp("kinds"), chosen)
    yield runs
    runs.close()


@pytest.mark.parametrize(("kind", "engine"), list(_chosen()))
def test_a_kind_of_script_gets_the_verdict_that_it_must_get(kind: Kind, engine: str, runs: Runs) -> None:
    done = runs.of(kind, engine)
    assert wrong(kind, done) == [], done.stderr
