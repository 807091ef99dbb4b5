"""Base images out of a registry: what is pulled, what is locked, and what is said where pulling fails."""

from __future__ import annotations

import re
import tomllib
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest
from docker.errors import APIError, ImageNotFound, NotFound

from runner.engines.docker.base_images import BaseImage, RegistryImages, recipe_folder
from runner.errors import MachineError

if TYPE_CHECKING:
    from pathlib import Path

OLD, NEW = f"sha256:{'1' * 64}", f"sha256:{'2' * 64}"


class FakeEngine:
    """An engine in front of a registry that has one tag, or says `trouble`."""

    def __init__(self, *, digest: str = NEW, trouble: str = "") -> None:
        self.digest = digest
        self.trouble = trouble
        self.pulled: list[str] = []
        self.named: dict[str, str] = {}
        self.asked: list[tuple[str, float]] = []
        self.timeout = 60.0
        self.platforms: list[str | None] = []
        self.kinds: dict[str, str] = {}
        self.images = self
        self.api = self

    def pull(
        self, repository: str, *, tag: str, stream: bool, decode: bool, platform: str | None
    ) -> list[dict[str, Any]]:
        if self.trouble:
            return [{"status": "Pulling"}, {"error": self.trouble}]
        self.pulled.append(f"{repository}{'@' if tag.startswith('sha256:') else ':'}{tag}")
        self.platforms.append(platform)
        self.kinds[self.pulled[-1]] = (platform or "linux/arm64").rpartition("/")[2]
        return [{"status": "Pulling"}]

    def version(self) -> dict[str, str]:
        return {"Arch": "arm64"}

    def inspect_distribution(self, name: str) -> dict[str, Any]:
        self.asked.append((name, self.timeout))
        if self.trouble:
            raise APIError("failed", explanation=self.trouble)
        if not self.digest:
            raise NotFound(name)
        return {}

    def get(self, name: str) -> Any:
        if name not in self.pulled:
            raise ImageNotFound(name)
        digest = name.partition("@")[2] or self.digest
        return SimpleNamespace(
            labels={},
            attrs={"RepoDigests": [f"registry.example/library/python@{digest}"], "Architecture": self.kinds[name]},
            tag=lambda repository, tag: self.named.update({f"{repository}:{tag}": name}),
        )


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A `docker/` with two tags and a lock without digests."""
    (tmp_path / "base-images.toml").write_text('[images]\n"3.9" = "python:3.9-slim"\n"3.10" = "python:3.10-slim"\n')
    (tmp_path / "base-images.lock").write_text("# nothing yet\n")
    return tmp_path


def images_of(engine: FakeEngine, folder: Path, emulated: str = "") -> RegistryImages:
    return RegistryImages(
        engine,  # type: ignore[arg-type]
        emulated=emulated,
        tags=folder / "base-images.toml",
        lock=folder / "base-images.lock",
    )


def lines_of(images: RegistryImages, python: str) -> tuple[BaseImage, list[str]]:
    said: list[str] = []
    return images.provide(python, said.append), said


def test_the_tag_is_pulled_once_and_its_digest_is_locked(folder: Path) -> None:
    engine = FakeEngine()
    images = images_of(engine, folder)
    assert images.pythons() == ("3.10", "3.9")
    assert images.identity("3.10") is None
    image, said = lines_of(images, "3.10")
    assert said == ["pulling python:3.10-slim"]
    assert image == BaseImage(python="3.10", tag="convergence-matrix/base:3.10-222222222222", identity=NEW)
    assert engine.named == {image.tag: "python:3.10-slim"}
    locked = tomllib.loads((folder / "base-images.lock").read_text())["images"]
    assert {**locked["3.10"], "pulled": ""} == {"image": "python:3.10-slim", "digest": NEW, "pulled": ""}
    assert re.fullmatch(r"\d{4}-\d\d-\d\d", locked["3.10"]["pulled"])
    assert list(locked) == ["3.10"]
    assert images.identity("3.10") == NEW


def test_once_locked_the_digest_counts_and_not_the_tag(folder: Path) -> None:
    lines_of(images_of(FakeEngine(digest=OLD), folder), "3.9")
    engine = FakeEngine(digest=NEW)
    image, said = lines_of(images_of(engine, folder), "3.9")
    assert said == [f"pulling python@{OLD}"]
    assert engine.pulled == [f"python@{OLD}"]
    assert image.identity == OLD


def test_another_platform_has_the_same_digest_and_is_an_image_of_its_own(folder: Path) -> None:
    engine = FakeEngine()
    own, _ = lines_of(images_of(engine, folder), "3.9")
    other = images_of(engine, folder, "linux/amd64")
    assert (other.identity("3.9"), other.address("3.9")) == (f"{NEW} as linux/amd64", f"python@{NEW}")
    emulated, _ = lines_of(other, "3.9")
    assert emulated.tag == "convergence-matrix/base:3.9-amd64-222222222222"
    assert emulated.identity == f"{NEW} as linux/amd64"
    assert (own.tag, own.identity) == ("convergence-matrix/base:3.9-222222222222", NEW)
    lines_of(images_of(engine, folder), "3.9")  # the digest is the other platform's meanwhile
    lines_of(images_of(engine, folder), "3.9")
    assert engine.platforms == [None, "linux/amd64", None]


def test_a_changed_tag_is_pulled_anew(folder: Path) -> None:
    lines_of(images_of(FakeEngine(digest=OLD), folder), "3.9")
    (folder / "base-images.toml").write_text('[images]\n"3.9" = "python:3.9-slim-bookworm"\n')
    images = images_of(FakeEngine(digest=NEW), folder)
    assert images.identity("3.9") is None
    assert lines_of(images, "3.9")[0].identity == NEW


def test_where_pulling_fails_the_offline_base_is_offered_and_nothing_is_locked(folder: Path) -> None:
    images = images_of(FakeEngine(trouble="dial tcp: lookup failed"), folder)
    with pytest.raises(MachineError) as caught:
        lines_of(images, "3.9")
    assert str(caught.value) == (
        "The base image python:3.9-slim cannot be pulled: dial tcp: lookup failed.\nCheck the network of the Docker"
        " engine, or use `--base offline`: that makes the base image on this machine."
    )
    assert (folder / "base-images.lock").read_text() == "# nothing yet\n"


def test_a_full_disk_is_not_taken_for_a_silent_registry(folder: Path) -> None:
    images = images_of(FakeEngine(trouble="write /var/lib: no space left on device"), folder)
    with pytest.raises(MachineError, match="The disk of the Docker engine is full"):
        lines_of(images, "3.9")


def test_a_damaged_lock_is_named(folder: Path) -> None:
    (folder / "base-images.lock").write_text("[images\n")
    with pytest.raises(MachineError, match=r"base-images\.lock cannot be read.*it is written again"):
        images_of(FakeEngine(), folder).identity("3.9")


def test_every_cpython_from_3_6_on_has_a_slim_tag_and_no_registry_is_named() -> None:
    images = tomllib.loads((recipe_folder() / "base-images.toml").read_text())["images"]
    assert list(images) == [f"3.{minor}" for minor in range(6, 14)]
    for python, image in images.items():
        assert re.fullmatch(rf"python:{re.escape(python)}-slim-(bullseye|bookworm)", image)


def test_the_committed_lock_holds_digests_only() -> None:
    entries = tomllib.loads((recipe_folder() / "base-images.lock").read_text()).get("images", {})
    assert all(re.fullmatch(r"sha256:[0-9a-f]{64}", entry["digest"]) for entry in entries.values())


def test_a_registry_is_asked_once_and_soon_and_not_where_an_image_was_pulled(folder: Path) -> None:
    engine = FakeEngine(trouble="lookup registry.example: no such host")
    with pytest.raises(MachineError, match=r"^No base image can be pulled \(lookup registry.example: no such host\)$"):
        images_of(engine, folder).check()
    assert [timeout < 10 for _, timeout in engine.asked] == [True]
    assert engine.timeout == 60.0
    images_of(FakeEngine(digest=""), folder).check()  # it answers: what it lacks is told when it is needed
    engine = FakeEngine()
    images = images_of(engine, folder)
    lines_of(images, "3.10")
    engine.pulled.append(f"python@{NEW}")  # the engine knows it by both names
    engine.kinds[f"python@{NEW}"] = "arm64"
    engine.trouble = "gone"
    images.check()
    assert engine.asked == []
