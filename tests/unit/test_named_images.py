"""Base images that a matrix names: which image a name means, and what is said where it can't be used."""

from __future__ import annotations

import contextlib
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest
from docker.errors import APIError, ImageNotFound

from runner.engines.docker.base_images import FROM, IDENTITY
from runner.engines.docker.buildkit import Builder
from runner.engines.docker.environment_images import LOCK_DIGEST, PYTHON, EnvironmentImages, InterpreterImage
from runner.engines.docker.named_images import NamedImages, content_identity, cpython_of
from runner.engines.docker.recipe import recipe
from runner.environments.lock import Environment
from runner.environments.lockfile import finished
from runner.errors import MachineError, UsageError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from runner.engines.docker.buildkit import ImageBuild

ONE, OTHER = f"sha256:{'1' * 64}", f"sha256:{'2' * 64}"


class FakeEngine:
    """An engine on arm64 in front of a registry: `here` and `there` are images by name, with their platforms."""

    def __init__(self, here: dict[str, tuple[str, str]], there: dict[str, tuple[str, str]] | None = None) -> None:
        self.here, self.there = here, there or {}
        self.pulled: list[tuple[str, str | None]] = []
        self.images = self.api = self

    def version(self) -> dict[str, str]:
        return {"Arch": "arm64"}

    def pull(self, repository: str, *, tag: str, platform: str | None, **_: bool) -> list[dict[str, Any]]:
        name = f"{repository}{'@' if tag.startswith('sha256:') else ':'}{tag}"
        self.pulled.append((name, platform))
        if name not in self.there:
            return [{"error": "no such image"}]
        self.here[name] = self.there[name]
        return [{"status": "Pulling"}]

    def get(self, name: str) -> Any:
        found = next((one for one in self.here.items() if name in {one[0], one[1][0]}), None)
        if found is None:
            raise ImageNotFound(name)
        (identity, kind) = found[1]
        attrs = {
            "Id": identity,
            "Os": "linux",
            "Architecture": kind,
            "RootFS": {"Layers": [identity]},
            "RepoDigests": [f"{found[0].partition(':')[0]}@{ONE}"],
        }
        own = (identity, kind)
        return SimpleNamespace(attrs=attrs, labels={}, tag=lambda *to: self.here.__setitem__(":".join(to), own))


class FakeBuilder:
    """Takes note of what is to be built."""

    def __init__(self) -> None:
        self.built: list[ImageBuild] = []

    @contextlib.contextmanager
    def context(self) -> Iterator[Path | None]:
        yield None

    def build(self, build: ImageBuild, _: object) -> None:
        self.built.append(build)


def content(layer: str, kind: str = "arm64") -> str:
    return content_identity({"Os": "linux", "Architecture": kind, "RootFS": {"Layers": [layer]}})


def images_of(engine: FakeEngine, builder: FakeBuilder | None = None, **means: Any) -> NamedImages:
    return NamedImages(engine, builder or FakeBuilder(), **means)  # type: ignore[arg-type]


def test_what_a_name_means_is_settled_once_a_run() -> None:
    engine, builder = FakeEngine({"mine:1": (ONE, "arm64")}), FakeBuilder()
    images = images_of(engine, builder)
    assert images.identity("mine:1") == content(ONE)
    engine.here = {"mine:1": (OTHER, "arm64"), "<none>": (ONE, "arm64")}  # built anew meanwhile
    made = images.provide("mine:1", pytest.fail)
    assert (images.identity("mine:1"), made.identity) == (content(ONE), content(ONE))
    assert engine.here["convergence-matrix/named:image-111111111111"] == (ONE, "arm64")
    (build,) = builder.built
    assert build.tag == made.tag == "convergence-matrix/base:named-111111111111"
    assert build.labels == {FROM: "convergence-matrix/named:image-111111111111", IDENTITY: content(ONE)}
    assert "ENTRYPOINT []" in build.dockerfile.read_text()
    assert images_of(engine).identity("mine:1") == content(OTHER)
    assert images.address("mine:1") == f"mine@{ONE}"


def test_an_image_has_one_identity_on_engines_that_keep_images_in_different_ways() -> None:
    same = {"Os": "linux", "Architecture": "amd64", "RootFS": {"Type": "layers", "Layers": [ONE, OTHER]}}
    env = ["PATH=/usr/bin", "CUDA_VERSION=11.8"]
    nulls = {"Env": env, "WorkingDir": "", "Volumes": None, "Entrypoint": None, "Labels": {"built": "here"}}
    classic = {**same, "Id": ONE, "RepoDigests": [], "Config": nulls}
    of_containerd = {**same, "Id": OTHER, "RepoDigests": [f"mine@{OTHER}"], "Config": {"Env": env, "WorkingDir": "/"}}
    assert content_identity(classic) == content_identity(of_containerd)
    for change in (
        {"Architecture": "arm64"},
        {"RootFS": {"Layers": [OTHER, ONE]}},
        {"Config": {"Env": env[:1]}},
        {"Config": {"Env": env, "WorkingDir": "/srv"}},
        {"Config": {"Env": env, "Volumes": {"/data": {}}}},
    ):
        assert content_identity({**classic, **change}) != content_identity(classic)


def test_an_image_that_the_engine_lacks_is_pulled_and_unknown_before() -> None:
    engine = FakeEngine({}, {"mine:1": (ONE, "arm64")})
    images, said = images_of(engine), list[str]()
    assert images.identity("mine:1") is None
    assert images.provide("mine:1", said.append).identity == content(ONE)
    assert engine.pulled == [("mine:1", None)]
    assert said == ["pulling mine:1"]
    assert images.identity("mine:1") == content(ONE)


