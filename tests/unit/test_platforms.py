"""`platform:`: locks for the platform that runs, what an engine is asked for, what is said of emulation."""

from __future__ import annotations

import re
import subprocess
from dataclasses import replace
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest
from docker.errors import APIError
from fake_engine import MATRIX, FakeEngine, world_of, write_matrix
from outcomes_records import LEARNS, record
from resolved import PYTHON, reason, resolved, stack_index

from runner.cli.app import run_command_line
from runner.engines.choice import open_engine
from runner.engines.docker.buildkit import ImageBuild
from runner.engines.docker.container import LAYOUT, settings
from runner.engines.docker.engine_machine import program_of, refuse_platform
from runner.engines.protocol import Job, JobFolder, Limits, emulated_of, emulating, runtime_of, under_runtime
from runner.engines.world import world_of as trial_world
from runner.environments.lock import Environment
from runner.environments.lockfile import read_if_it_follows, write
from runner.environments.target import machine_of, platform_name, platform_named, platform_of, rank, this_platform
from runner.errors import MachineError, UsageError
from runner.matrix.criterion import CostLimit, Measure
from runner.outcomes.costs import within_costs
from runner.outcomes.judging import verdict_of
from runner.outcomes.machine_kind import comparable, pairs, times_told
from runner.outcomes.observation import Observation
from runner.outcomes.verdict import Label

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from fake_index import FakeIndex

HERE = this_platform()
(OTHER,) = {"linux/amd64", "linux/arm64"} - {HERE}
OF_CPYTHON = f"cp{PYTHON.replace('.', '')}-cp{PYTHON.replace('.', '')}-manylinux2014"


