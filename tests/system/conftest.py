"""What system tests share: an engine with a base image, an image with one tiny package, Chromium with a page."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest
from chromium import chromium
from tiny_lock import THIS_PYTHON, tiny_lock, tiny_wheelhouse

from runner.engines.docker.docker_engine import DockerEngine
from runner.engines.venv.venv_engine import VenvEngine
from runner.errors import RunnerError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from playwright.sync_api import Browser, BrowserContext, Page

    from runner.engines.protocol import Image

CONTAINER_PYTHON = "3.7"
QUIET = (
    "--no-sandbox",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--no-pings",
)


@pytest.fixture(scope="session")
def docker_engine(not_run: Callable[[str], None]) -> Iterator[DockerEngine]:
    """The engine, with base images made on this machine unless RUNNER_BASE says otherwise."""
    engine = DockerEngine.connect(os.environ.get("RUNNER_BASE", "offline"))
    try:
        engine.base_identity(CONTAINER_PYTHON)
    except RunnerError as error:
        not_run(" ".join(str(error).split()))
    yield engine
    engine.close()


@pytest.fixture(scope="session")
def docker_image(docker_engine: DockerEngine, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Image]:
    """An image of the tiny lock; removed in the end, with what it alone stands on."""
    wheelhouse = tiny_wheelhouse(tmp_path_factory.mktemp("wheels"))
    image = docker_engine.make(tiny_lock(wheelhouse, CONTAINER_PYTHON), wheelhouse, lambda _: None, labels={})
    yield image
    docker_engine.remove_image(image.reference)


@pytest.fixture
def lone_engine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> VenvEngine:
    """An engine whose cache is the test's own: its folder `cache`."""
    monkeypatch.setenv("RUNNER_CACHE", str(tmp_path / "cache"))
    return VenvEngine()


@pytest.fixture(scope="module")
def venv_engine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[[], VenvEngine]]:
    """Makes engines that share a cache of this module's own."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("RUNNER_CACHE", str(tmp_path_factory.mktemp("cache")))
        yield VenvEngine


@pytest.fixture(scope="module")
def venv_image(venv_engine: Callable[[], VenvEngine], tmp_path_factory: pytest.TempPathFactory) -> Image:
    """An environment of the tiny lock."""
    wheelhouse = tiny_wheelhouse(tmp_path_factory.mktemp("wheels"))
    return venv_engine().make(tiny_lock(wheelhouse, THIS_PYTHON), wheelhouse, lambda _: None, labels={})


@pytest.fixture(scope="session")
def cpython_3_7(cpython: Callable[[str], None]) -> None:
    """What the founding pair needs, from this machine or as the source of an offline base image."""
    cpython("3.7")


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    """One for the whole run: Playwright can't be started a second time beside it."""
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        found = playwright.chromium.launch(executable_path=chromium(), args=QUIET)
        yield found
        found.close()


@pytest.fixture
def context(browser: Browser) -> Iterator[BrowserContext]:
    context = browser.new_context(viewport={"width": 1360, "height": 900})
    yield context
    context.close()


@pytest.fixture
def page(context: BrowserContext) -> Iterator[Page]:
    """A page in which nothing goes wrong unseen: no error, no breach of the policy, no request but for files."""
    page = context.new_page()
    wrong: list[str] = []
    page.on("pageerror", lambda error: wrong.append(str(error)))
    page.on("console", lambda said: wrong.append(said.text) if said.type in {"error", "warning"} else None)
    page.on("request", lambda asked: None if asked.url.startswith("file:") else wrong.append(asked.url))
    yield page
    assert wrong == []
