"""What all tests share: those marked `docker`, `browser` or `torch` are skipped where they can't run.

They fail where they must run: RUNNER_REQUIRE_DOCKER=1, RUNNER_REQUIRE_BROWSER=1 and RUNNER_REQUIRE_WHEELS=1 say so.
"""

from __future__ import annotations

import functools
import gc
import os
from typing import TYPE_CHECKING

import hypothesis
import pytest
from chromium import chromium
from torch_wheel import TORCH, torch_wheel

from runner.engines.docker.buildkit import build_client
from runner.engines.docker.daemon import connect
from runner.environments.interpreters import newest_of
from runner.errors import RunnerError

if TYPE_CHECKING:
    from collections.abc import Callable


# A machine that is busy with something else is no failure of a property: no deadline. RUNNER_EXAMPLES says how many
# examples a property is shown; `tox -e full` shows many more than every run of the unit tests does.
hypothesis.settings.register_profile("runner", deadline=None, max_examples=int(os.environ.get("RUNNER_EXAMPLES", "30")))
hypothesis.settings.load_profile("runner")

# Tests build small source distributions, and those of the stacks that they install, also without a container.
os.environ.setdefault("RUNNER_BUILD_ON_HOST", "1")

# pytest-xdist tells its workers how wide its own terminal is: what is printed must not depend on that.
os.environ.pop("COLUMNS", None)

# What is imported and collected stays to the end: it need not be looked through for garbage again and again.
gc.disable()


def pytest_collection_finish() -> None:
    """Collect garbage from here on, but only that of the tests."""
    gc.collect()
    gc.freeze()
    gc.enable()


def pytest_runtest_setup(item: pytest.Item) -> None:
    """Skip a test that needs containers or a browser where there are none; where they are required it fails."""
    if item.get_closest_marker("docker") is not None and (reason := _why_no_containers()):
        _not_run(reason)
    if item.get_closest_marker("browser") is not None and not chromium():
        _not_run("there is no Chromium: `apt-get install chromium`", "RUNNER_REQUIRE_BROWSER")
    if item.get_closest_marker("torch") is not None and torch_wheel() is None:
        _not_run(f"there is no wheel of torch {TORCH} in the folder RUNNER_WHEELS", "RUNNER_REQUIRE_WHEELS")


@pytest.fixture(scope="session")
def not_run() -> Callable[[str], None]:
    """End a test that could not be run here, for a reason."""
    return _not_run


@pytest.fixture(scope="session")
def cpython() -> Callable[[str], None]:
    """End a test that needs a CPython which this machine does not have."""

    def needed(minor: str) -> None:
        if newest_of(minor) is None:
            _not_run(f"CPython {minor} is not on this machine")

    return needed


def _not_run(reason: str, required: str = "RUNNER_REQUIRE_DOCKER") -> None:
    """Skip, and say why: a user's machine may lack an engine or a CPython; CI's may not, so there it fails."""
    message = f"could not be run: {reason}"
    if os.environ.get(required) == "1":
        pytest.fail(f"{message} ({required}=1)", pytrace=False)
    pytest.skip(message)  # `.ci/run` sets all three variables, so that nothing is skipped there for lack of means


@functools.cache
def _why_no_containers() -> str:
    """Why no image can be built or no container run here; empty where both can."""
    try:
        connect().close()
        build_client()
    except RunnerError as error:
        return " ".join(str(error).split())
    return ""