@pytest.fixture
def fake(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[FakeIndex]:
    yield from stack_index(tmp_path, monkeypatch)


def test_a_lock_is_resolved_for_the_platform_that_is_named_and_says_which(fake: FakeIndex, tmp_path: Path) -> None:
    needs = ["yaml; platform_machine == 'aarch64'", "numpy; platform_machine == 'x86_64'"]
    for machine in ("x86_64", "aarch64"):
        fake.add_wheel("both", "1.0", "2026-03-01", needs, tag=f"{OF_CPYTHON}_{machine}", files={"of.py": machine})
    locks = {one: resolved("both==1.0", platform=one) for one in ("linux/amd64", "linux/arm64")}
    assert {one: [p.name for p in lock.packages] for one, lock in locks.items()} == {
        "linux/amd64": ["both", "numpy"],
        "linux/arm64": ["both", "yaml"],
    }
    assert len({lock.packages[0].hashes for lock in locks.values()}) == 2, "each has the file of its own"
    assert "\n# platform: aarch64-manylinux_2_31\n" in locks["linux/arm64"].text
    path = write(locks["linux/arm64"], tmp_path / "locks")
    asked = {one: read_if_it_follows(path, Environment(pins=(("both", "1.0"),), platform=one)) for one in ("", *locks)}
    assert [asked[one][0] and asked[one][0].platform for one in ("", "linux/arm64")] == ["linux/arm64"] * 2
    assert asked["linux/amd64"][0] is None
    assert "aarch64-manylinux_2_31" in asked["linux/amd64"][1]


def test_a_release_without_a_wheel_for_the_platform_is_told_with_what_works(fake: FakeIndex) -> None:
    fake.add_wheel("old", "2.4.0", "2026-03-01", tag="cp38-cp38-manylinux2014_x86_64")
    assert reason(resolved("old==2.4.0", platform="linux/arm64")) == (
        "old 2.4.0 has no wheel for linux/arm64: `platform: linux/amd64` runs it emulated, in containers."
    )
    assert "has files for CPython 3.8" in reason(resolved("old==2.4.0", platform="linux/amd64"))


def test_a_lock_of_another_platform_is_refused_before_anything_is_made(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = write_matrix(tmp_path / "here")
    engine = FakeEngine(platform=OTHER)
    assert run_command_line(["run", str(path)], world_of(engine)) == 2
    told = capsys.readouterr().err
    of_either = rf"six-1\.1[56]\.0\.txt is for {HERE}, and trials run on {OTHER}\. With `platform: {HERE}`"
    assert re.search(of_either, told), told  # environments are begun beside each other
    assert engine.ran == []


def test_trials_on_an_emulated_platform_are_others_and_plan_and_report_say_so(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = write_matrix(tmp_path / "here", f"platform: {HERE}\nseeds: 1\n{MATRIX}")
    asked: list[str] = []

    def does(line: str, engine: FakeEngine) -> str:
        def opened(*_choice: object, platform: str, **_more: object) -> tuple[FakeEngine, str]:
            asked.append(platform)
            return engine, ""

        run_command_line([*line.split(), str(path)], replace(world_of(engine), engine=opened))  # type: ignore[arg-type]
        return " ".join(capsys.readouterr().out.split())

    own = FakeEngine(identity="sha256:0")
    emulated = FakeEngine(identity=emulating("sha256:0", HERE), emulated=HERE)
    assert "emulated" not in does("plan", own) + does("run", own)
    assert f"{HERE} is emulated on this engine: trials take longer" in does("plan", emulated)
    report = does("run", emulated)
    assert f"Emulated: 4 trials on {HERE}. Outcomes count as any others, times are compared with none." in report
    assert (len(own.ran), len(emulated.ran), set(asked)) == (4, 4, {HERE})


def test_an_identity_tells_platform_and_runtime_apart() -> None:
    both = under_runtime(emulating("sha256:0", "linux/amd64"), "runsc")
    assert (emulated_of(both), runtime_of(both)) == ("linux/amd64", "runsc")
    assert (emulated_of("sha256:0 under runsc"), runtime_of(emulating("sha256:0", "linux/amd64"))) == ("", "")


def test_times_of_what_is_emulated_are_compared_with_none() -> None:
    base = emulating("sha256:0", "linux/amd64")
    own = [record(*LEARNS, seed=n, processor="M2", pair=f"p{n}") for n in range(6)]
    emulated = [one.model_copy(update={"base_identity": base}) for one in own]
    ours, theirs = ([Observation.of(one) for one in side] for side in (own, emulated))
    assert [len(side) for side in comparable(ours, ours)] == [6, 6]
    assert comparable(ours, theirs) == comparable(theirs, theirs) == ([], [])
    assert (len(pairs(ours, ours)), pairs(ours, theirs), pairs(theirs, ours)) == (6, [], [])
    limit = CostLimit(measure=Measure.SECONDS, factor=1.5, bands=(("M2", 1.0, 2.0),))
    judged = within_costs(verdict_of(emulated[0]), emulated[0], [limit], alone=False)
    assert judged.label is Label.TOO_CLOSE
    assert judged.reason.endswith("emulating linux/amd64: times of what is emulated are compared with none")
    assert times_told({}, {}) == ()


def test_containers_and_images_of_the_platform_are_asked_for_where_it_is_emulated(tmp_path: Path) -> None:
    limits = Limits(memory_bytes=2**29, disk_bytes=2**25, processes=64, timeout_s=60)
    job = Job(key="k", folder=JobFolder(root=tmp_path), argv=("a.py",), env={}, limits=limits, cpus=())
    for emulated, asked in (("", None), ("linux/amd64", "linux/amd64")):
        given = settings(job, trial_world(job, LAYOUT), user="1:1", owner="me", mounts=[], emulated=emulated)
        assert given.get("platform") == asked
        build = ImageBuild(
            context=tmp_path, dockerfile=tmp_path, tag="t", arguments={}, labels={}, platform=emulated
        ).options()
        assert ("--platform" in build) == bool(emulated)
        assert not emulated or build[build.index("--platform") + 1] == emulated


def test_a_platform_that_is_not_this_machine_s_needs_containers(monkeypatch: pytest.MonkeyPatch) -> None:
    opened: list[tuple[str, str]] = []

    def docker(base: str, _runtime: str, platform: str) -> Any:
        opened.append((base, platform))
        raise MachineError(f"The engine can't run {platform}.")

    monkeypatch.setattr("runner.engines.choice._docker", docker)
    with pytest.raises(UsageError, match=f"`platform: {OTHER}` is emulated in containers alone: use --engine docker"):
        open_engine("venv", base="auto", platform=OTHER)
    with pytest.raises(MachineError, match=f"can't run {OTHER}"):
        open_engine("auto", base="auto", platform=OTHER)
    assert opened == [("registry", OTHER), ("offline", OTHER), ("registry", OTHER)]
    assert open_engine("venv", base="auto", platform=HERE, system="linux")[0].platform == HERE


class Asked:
    """An engine for arm64 that is asked to run one program, and what of it is left."""

    def __init__(self, status: int, refusal: str = "") -> None:
        self.status, self.refusal = status, refusal
        self.images: set[str] = set()
        self.left = 0
        self.api = self.containers = self
        self.images = SimpleNamespace(remove=lambda tag, force: self.made.remove(tag))  # type: ignore[assignment]
        self.made: list[str] = []

    def import_image_from_data(self, data: bytes, repository: str, tag: str) -> None:
        assert b"\x7fELF" in data
        self.made.append(f"{repository}:{tag}")

    def create(self, *_image: object, **_options: object) -> Asked:
        self.left += 1
        return self

    def start(self) -> None:
        if self.refusal:
            raise APIError("failed", explanation=self.refusal)

    def wait(self) -> dict[str, int]:
        return {"StatusCode": self.status}

    def remove(self, force: bool) -> None:
        self.left -= 1

    def version(self) -> dict[str, str]:
        return {"Arch": "arm64"}


@pytest.mark.parametrize("engine", [Asked(1), Asked(0, "exec /ends: exec format error")])
def test_an_engine_that_emulates_nothing_is_one_message_with_what_to_do(engine: Asked) -> None:
    with pytest.raises(MachineError) as caught:
        refuse_platform(engine, "linux/amd64", owner="me")  # type: ignore[arg-type]
    assert str(caught.value) == (
        "The Docker engine can't run programs of linux/amd64, which `platform:` asks for: it is linux/arm64 and"
        " emulates no other. Install an emulator on its machine (`docker run --privileged --rm tonistiigi/binfmt"
        " --install amd64`), or leave `platform:` out."
    )
    assert (engine.made, engine.left) == ([], 0)


def test_the_program_that_an_engine_is_asked_to_run_ends_as_it_should(tmp_path: Path) -> None:
    refuse_platform(Asked(42), "linux/amd64", owner="me")  # type: ignore[arg-type]
    program = tmp_path / "ends"
    program.write_bytes(program_of(HERE))
    program.chmod(0o755)
    assert subprocess.run([program], check=False).returncode == 42
    assert [platform_of(name) for name in ("aarch64", "arm64", "x86_64", "riscv64")] == [
        "linux/arm64",
        "linux/arm64",
        "linux/amd64",
        "linux/riscv64",
    ]


def test_under_venv_a_lock_of_macos_has_the_wheels_of_macos(fake: FakeIndex, tmp_path: Path) -> None:
    needs = ["yaml; sys_platform == 'darwin' and platform_machine == 'arm64'", "numpy; platform_system == 'Linux'"]
    tag = OF_CPYTHON.rpartition("-")[0]
    for system in ("manylinux2014_x86_64", "macosx_12_0_arm64", "macosx_12_0_x86_64", "macosx_26_0_arm64"):
        fake.add_wheel("both", "1.0", "2026-03-01", needs, tag=f"{tag}-{system}", files={"of.py": system})
    lock = resolved("both==1.0", platform="macos/arm64")
    assert [package.name for package in lock.packages] == ["both", "yaml"]
    assert "\n# platform: aarch64-apple-darwin\n" in lock.text
    fitting = [
        f"both-1.0-{tag}-{one}.whl" for one in ("macosx_12_0_arm64", "macosx_12_0_universal2", "macosx_10_9_x86_64")
    ]
    machine = machine_of("macos/arm64")
    assert [rank(name, PYTHON, machine) is not None for name in fitting] == [True, True, False]
    assert [rank(name, PYTHON, machine_of("macos/amd64")) is not None for name in fitting] == [False, True, True]
    assert rank(f"both-1.0-{tag}-macosx_26_0_arm64.whl", PYTHON, machine) is None, "newer than the oldest macOS"
    path = write(lock, tmp_path)
    environment = replace(lock.environment, platform="")
    read, _ = read_if_it_follows(path, replace(environment, platform="macos/arm64"))
    assert read is not None
    assert read.platform == "macos/arm64"


@pytest.mark.parametrize("machine", ["arm64", "x86_64"])
def test_a_platform_of_macos_is_what_its_lock_says(monkeypatch: pytest.MonkeyPatch, machine: str) -> None:
    monkeypatch.setattr("sys.platform", "darwin")
    monkeypatch.setattr("platform.machine", lambda: machine)
    here = this_platform()
    assert here == {"arm64": "macos/arm64", "x86_64": "macos/amd64"}[machine]
    assert platform_named(platform_name(machine_of(here))) == here
    assert platform_named(platform_name(machine_of("linux/arm64"))) == "linux/arm64"
