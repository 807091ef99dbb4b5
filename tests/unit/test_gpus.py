"""GPUs: which there are, which slot has which, what trials and engines are told of them, what is said without."""

from __future__ import annotations

import re
from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path

import pytest
from fake_engine import MATRIX, FakeEngine, world_of, write_matrix
from packaging.version import Version

from runner.cli.app import run_command_line
from runner.engines.docker.container import LAYOUT, settings
from runner.engines.gpu import Gpu, gpus_of_this_machine, has_driver, listed, model_of, usable
from runner.engines.protocol import EngineKind, Job, JobFolder, Limits
from runner.engines.world import host_layout
from runner.engines.world import world_of as trial_world
from runner.environments.cuda_libraries import (
    cuda_build,
    cuda_builds,
    cuda_extra,
    is_built_for_gpus,
    needs_base_image,
)
from runner.errors import MachineError, MatrixError
from runner.laboratory.executor import slots_of
from runner.laboratory.request import Request
from runner.laboratory.setup import Setup
from runner.matrix.cells import expand
from runner.matrix.matrix_file import Matrix
from runner.matrix.model import Resources
from runner.session.options import Options
from runner.session.session import open_session
from runner.trials.store import Store

ONE, TWO, THREE = (Gpu(id=f"GPU-{name}", model="NVIDIA H200") for name in ("aa", "ab", "b"))
LIMITS = Limits(memory_bytes=2**29, disk_bytes=2**25, processes=64, timeout_s=60)


def program(folder: Path, text: str) -> dict[str, str]:
    """A world in which `nvidia-smi` prints a text."""
    made = folder / "nvidia-smi"
    made.write_text(f"#!/bin/sh\n{text}\n")
    made.chmod(0o755)
    return {"PATH": f"{folder}:/usr/bin:/bin"}


def test_the_gpus_of_a_machine_are_those_of_its_driver_that_the_runner_may_use(tmp_path: Path) -> None:
    environ = program(tmp_path, "echo 'GPU-aa, NVIDIA H200'; echo 'GPU-ab, NVIDIA H200'; echo 'GPU-b, NVIDIA H200'")
    assert gpus_of_this_machine(environ) == (ONE, TWO, THREE)
    assert gpus_of_this_machine({**environ, "CUDA_VISIBLE_DEVICES": "2,0"}) == (THREE, ONE)
    with pytest.raises(MachineError, match=r"lists 3, and CUDA_VISIBLE_DEVICES allows none of them"):
        gpus_of_this_machine({**environ, "CUDA_VISIBLE_DEVICES": ""})


@pytest.mark.parametrize(
    ("visible", "found"),
    [
        (None, (ONE, TWO, THREE)),
        ("GPU-b", (THREE,)),
        ("0, 1", (ONE, TWO)),
        ("0,0", (ONE,)),
        ("1,-1,0", (TWO,)),
        ("7", ()),
        ("MIG-1", (Gpu(id="MIG-1", model="MIG device"),)),
    ],
)
def test_what_a_batch_system_leaves_visible_is_taken_as_cuda_takes_it(
    visible: str | None, found: tuple[Gpu, ...]
) -> None:
    assert usable((ONE, TWO, THREE), visible) == found


def test_a_machine_without_a_driver_or_with_one_that_fails_is_told_in_one_message(tmp_path: Path) -> None:
    with pytest.raises(MachineError, match=r"this machine has no driver \(no `nvidia-smi` on the PATH\)"):
        gpus_of_this_machine({"PATH": str(tmp_path)})
    broken = program(tmp_path, "echo 'NVML: Driver/library version mismatch' >&2; exit 18")
    with pytest.raises(MachineError, match="driver of this machine fails: NVML: Driver/library version mismatch"):
        gpus_of_this_machine(broken)
    assert listed("No devices were found\n") == ()


def held(resources: Resources, jobs: int | None, *gpus: Gpu) -> list[str]:
    return [" ".join(gpu.id.removeprefix("GPU-") for gpu in slot.gpus) for slot in slots_of(resources, jobs, gpus)]


