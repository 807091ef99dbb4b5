"""Which engine and which base images are taken: what is named, else the first way that works, each step down told."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from runner.engines import choice
from runner.engines.choice import BARE, MADE, PULLED, open_engine
from runner.errors import MachineError, NoEngineError, UsageError

if TYPE_CHECKING:
    from collections.abc import Callable

    from runner.engines.choice import Way


class Docker:
    """An engine whose base images can be had or not."""

    def __init__(self, base: str, refusal: str) -> None:
        self.way = ("docker", base)
        self.refusal = refusal
        self.is_open = True

    def check(self) -> None:
        if self.refusal:
            raise MachineError(f"{self.refusal}.\nDo this.")

    def close(self) -> None:
        self.is_open = False


class Venv:
    way = BARE


@pytest.fixture
def machine(monkeypatch: pytest.MonkeyPatch) -> Callable[..., list[Docker]]:
    """A machine on which some ways do not work: which, with the reasons; what was opened of docker is listed."""

    def of(*, engine: str = "", registry: str = "", offline: str = "") -> list[Docker]:
        opened: list[Docker] = []

        def docker(base: str) -> Docker:
            if engine:
                raise NoEngineError(f"{engine}.\nDo that.")
            opened.append(Docker(base, registry if base == "registry" else offline))
            return opened[-1]

        monkeypatch.setattr(choice, "_docker", docker)
        monkeypatch.setattr(choice, "_venv", Venv)
        return opened

    return of


def way_of(engine: str = "auto", base: str = "auto", before: Way | None = None) -> tuple[Way, list[str]]:
    found, notes = open_engine(engine, base=base, before=before)
    return found.way, notes.splitlines()  # type: ignore[attr-defined]


def test_what_works_is_taken_and_each_step_down_is_told_with_its_reason(machine: Callable[..., list[Docker]]) -> None:
    machine()
    assert way_of() == (PULLED, [])
    opened = machine(registry="no host")
    assert way_of() == (MADE, ["no host: base images are made on this machine."])
    assert [one.is_open for one in opened] == [False, True]
    machine(registry="no host", offline="not root")
    assert way_of() == (
        BARE,
        [
            "no host: base images are made on this machine.",
            "not root: running under the venv engine, not in containers.",
        ],
    )
    machine(engine="nothing answers")
    assert way_of() == (BARE, ["nothing answers: running under the venv engine, not in containers."])


def test_what_is_named_is_insisted_on(machine: Callable[..., list[Docker]]) -> None:
    machine(registry="no host", offline="not root")
    assert way_of(base="registry") == (PULLED, [])
    assert way_of("docker", "offline") == (MADE, [])
    assert way_of("venv") == (BARE, [])
    way, notes = way_of("docker")
    assert way == PULLED
    assert notes[-1] == "not root: base images that are missing can't be had."
    machine(engine="nothing answers")
    with pytest.raises(NoEngineError, match="nothing answers"):
        way_of("docker")
    with pytest.raises(UsageError, match="'vm' does not exist"):
        way_of("vm")


def test_the_way_of_the_last_run_comes_first_where_it_still_works_and_is_told(
    machine: Callable[..., list[Docker]],
) -> None:
    machine()
    assert way_of(before=PULLED) == (PULLED, [])
    way, notes = way_of(before=MADE)
    assert (way, len(notes)) == (MADE, 1)
    assert "--base registry" in notes[0]
    way, notes = way_of(before=BARE)
    assert (way, len(notes)) == (BARE, 1)
    assert "--engine docker" in notes[0]
    machine(offline="not root any more")
    assert way_of(before=MADE) == (PULLED, ["not root any more: they are pulled."])
    assert way_of(base="registry", before=MADE) == (PULLED, [])