def test_one_for_another_platform_is_pulled_for_the_wanted_one_and_has_an_identity_of_its_own() -> None:
    engine = FakeEngine({"mine:1": (OTHER, "arm64")}, {"mine:1": (ONE, "amd64")})
    images = images_of(engine, emulated="linux/amd64")
    assert images.identity("mine:1") is None
    assert images.provide("mine:1", lambda _: None).identity == f"{content(ONE, 'amd64')} as linux/amd64"
    assert engine.pulled == [("mine:1", "linux/amd64")]


@pytest.mark.parametrize(
    ("here", "why"),
    [
        ({}, "it cannot be pulled (no such image)."),
        ({"mine:1": (ONE, "amd64")}, "the engine has it for linux/amd64 alone, and it cannot be pulled"),
    ],
)
def test_one_that_can_not_be_had_is_told_with_what_to_do(here: dict[str, tuple[str, str]], why: str) -> None:
    with pytest.raises(MachineError) as caught:
        images_of(FakeEngine(here)).provide("mine:1", lambda _: None)
    assert str(caught.value).startswith(f"The base image mine:1 can't be had for linux/arm64: {why}")
    assert "`docker build --tag mine:1`" in str(caught.value)


class Pushed(FakeEngine):
    """An engine whose images have the labels of an environment."""

    def __init__(self, address: str, labels: dict[str, str]) -> None:
        super().__init__({}, {address: (ONE, "amd64")})
        self.address, self.labels = address, labels
        self.gone: list[str] = []

    def get(self, name: str) -> Any:
        if name not in self.here:
            raise ImageNotFound(name)
        own = self.here[name]
        return SimpleNamespace(labels=self.labels, tag=lambda *to: self.here.__setitem__(":".join(to), own))

    def remove(self, name: str) -> None:
        self.gone.append(name)


def test_what_another_engine_pushed_is_pulled_for_the_platform_that_is_emulated(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RUNNER_CACHE", str(tmp_path))
    lock = finished(
        environment=Environment(pins=(("six", "1.16.0"),)), python="3.9", as_of=None, exemptions=(), packages=()
    )
    address = f"h:5000/env@{OTHER}"
    engine = Pushed(address, {LOCK_DIGEST: lock.digest, IDENTITY: ONE, PYTHON: "3.9.18"})
    bases: Any = SimpleNamespace(identity=lambda _: ONE)
    images = EnvironmentImages(engine, bases, Builder(pytest.fail), emulated="linux/amd64")  # type: ignore[arg-type]
    image = images.pull(lock, address, lambda _: None)
    assert engine.pulled == [(address, "linux/amd64")]
    assert (image.address, image.lock_digest, engine.gone) == (address, lock.digest, [address])


@pytest.mark.parametrize(
    ("address", "told"),
    [
        ("mine:1", f"# The base image mine:1 is this machine's of that name; content: {ONE}."),
        (f"m@{OTHER}", ""),
    ],
)
def test_a_printed_recipe_begins_with_the_image_that_is_named_and_says_which(address: str, told: str) -> None:
    environment = Environment(pins=(("six", "1.16.0"),), base_image="mine:1")
    lock = finished(environment=environment, python="3.9", as_of=None, exemptions=(), packages=())
    made = InterpreterImage(tag="i", base_tag="b", identity=ONE, python_full="3.9.18")
    printed = recipe(lock, made, address, SimpleNamespace(), pytest.fail)  # type: ignore[arg-type]
    assert f"\nFROM {address}\n\nUSER 0\nENTRYPOINT []\n" in printed
    assert [line for line in printed.splitlines() if "# The base image" in line] == ([told] if told else [])


class Said:
    """A container that says something, or can't start."""

    def __init__(self, out: str = "", err: str = "", trouble: str = "") -> None:
        self.out, self.err, self.trouble = out, err, trouble
        self.removed = 0
        self.containers = self

    def create(self, *_: object, **__: object) -> Said:
        return self

    def start(self) -> None:
        if self.trouble:
            raise APIError("failed", explanation=self.trouble)

    def wait(self) -> None:
        """It has ended."""

    def logs(self, *, stdout: bool = True, stderr: bool = True) -> bytes:
        return (self.out * stdout + self.err * stderr).encode()

    def remove(self, **_: bool) -> None:
        self.removed += 1


@pytest.mark.parametrize(
    ("engine", "why"),
    [
        (Said(trouble='exec: "python3": executable file not found in $PATH'), "executable file not found in $PATH"),
        (Said(out="3.5.2\n"), "its `python3` is 3.5.2"),
        (Said(out="hello\n"), "its `python3` is hello"),
        (Said(err="No module named 'venv'\n"), "No module named 'venv'"),
    ],
)
def test_an_image_without_a_cpython_that_trials_can_have_is_refused_and_no_container_is_left(
    engine: Said, why: str
) -> None:
    with pytest.raises(UsageError, match=r"The base image mine:1 has no CPython that trials can run with") as caught:
        cpython_of(engine, "base:1", named="mine:1")  # type: ignore[arg-type]
    assert f"{why})" in str(caught.value)
    assert engine.removed == 1


def test_the_release_of_its_cpython_is_read_and_an_engine_that_refuses_is_no_fault_of_an_image() -> None:
    assert cpython_of(Said(out="3.10.12\n", err="a warning\n"), "base:1", named="mine:1") == "3.10.12"  # type: ignore[arg-type]
    for said, named in ((Said(trouble="no space for it"), "mine:1"), (Said(err="Killed"), "")):
        with pytest.raises(MachineError):
            cpython_of(said, "base:1", named=named)  # type: ignore[arg-type]
        assert said.removed == 1