def test_one_trial_has_a_device_to_itself_unless_they_are_shared(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("os.sched_getaffinity", lambda _pid: set(range(16)))
    alone = Resources(gpus=1)
    assert held(alone, None, ONE, TWO, THREE) == ["aa", "ab", "b"], "16 processors would have room for more"
    assert held(alone, 8, ONE, TWO) == ["aa", "ab"], "jobs share no device either"
    assert held(Resources(gpus=1, cpus=8), None, ONE, TWO, THREE) == ["aa", "ab"]
    assert held(Resources(gpus=1, trials_per_gpu=2), None, ONE, TWO) == ["aa", "ab", "aa", "ab"]
    assert held(Resources(gpus=2), None, ONE, TWO, THREE) == ["aa ab"]
    assert held(Resources(), 2, ONE) == ["", ""], "who asks for none has none"
    with pytest.raises(MachineError, match=r"A trial needs 4 GPUs \(`resources: gpus`\), and 3 can be used here"):
        slots_of(Resources(gpus=4), None, (ONE, TWO, THREE))


@pytest.fixture
def job(tmp_path: Path) -> Job:
    folder = JobFolder(root=tmp_path / "job")
    return Job(key="k1", folder=folder, argv=("train.py",), env={}, limits=LIMITS, cpus=(0,))


def test_a_trial_sees_its_devices_and_no_others_under_both_engines(job: Job, tmp_path: Path) -> None:
    two = replace(job, gpus=(TWO, THREE), env={"CUDA_VISIBLE_DEVICES": "0"})
    here = host_layout(job.folder, tmp_path)
    visible = [trial_world(one, at).variables["CUDA_VISIBLE_DEVICES"] for one in (job, two) for at in (here, LAYOUT)]
    assert visible == ["", "", "GPU-ab,GPU-b", "0,1"]


def test_the_request_for_devices_stands_in_what_the_engine_is_given(job: Job) -> None:
    assert "device_requests" not in settings(job, trial_world(job, LAYOUT), user="1:1", owner="me", mounts=[])
    two = replace(job, gpus=(TWO, THREE))
    (request,) = settings(two, trial_world(two, LAYOUT), user="1:1", owner="me", mounts=[])["device_requests"]
    assert request["DeviceIDs"] == ["GPU-ab", "GPU-b"]
    assert (request["Count"], request["Capabilities"]) == (0, [["gpu", "compute", "utility"]])


def test_which_cuda_a_tensorflow_needs_and_what_brings_it_is_data() -> None:
    row = cuda_build("2.10.1")
    assert row is not None
    assert (row.cuda, row.cudnn, row.pythons) == ("11.2", "8.1", ("3.7", "3.10"))
    assert cuda_build("1.13.1") == next(one for one in cuda_builds() if one.tensorflow == "1.13")
    assert [cuda_extra("tensorflow", Version(one)) for one in ("2.13.1", "2.14.0", "2.20.0")] == [
        "",
        *["[and-cuda]"] * 2,
    ]
    assert cuda_extra("torch", Version("2.5.0")) == "", "its own wheels require the libraries"
    assert [is_built_for_gpus(Version(one)) for one in ("1.13.1", "1.15.5", "2.0.4", "2.1.0")] == [
        False,
        True,
        False,
        True,
    ]
    assert needs_base_image({"tensorflow": "2.14.0"}) == needs_base_image({"torch": "1.13.1"}) == ""
    assert "CUDA 11.2 and cuDNN 8.1" in needs_base_image({"keras": "2.10.0", "tensorflow": "2.10.1"})


GPUS = """\
axes: {six: [1.15.0, 1.16.0]}
experiment: {script: a.py}
criterion: loss < 1e-4
resources: {gpus: 1}
flavour: cpu
"""


def test_a_flavour_for_processors_beside_gpus_is_a_mistake_and_full_follows(tmp_path: Path) -> None:
    with pytest.raises(MatrixError, match="flavour: cpu has nothing that runs on a GPU"):
        Matrix.load(write_matrix(tmp_path / "cpu", GPUS))
    path = write_matrix(tmp_path / "here", GPUS.replace("flavour: cpu", ""))
    with open_session(Matrix.load(path), Options(), world=world_of(FakeEngine())) as session:
        assert [group.environment.name for group in session.groups] == ["six-1.15.0+gpu", "six-1.16.0+gpu"]


@pytest.mark.parametrize("kind", EngineKind)
def test_a_machine_that_has_no_gpu_is_told_before_anything_is_made(tmp_path: Path, kind: EngineKind) -> None:
    engine = FakeEngine(kind=kind, found=False)
    path = write_matrix(tmp_path / "here", GPUS.replace("flavour: cpu", ""))
    with (
        pytest.raises(MachineError, match="needs an NVIDIA GPU"),
        open_session(Matrix.load(path), Options(), world=world_of(engine)) as session,
    ):
        session.laboratory.run(session.setup, [Request(cell=session.cells[0], seeds=(0,))], lambda _answer: ())
    assert engine.ran == []


def test_a_trial_on_a_gpu_is_another_trial_and_its_record_names_the_device(tmp_path: Path) -> None:
    engine = FakeEngine(devices=(ONE, TWO))
    path = write_matrix(tmp_path / "here", GPUS.replace("flavour: cpu", "seeds: 1").replace("{gpus: 1}", "{gpus: 0}"))
    keys = {}
    for gpus in (0, 1, 2):
        matrix = replace(Matrix.load(path), resources=Resources(gpus=gpus))
        with open_session(matrix, Options(only="six=1.15.0"), world=world_of(engine)) as session:
            setup = replace(session.setup, resources=matrix.resources)
            lock = session.laboratory.environments.needed_lock(replace(session.groups[0].environment, flavour="auto"))
            setting = session.laboratory.records.setting(session.cells[0], setup, lock, (engine.kind, "fake-base"))
            keys[gpus] = setting.digest
    assert len(set(keys.values())) == 3
    assert [model_of(gpus) for gpus in ((), (ONE,), (ONE, TWO))] == ["", "NVIDIA H200", "2 x NVIDIA H200"]


@pytest.mark.parametrize(
    ("kind", "environment", "has_gpu", "anew"),
    [
        (EngineKind.VENV, "{}", False, 0),
        (EngineKind.VENV, "{}", True, 4),
        (EngineKind.VENV, "{CUDA_VISIBLE_DEVICES: '-1'}", True, 0),
        (EngineKind.DOCKER, "{}", True, 0),
    ],
)
def test_a_trial_from_before_gpus_were_hidden_counts_where_it_could_have_had_none(
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    kind: EngineKind,
    environment: str,
    has_gpu: bool,
    anew: int,
) -> None:
    text = MATRIX.replace("timeout: 10s", f"env: {environment}")
    path = write_matrix(tmp_path / "here", f"{text}seeds: 1\n")
    engine = FakeEngine(kind=kind)
    world = replace(world_of(engine), has_gpu=lambda: has_gpu)
    command = ["run", str(path), "--engine", kind.value]
    run_command_line(command, world)
    with Store(path.parent / ".runner" / "records.sqlite") as store:
        keys = store.keys()
        for record in store.get(keys).values():
            assert record.device == ""
            store.put(record.model_copy(update={"device": None}))
    assert len(keys) == len(engine.ran) == 4
    told = "could use the GPU of this machine"
    for expected in (4 + anew, 4 + anew):
        capsys.readouterr()
        run_command_line(command, world)
        assert len(engine.ran) == expected
        assert capsys.readouterr().err.count(told) == (1 if anew else 0)
        anew = 0


def test_a_driver_is_found_without_starting_anything(tmp_path: Path) -> None:
    nowhere = {"PATH": str(tmp_path / "empty")}
    assert not has_driver(nowhere, tmp_path)
    assert has_driver(program(tmp_path, "exit 1"), tmp_path / "empty")
    for name in ("nvidia3", "dxg"):
        (tmp_path / name).mkdir()
        (tmp_path / name / name).touch()
        assert has_driver(nowhere, tmp_path / name)


def test_the_page_has_the_table_of_cuda_builds_as_the_data_has_it() -> None:
    page = (Path(__file__).parents[2] / "docs" / "gpus.md").read_text()
    rows = [f"| {one.tensorflow} | {' to '.join(one.pythons)} | {one.cuda} | {one.cudnn} |" for one in cuda_builds()]
    assert [line for line in page.splitlines() if line in rows] == rows
    assert len(rows) == 31
    assert [Version(one.tensorflow) for one in cuda_builds()] == sorted(
        (Version(one.tensorflow) for one in cuda_builds()), reverse=True
    )


def test_the_base_images_of_the_page_have_the_cuda_and_a_cpython_of_each_row_that_needs_one(tmp_path: Path) -> None:
    page = (Path(__file__).parents[2] / "docs" / "gpus.md").read_text()
    entries = next(part for part in page.split("```") if part.startswith("yaml\nbase_image:")).removeprefix("yaml\n")
    rows = [one for one in cuda_builds() if Version("1.13") <= Version(one.tensorflow) < Version("2.14")]
    axes = f"axes: {{tensorflow: [{', '.join(f'{one.tensorflow}.1' for one in rows)}]}}\nexperiment: {{script: a.py}}\n"
    matrix = Matrix.load(write_matrix(tmp_path / "here", axes + entries))
    setup = Setup.of(matrix)
    images = [setup.environment(cell).base_image for cell in expand(matrix)]
    assert len(images) == len(rows) == 17
    for row, image in zip(rows, images, strict=True):
        _, cuda, python = image.removesuffix(":1").split("-")
        first, last = map(Version, row.pythons)
        assert cuda == row.cuda, row
        assert first <= Version(python.removeprefix("py")) <= last, row
        assert f"--tag {image} --build-arg CUDA={cuda}" in page


@pytest.mark.parametrize(
    ("kind", "base_image", "told"),
    [
        (EngineKind.DOCKER, "", "the usual base images have none. Name one that has them (`base_image:`)"),
        (EngineKind.DOCKER, "base_image: {image: cuda:1, when: tensorflow<2.14}\n", ""),
        (EngineKind.DOCKER, "base_image: {image: cuda:1, when: tensorflow<2}\n", "and the usual base images have none"),
        (EngineKind.VENV, "base_image: {image: cuda:1, when: tensorflow<2.14}\n", ""),
    ],
)
def test_an_old_tensorflow_has_its_cuda_from_a_base_image_that_is_named_for_it(
    tmp_path: Path, kind: EngineKind, base_image: str, told: str
) -> None:
    text = "axes: {tensorflow: [2.10.1]}\nexperiment: {script: a.py}\nresources: {gpus: 1}\n"
    path = write_matrix(tmp_path / "here", text + base_image)
    with open_session(Matrix.load(path), Options(), world=world_of(FakeEngine(kind=kind, devices=(ONE,)))) as session:
        requests = [Request(cell=cell, seeds=(0,)) for cell in session.cells]
        refused = pytest.raises(MachineError, match=re.escape(told)) if told else nullcontext()
        with refused:
            session.laboratory._check_cuda(session.setup, requests)
