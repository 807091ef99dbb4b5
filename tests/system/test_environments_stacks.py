"""The stacks of the founding question and their neighbours, resolved and fetched from the real index."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from runner.environments import lockfile
from runner.environments.cpython_choice import resolve
from runner.environments.index.catalog import Catalog
from runner.environments.index.connection import index_address
from runner.environments.interpreters import HostToolchain, download, newest_of
from runner.environments.lock import Environment, Layer, Lock, Unresolvable
from runner.environments.lockfile import difference
from runner.environments.processes import Processes
from runner.environments.wheelhouse import fetch

pytestmark = [pytest.mark.slow, pytest.mark.network, pytest.mark.timeout(600)]

LOCKS = Path(__file__).parents[2] / "locks"
STACK_OF_2017 = ("tensorflow==1.2.1", "keras==2.0.5")
PYTHONS = ("3.13", "3.12", "3.11", "3.10", "3.9", "3.8", "3.7", "3.6")


def toolchain(python):
    return HostToolchain(newest_of(python) or download(python, Processes()))


@pytest.fixture(scope="module")
def catalog():
    made = Catalog()
    yield made
    made.connection.close()


@pytest.fixture(scope="module")
def lock(catalog):
    made = {}

    def of(*pins, **options):
        if (pins, str(options)) not in made:
            environment = Environment(pins=tuple(tuple(pin.split("==")) for pin in pins), **options)
            made[pins, str(options)] = resolve(environment, catalog=catalog, pythons=PYTHONS, toolchain=toolchain)
        return made[pins, str(options)]

    return of


def content(lock):
    assert isinstance(lock, Lock), lock
    return {package.name: package.version for package in lock.packages}


def differing(one, other):
    mine, theirs = content(one), content(other)
    return {name for name in {*mine, *theirs} if mine.get(name) != theirs.get(name)}


def test_the_founding_stack_is_that_of_february_2019(lock):
    founding = lock("tensorflow==1.13.1", "keras==2.2.4")
    assert (founding.python, f"{founding.as_of:%Y-%m-%d}", founding.exemptions) == ("3.7", "2019-02-28", ())
    assert content(founding)["numpy"] == "1.16.2"
    assert content(founding)["protobuf"] == "3.6.1"
    assert content(founding)["setuptools"] == "40.8.0", "needed at run time, so not that of the build tools"
    assert {package.name for package in founding.of_layer(Layer.OVERLAY)} == {"keras", "pyyaml", "scipy"}


def test_tensorflow_2_10_is_the_slim_one_beside_its_own_keras(lock):
    stack = lock("tensorflow==2.10.1", "keras==2.10.0")
    assert stack.python == "3.10"
    assert content(stack)["tensorflow-cpu"] == "2.10.1"
    assert "tensorflow" not in content(stack)
    assert [package.name for package in stack.of_layer(Layer.OVERLAY)] == ["keras"]


def test_a_keras_3_newer_than_its_tensorflow_is_exempt_by_name(lock):
    stack = lock("tensorflow==2.16.1", "keras==3.3.3")
    assert stack.python == "3.12"
    assert [name for name, _ in stack.exemptions] == ["keras"]
    assert content(stack)["setuptools"] == "69.1.1", "CPython 3.12 has no distutils of its own, and 2026's lack more"


@pytest.mark.parametrize(
    ("base", "old", "new", "changed"),
    [
        ("tensorflow==1.13.1", "keras==2.2.4", "keras==2.3.1", {"keras"}),
        ("tensorflow==1.13.1", "keras==2.2.4", "keras==2.2.5", {"keras", "keras-applications", "keras-preprocessing"}),
        ("tensorflow==2.16.1", "keras==3.3.3", "keras==3.10.0", {"keras"}),
    ],
)
def test_two_cells_that_differ_in_keras_differ_in_keras(lock, base, old, new, changed):
    assert differing(lock(base, old), lock(base, new)) == changed


def test_a_keras_that_requires_plain_tensorflow_does_not_bring_it_in_beside_the_slim_one(lock):
    stack = lock("tensorflow==2.2.3", "keras==2.4.3")
    assert content(stack)["tensorflow-cpu"] == "2.2.3"
    assert "tensorflow" not in content(stack)
    assert "tensorflow" in content(lock("tensorflow==2.2.3", "keras==2.4.3", flavour="full"))


def test_a_stack_of_2017_resolves_to_what_there_was_its_sources_built_with_later_tools(lock):
    stack = lock(*STACK_OF_2017)
    assert (stack.python, f"{stack.as_of:%Y-%m-%d}", stack.exemptions) == ("3.6", "2017-07-02", ())
    assert content(stack)["protobuf"] == "3.3.0"
    assert content(stack)["setuptools"] == "36.0.1", "the one that protobuf needs to run, not the one that built"


def test_the_committed_locks_are_what_resolving_gives(lock):
    for pins in (("tensorflow==1.13.1", "keras==2.2.4"), ("tensorflow==2.10.1", "keras==2.10.0")):
        made = lock(*pins)
        committed = lockfile.read(lockfile.lock_path(LOCKS, made.environment), made.environment)
        found = difference(committed, made)
        assert not found, found
        assert (found.as_of, found.exemptions) == (None, ())


def test_an_impossible_pair_is_a_result_with_the_resolvers_reason(lock):
    refused = lock("tensorflow==2.16.1", "keras==3.3.3", python="3.7")
    assert isinstance(refused, Unresolvable)
    assert "tensorflow==2.16.1 has no wheels with a matching Python" in refused.reason
    assert not re.search(r"https?:|DEBUG", refused.reason)


def test_pandas_of_2019_comes_in_though_uv_can_not_read_its_needs(lock):
    assert content(lock("tensorflow==1.13.1", "keras==2.2.4", packages=("pandas",)))["pandas"] == "0.24.1"


@pytest.mark.parametrize(
    "stack",
    [STACK_OF_2017, ("tensorflow==1.13.1", "keras==2.2.4"), ("tensorflow==2.16.1", "keras==3.3.3")],
    ids=" ".join,
)
def test_the_files_of_a_stack_are_wheels_that_install_and_say_nothing_of_the_index(lock, catalog, stack, tmp_path):
    made = lock(*stack)
    wheelhouse = fetch(made, catalog=catalog, toolchain=lambda: toolchain(made.python), say=lambda _: None)
    assert len(wheelhouse.wheels) == len(made.packages)
    assert all(file.path.suffix == ".whl" for file in wheelhouse.wheels)
    assert index_address().host not in made.text
    dry = toolchain(made.python).uv(
        ["pip", "install", "--dry-run", "--system", "--break-system-packages", "--no-index", "--no-deps"]
        + [str(file.path) for file in wheelhouse.wheels],
        folder=tmp_path,
    )
    assert dry.returncode == 0, dry.stderr
