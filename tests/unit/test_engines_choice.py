"""Which engine and which base images are taken: what is named, else the first way that works, each step down told."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from runner.engines import choice
from runner.engines.choice import BARE, MADE, PULLED, open_engine
from runner.engines.docker.daemon import unusual_runtime
from runner.engines.protocol import runtime_of, under_runtime
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

        def docker(base: str, _runtime: str, _platform: str) -> Docker:
            if engine:
                raise NoEngineError(f"{engine}.\nDo that.")
            opened.append(Docker(base, registry if base == "registry" else offline))
            return opened[-1]

        monkeypatch.setattr(choice, "_docker", docker)
        monkeypatch.setattr(choice, "_venv", Venv)
        return opened

    return of


def way_of(
    engine: str = "auto", base: str = "auto", before: Way | None = None, runtime: str = ""
) -> tuple[Way, list[str]]:
    found, notes = open_engine(engine, base=base, before=before, runtime=runtime)
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


def test_who_names_a_runtime_of_containers_never_runs_without_a_container_unless_they_name_that(
    machine: Callable[..., list[Docker]],
) -> None:
    machine(registry="no host", offline="not root")
    assert way_of(before=BARE)[0] == BARE
    assert way_of(before=BARE, runtime="runsc")[0] == PULLED
    assert way_of("venv", runtime="runsc")[0] == BARE
    machine(engine="nothing answers")
    with pytest.raises(NoEngineError, match="nothing answers"):
        way_of(runtime="runsc")


class Client:
    """An engine with runtimes."""

    def __init__(self, default: str) -> None:
        self.default = default

    def info(self) -> dict[str, object]:
        runtimes = {
            "runc": {"path": "runc"},
            "runsc": {"path": "/usr/local/bin/runsc"},
            "io.containerd.runc.v2": {"path": "runc"},
            "nvidia": {"path": "nvidia-container-runtime"},
            "other": {"path": "/opt/bin/crun"},
            "kata-shim": {"runtimeType": "io.containerd.kata.v2"},
        }
        return {"Runtimes": runtimes, "DefaultRuntime": self.default}


@pytest.mark.parametrize(
    ("named", "default", "unusual"),
    [
        ("", "runc", ""),
        ("runc", "runc", ""),
        ("runsc", "runc", "runsc"),
        ("", "runsc", "runsc"),
        ("runc", "runsc", "runc"),
        ("", "", ""),
        ("", "io.containerd.runc.v2", ""),
        ("", "other", ""),
        ("", "nvidia", "nvidia"),
        ("", "kata-shim", "kata-shim"),
    ],
)
def test_a_runtime_that_is_not_the_usual_one_is_part_of_what_trials_stand_on(
    named: str, default: str, unusual: str
) -> None:
    found = unusual_runtime(Client(default), named)  # type: ignore[arg-type]
    assert found == unusual
    assert runtime_of(under_runtime("sha256:0", found)) == unusual
    assert under_runtime("sha256:0", "") == "sha256:0"


def test_a_runtime_that_the_engine_has_not_is_refused_by_name() -> None:
    with pytest.raises(UsageError, match=r"has no runtime 'kata'; it has io.*, runc, runsc\. Register it"):
        unusual_runtime(Client("runc"), "kata")  # type: ignore[arg-type]


@pytest.mark.parametrize("engine", ["venv", "auto"])
def test_a_system_that_has_no_virtual_environments_for_trials_says_what_works_there(
    machine: Callable[..., list[Docker]], engine: str
) -> None:
    machine(engine="nothing listens there")
    with pytest.raises(
        NoEngineError, match=r"on Linux and macOS: this is Windows\.\nStart Docker Desktop, .*`check`.*no engine"
    ):
        open_engine(engine, base="auto", system="win32")
    machine()
    assert open_engine("auto", base="auto", system="win32")[0].way == PULLED  # type: ignore[attr-defined]


def test_macos_has_virtual_environments_for_trials(machine: Callable[..., list[Docker]]) -> None:
    machine(engine="nothing listens there")
    engine, note = open_engine("auto", base="auto", system="darwin")
    assert isinstance(engine, Venv)
    assert "running under the venv engine" in note
