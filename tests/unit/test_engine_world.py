"""The world of a trial: the same in every engine, but for the places where its parts lie."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from runner.engines import world as world_module
from runner.engines.docker.container import LAYOUT as IN_CONTAINER
from runner.engines.protocol import Job, JobFolder, Limits, Mount
from runner.engines.venv.venv_job import lay_out
from runner.engines.world import PROBE, Layout, host_layout, world_of
from runner.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Callable

ENVIRONMENT = Path("/cache/environments/0-0")
LIMITS = Limits(memory_bytes=1, disk_bytes=1, processes=1, timeout_s=1)
LAYOUTS: dict[str, Callable[[JobFolder], Layout]] = {
    "docker": lambda _: IN_CONTAINER,
    "venv": lambda folder: host_layout(folder, ENVIRONMENT),
}


def job(root: Path, *, env: dict[str, str] | None = None, mounts: tuple[Mount, ...] = ()) -> Job:
    folder = JobFolder(root=root)
    folder.work.mkdir(exist_ok=True)
    return Job(key="k", folder=folder, argv=("train.py",), env=env or {}, limits=LIMITS, cpus=(0,), mounts=mounts)


@pytest.fixture(params=LAYOUTS)
def layout(request: pytest.FixtureRequest, tmp_path: Path) -> Layout:
    return LAYOUTS[request.param](JobFolder(root=tmp_path))


def test_a_trial_is_told_where_its_folders_its_channel_and_the_probe_are(layout: Layout, tmp_path: Path) -> None:
    world = world_of(job(tmp_path), layout)
    assert world.command == (f"{layout.environment}/bin/python", "train.py")
    assert world.start == layout.work
    assert {**world.variables, **world.probing, "TMPDIR": layout.tmp} == {
        "CUDA_VISIBLE_DEVICES": "",
        "HOME": layout.home,
        "LANG": "C.UTF-8",
        "LOGNAME": "runner",
        "MPLBACKEND": "Agg",
        "PATH": f"{layout.environment}/bin:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
        "PYTHONPATH": layout.probe,
        "RUNNER_CHANNEL": layout.channel,
        "RUNNER_METRICS": layout.metrics,
        "RUNNER_PROBE": "1",
        "TMPDIR": layout.tmp,
        "TZ": "UTC",
        "USER": "runner",
    }


def test_tmp_is_named_only_where_it_is_elsewhere(tmp_path: Path) -> None:
    assert "TMPDIR" not in world_of(job(tmp_path), IN_CONTAINER).variables
    assert world_of(job(tmp_path), host_layout(JobFolder(root=tmp_path), ENVIRONMENT)).variables["TMPDIR"] == str(
        tmp_path / "tmp"
    )


def test_preludes_are_told_and_seen_only_where_there_are_some(layout: Layout, tmp_path: Path) -> None:
    assert "RUNNER_PRELUDES" not in world_of(job(tmp_path), layout).probing
    assert [seen.source for seen in world_of(job(tmp_path), layout).read_only] == [PROBE]
    (tmp_path / "preludes").mkdir()
    world = world_of(job(tmp_path), layout)
    assert world.probing["RUNNER_PRELUDES"] == layout.preludes
    assert [seen.source for seen in world.read_only] == [PROBE, tmp_path / "preludes"]


def test_a_cell_may_choose_time_zone_and_module_path_but_neither_home_nor_channel(
    layout: Layout, tmp_path: Path
) -> None:
    wanted = {"TZ": "Asia/Tokyo", "PYTHONPATH": "lib", "HOME": "/root", "RUNNER_CHANNEL": "/dev/null"}
    world = world_of(job(tmp_path, env=wanted), layout)
    told = {**world.variables, **world.probing}
    assert told["TZ"] == "Asia/Tokyo"
    assert told["PYTHONPATH"] == f"{layout.probe}:lib"
    assert told["HOME"] == layout.home
    assert told["RUNNER_CHANNEL"] == layout.channel


def test_a_trial_writes_to_its_own_folders_and_files_only(layout: Layout, tmp_path: Path) -> None:
    world = world_of(job(tmp_path), layout)
    assert {seen.target: seen.source.name for seen in world.writable} == {
        layout.work: "work",
        layout.home: "home",
        layout.tmp: "tmp",
        layout.channel: "channel",
        layout.metrics: "metrics",
    }
    assert world.file_bytes == LIMITS.disk_bytes + 1024**2


def test_data_has_a_place_in_the_working_directory_or_in_home(layout: Layout, tmp_path: Path) -> None:
    mounts = (Mount(source=tmp_path, target="data/x/../iris.csv"), Mount(source=tmp_path, target="~/.keras/datasets"))
    assert [(data.target, data.place) for data in world_of(job(tmp_path, mounts=mounts), layout).data] == [
        (f"{layout.work}/data/iris.csv", tmp_path / "work" / "data" / "iris.csv"),
        (f"{layout.home}/.keras/datasets", tmp_path / "home" / ".keras" / "datasets"),
    ]


@pytest.mark.parametrize("target", ["../set/x.csv", "a/../../set/x.csv"])
def test_data_has_a_place_beside_the_working_directory(target: str, layout: Layout, tmp_path: Path) -> None:
    (data,) = world_of(job(tmp_path, mounts=(Mount(source=tmp_path, target=target),)), layout).data
    assert data.target == f"{layout.work.removesuffix('/work')}/set/x.csv"
    assert data.place == tmp_path / "set" / "x.csv"


@pytest.mark.parametrize(
    "target", ["../../x", "..", "../home/x", "../work", "../usr/x", "~/../x", "/etc/passwd", ".", "~/.", "~/", "~//etc"]
)
def test_data_can_be_mapped_to_no_place_that_a_trial_has_not(target: str, layout: Layout, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"^Data cannot be mapped: the data target '"):
        world_of(job(tmp_path, mounts=(Mount(source=tmp_path, target=target),)), layout)


def test_the_probe_is_where_the_world_looks_for_it() -> None:
    assert (PROBE / "sitecustomize.py").is_file()
    assert Path(world_module.__file__).parents[1] / "probe" == PROBE


def test_without_a_container_data_is_mapped_by_links(tmp_path: Path) -> None:
    source = tmp_path / "iris.csv"
    source.write_text("1,2\n")
    mounts = (Mount(source=source, target="data/iris.csv"), Mount(source=source, target="~/.keras/datasets/iris.csv"))
    some = job(tmp_path, mounts=mounts)
    world = world_of(some, host_layout(some.folder, ENVIRONMENT))
    lay_out(some, world)
    lay_out(some, world)  # a second attempt finds the first one's links
    assert (tmp_path / "work/data/iris.csv").read_text() == "1,2\n"
    assert (tmp_path / "home/.keras/datasets/iris.csv").read_text() == "1,2\n"
    assert (tmp_path / "tmp").is_dir()


def test_data_lies_over_what_the_script_brought_to_its_place(tmp_path: Path) -> None:
    data = tmp_path / "set"
    data.mkdir()
    (data / "a.csv").touch()
    one = job(tmp_path, mounts=(Mount(source=data, target="set"),))
    (one.folder.work / "set").mkdir()
    (one.folder.work / "set/a.csv").write_text("copied")
    lay_out(one, world_of(one, host_layout(one.folder, ENVIRONMENT)))
    assert (one.folder.work / "set").resolve() == data
